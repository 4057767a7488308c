"""Keeps secrets out of everything that people can see, in time that grows with the text and no faster.

The session id stands in the query of every PMA.core URL, and presigned and SAS URLs are secrets as a whole: so no query
is ever shown, whatever is in it.
"""

from __future__ import annotations

import html.entities
import logging
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..text import printable

# Servers choose these texts. A pattern may not begin at every one of many characters and read to the end from each:
# what can begin it ends the part before its first fixed character, or that part has a limit.
# In JSON inside a text "&" may be written \u0026.
_QUERY = re.compile(r"""\?(?:[^\s"'<>\\=?]|\\u[0-9a-fA-F]{4}|\\/)*+=(?:[^\s"'<>\\]|\\u[0-9a-fA-F]{4}|\\/)*+""")
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_PAIR = re.compile(
    # Not `cat: /etc/tokyo.password: No such file`.
    r"""(?i)\b(session_?id|(?<![./\\])password|password(?!:\s)|sig|signature|x-amz-[a-z-]{1,40})"""
    r"""(["']?\s*+[=:]\s*+["']?)[^\s"'&,;<>}]+"""
)
HIDDEN = "***"

_URL_PATH = re.compile(r"(?<=://)([^\s/?'\"]+)(/[^\s?'\"]*[^\s?'\":,;)])")
"""Host and path of a URL in a text. The path of a webhook is its password."""

_SECRET_OPTION = re.compile(
    r"(?i)(?:-{1,2}|(?=\w+=))[\w-]*(?:passw|passphrase|pwd|secret|token|api[_-]?key)[\w-]*(?:=(.+))?"
)
"""A word of a command that is a secret after its `=`, or that one comes after."""

LONGEST = 20_000
"""Characters of a server's words that are looked at: what is shown of them has some hundred."""
_MARGIN = 4_000  # at the end of what was cut off there, in which half a secret may stand


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide queries of URLs, values that look like credentials, and the given `secrets`, however encoded."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may be part of another
        text = _in_every_form(secret).sub(HIDDEN, text.replace(secret, HIDDEN))
    text = _QUERY.sub("?" + HIDDEN, text)
    text = _USERINFO.sub(HIDDEN + "@", text)
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


def redact_output(line: str, words: Sequence[str]) -> str:
    """Make a line that a command of the site book has printed fit to be shown, 300 characters of it at most.

    Without the paths of URLs, of any in it and of those in the `words` of the command, which programs print alone too;
    and without what follows `--token`, `--password=` and the like in these words: programs repeat what they do not
    understand.
    """
    secrets = [found[2] for word in words for found in _URL_PATH.finditer(word)]
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if option := _SECRET_OPTION.fullmatch(word):
            secrets.append(option[1] or after)
    return printable(redact(_URL_PATH.sub(rf"\1/{HIDDEN}", line), secrets))[:300]


def one_line(text: str, secrets: Iterable[str] = (), limit: int = 300) -> str:
    """Make a server's words part of a line of ours: redacted, bounded, without line breaks and control characters."""
    cut = len(text) > LONGEST
    text = redact(text[:LONGEST], secrets)[: -_MARGIN if cut else None]
    text = "".join(c if c.isprintable() else " " for c in text)
    text = re.sub(r"\s+", " ", text).strip().rstrip(".")
    return text if len(text) <= limit else text[: limit - 3] + "..."


@lru_cache(maxsize=256)
def _in_every_form(secret: str) -> re.Pattern[str]:
    """Return a pattern for a secret as JSON, URLs, forms, HTML, XML and program texts write it, also several in turn.

    A server that echoes a log-in may escape the quotes in a password and not its umlauts, or escape what was escaped.
    """
    parts = (_run_of_backslashes(len(run)) if run[0] == "\\" else _character(run) for run in _runs(secret))
    return re.compile("".join(parts))


def _runs(secret: str) -> list[str]:
    """Split a secret into its characters, with backslashes that stand together in one piece."""
    return re.findall(r"\\+|[^\\]", secret, re.DOTALL)


def _run_of_backslashes(count: int) -> str:
    # In one piece and never given back: where each were tried for itself, there were 8 to the power of `count` ways.
    # An atomic group: up to Python 3.11.4 a group with alternatives in it that is repeated by `{1,8}+` misses some.
    return rf"(?>(?:\\|(?i:u005c|x5c|%(?:25){{0,3}}5c|&(?:amp;){{0,3}}(?:#92|#x5c|bsol);)){{1,{8 * count}}})"


def _character(character: str) -> str:
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass").hex()
    bytes_ = character.encode("utf-8", "surrogatepass")
    escaped = r"\\{0,8}+".join(f"u{units[at : at + 4]}" for at in range(0, len(units), 4))
    percent = "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in bytes_)
    entities = [f"#0{{0,6}}{code}", f"#x0{{0,6}}{code:x}"]
    if name := html.entities.codepoint2name.get(code) or {"'": "apos"}.get(character):
        entities.append(name)
    forms = [
        rf"\\{{0,8}}+(?:{re.escape(character)}|(?i:{escaped}|x0{{0,6}}{code:x}))",
        f"(?i:{percent}|%u{units[:4]}|&(?:amp;){{0,3}}(?:{'|'.join(entities)});)",
    ]
    if character == " ":
        forms.append(r"\+")
    if code > 0x7F:  # read as another encoding than it was written in
        wrong = {bytes_.decode("latin-1"), bytes_.decode("cp1252", "replace"), "\ufffd", "?", f"%{code:02x}"}
        forms += map(re.escape, sorted(wrong))
    return f"(?:{'|'.join(forms)})"


class RedactingFilter(logging.Filter):
    """Rewrites each record of the loggers it is put on; httpx logs every request with its whole URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = printable(redact(record.getMessage()))
        record.args = ()
        if record.exc_info:
            trace = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_text = "\n".join(map(printable, trace.split("\n")))
            record.exc_info = None
        return True


def guard_logging() -> None:
    """Put the filter on the loggers that can see URLs. Calling it again changes nothing."""
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(f, RedactingFilter) for f in logger.filters):
            logger.addFilter(RedactingFilter())
