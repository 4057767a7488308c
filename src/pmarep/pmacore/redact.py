"""Keeps secrets out of everything that people can see.

The session id stands in the query of every PMA.core URL, and presigned and SAS URLs are secrets as a whole: so no query
is ever shown, whatever is in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

# In JSON inside a text "&" may be written \u0026.
_QUERY = re.compile(r"""\?(?:[^\s"'<>\\=]|\\u[0-9a-fA-F]{4}|\\/)*=(?:[^\s"'<>\\]|\\u[0-9a-fA-F]{4}|\\/)*""")
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_PAIR = re.compile(r"""(?i)\b(session_?id|password|sig|signature|x-amz-[a-z-]+)(["']?\s*[=:]\s*["']?)[^\s"'&,;<>}]+""")
HIDDEN = "***"


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without queries of URLs, values that look like credentials, and the given `secrets`."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be part of another
        if secret:
            text = text.replace(secret, HIDDEN)
    text = _QUERY.sub("?" + HIDDEN, text)
    text = _USERINFO.sub(HIDDEN + "@", text)
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


def one_line(text: str, secrets: Iterable[str] = (), limit: int = 300) -> str:
    """A server's words as part of one line of ours: redacted, without line breaks and control characters, bounded."""
    text = redact(text, secrets)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = re.sub(r"\s+", " ", text).strip().rstrip(".")
    return text if len(text) <= limit else text[: limit - 3] + "..."


class RedactingFilter(logging.Filter):
    """Rewrites each record of the loggers it is put on; httpx logs every request with its whole URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def guard_logging() -> None:
    """Put the filter on the loggers that can see URLs. Calling it again changes nothing."""
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(f, RedactingFilter) for f in logger.filters):
            logger.addFilter(RedactingFilter())
