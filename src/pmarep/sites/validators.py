"""Check the values of the site book's keys, one function for each key.

Every function returns the value as it is used, or raises ValueError with words that continue "path, line n: [table]":
they name the key and say what to write instead.
"""

from __future__ import annotations

import datetime as dt
import re
import time
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import UsageError
from ..system.commands import split_words
from ..system.proxies import split_proxy
from ..timetable import Timetable
from ..units import parse_moment, parse_size
from .site_names import quoted

MAX_CONNECTIONS = 64
MAX_SECONDS = 3600
_DEFAULT_PORTS = {"http": 80, "https": 443}


_ESCAPES = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def _refuse_escapes(key: str, value: object) -> None:
    """Raise ValueError for a control character that TOML has made of a backslash and a letter: `DOMAIN\\nils`."""
    if isinstance(value, str) and _ESCAPES.keys() & set(value):
        typed = "".join(_ESCAPES.get(character, character) for character in value)
        raise ValueError(
            f"{key} holds a control character, as in double quotes \\ begins an escape; "
            f"write it in single quotes: {key} = '{typed}'"
        )


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} has to be text in quotes")
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in value):
        raise ValueError(f"{key} holds a control character; leave it out")
    return value


def url(value: object) -> str:
    """Normalise a base URL: lower-case scheme and host, no default port, exactly one slash at the end."""
    text = _text("url", value).strip()
    # These two come first, so that no other message repeats a password.
    if "@" in text:
        raise ValueError("url holds a user name; the password does not belong in the URL, the name goes to username")
    if "?" in text or "#" in text:
        raise ValueError('url goes on after its path; leave out what follows "?" or "#"')
    if any(c.isspace() for c in text) or "\\" in text:
        raise ValueError(f'url {quoted(text)} holds a blank or a "\\"; write it as https://host/')
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"url {quoted(text)} cannot be read; write it as https://host/") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError(f"url {quoted(text)} cannot be used; write it as https://host/ or http://host/")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        netloc += f":{port}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}/"


def username(value: object) -> str:
    _refuse_escapes("username", value)
    text = _text("username", value)
    if not text.strip():
        raise ValueError("username is empty; write who logs in there")
    return text


def server(value: object) -> str:
    """Check the name of a `[servers.*]` table; `book_parser` checks that there is one."""
    return _text("server", value)


def target(value: object) -> str:
    """Check a virtual path `Root/folder`: what is wrong is refused rather than mended, since slides land there."""
    return _virtual_path("target", value, "Root/folder")


def sub_folder(value: object) -> str:
    """Check a virtual path below a target, for `--to`."""
    return _virtual_path("--to", value, "folder/sub-folder")


def _virtual_path(key: str, value: object, example: str) -> str:
    text = _text(key, value)
    if "\\" in text:
        raise ValueError(f'{key} {quoted(text)} holds a "\\"; write it with /')
    if not text.strip():
        raise ValueError(f"{key} is empty; write it as {example}")
    parts = text.split("/")
    said = [part for part in parts if part]
    # What is proposed is accepted.
    instead = quoted("/".join(said)) if said and all(map(_is_folder, said)) else example
    if text.startswith("/") or text.endswith("/"):
        raise ValueError(f'{key} {quoted(text)} begins or ends with "/"; write it as {instead}')
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{key} {quoted(text)} holds the part {quoted(part)}; write it as {instead}")
        if not _is_folder(part):
            raise ValueError(f"{key} {quoted(text)} holds a part with a blank or dot at its end; leave it out")
    return text


def _is_folder(part: str) -> bool:
    """Return False for a name that Windows alters: it drops blanks and dots at the end."""
    return part == part.strip() and not part.endswith(".")


def connections(value: object) -> int | str:
    if value == "auto" or (type(value) is int and 1 <= value <= MAX_CONNECTIONS):
        return value
    raise ValueError(f'connections has to be "auto" or a number from 1 to {MAX_CONNECTIONS}')


def bwlimit(value: object) -> str:
    """Check a bandwidth limit; returns the text as it is, for `Timetable.parse`."""
    try:
        text = _text("bwlimit", value)
        Timetable.parse(text)
    except UsageError as error:
        raise ValueError(f"bwlimit: {error}") from None
    return text


def ca_bundle(value: object, folder: Path | None) -> Path:
    """Resolve a file relative to the book's folder. `SiteBook.resolve` checks that it is there."""
    return _file("ca_bundle", value, folder)


def client_cert(value: object, folder: Path | None) -> tuple[Path, ...]:
    """Resolve one PEM file with certificate and key, or one of each."""
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) not in (1, 2):
        raise ValueError('client_cert has to be a file, or a list of two: ["certificate.pem", "key.pem"]')
    return tuple(_file("client_cert", item, folder) for item in values)


def _file(key: str, value: object, folder: Path | None) -> Path:
    if isinstance(value, Path):
        return value
    _refuse_escapes(key, value)
    text = _text(key, value)
    if not text.strip():
        raise ValueError(f"{key} is empty; name a file, or leave the key out")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{key} {quoted(text)}: there is no such home directory; write the whole path") from None
    return folder / path if folder else path


def proxy(value: object) -> str:
    """Normalise `http://host:port`, or `none`: no proxy, whatever the environment says."""
    text = _text("proxy", value).strip()
    # First, so that no other message repeats a password.
    if "@" in text:
        raise ValueError(
            "proxy holds a user name or password, which has no place in this file; leave proxy out and set the "
            "variable HTTPS_PROXY=http://user:password@host:port for pmarep"
        )
    if text.lower() == "none":
        return "none"
    parts = split_proxy(text, "http")
    if parts is None:
        raise ValueError(f'proxy {quoted(text)} cannot be used; write it as http://host:port, or "none"')
    host = str(parts.hostname)
    return f"http://{f'[{host}]' if ':' in host else host}:{parts.port or 80}"


def verify_tls(value: object) -> bool:
    return _truth("verify_tls", value)


def seconds(key: str, value: object) -> float:
    """Check a time to wait, in seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS:
        return float(value)
    raise ValueError(f"{key} has to be a number of seconds, more than 0 and up to {MAX_SECONDS}")


def congestion(value: object) -> str:
    """Check the name of a TCP congestion control algorithm, or `auto`; machines differ in which they have."""
    text = _text("congestion", value).strip().lower()
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,14}", text):  # Linux: TCP_CA_NAME_MAX
        return text
    raise ValueError('congestion has to be "auto" or the name of a TCP algorithm of this machine, such as "cubic"')


LABEL_IMAGES = ("refuse", "warn", "allow")


def label_images(value: object) -> str:
    """Check what a site does about slides that carry a label or macro image."""
    text = _text("label_images", value).strip().lower()
    if text not in LABEL_IMAGES:
        raise ValueError('label_images has to be "refuse", "warn" or "allow"')
    return text


SLIDE, OUT = "{slide}", "{out}"
"""Words of a command that are replaced: by the path of a main file, and of the folder for what is made of it."""

_GATE_WORDS = {"require": (SLIDE,), "prepare": (SLIDE, OUT)}
_GATE_EXAMPLES = {"require": '["may-leave", "{slide}"]', "prepare": '["strip-label", "{slide}", "{out}"]'}


def gate_command(key: str, value: object) -> tuple[str, ...]:
    """Check `require` or `prepare`: words, or text that is split into words. An empty list: none."""
    example = _GATE_EXAMPLES[key]
    if isinstance(value, list | tuple) and not value:
        return ()
    words = value
    if isinstance(value, str):
        try:
            words = split_words(value)
        except ValueError:
            raise ValueError(f"{key} has quotes that do not match; write a list of words such as {example}") from None
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words) or not any(words):
        raise ValueError(f"{key} has to be a list of words such as {example}; [] for none")
    if not words[0] or SLIDE in words[0] or OUT in words[0]:
        raise ValueError(f"{key} has to begin with a program; write it as {example}")
    if any("\0" in word for word in words):
        raise ValueError(f"{key} holds a control character; leave it out")
    for needed in _GATE_WORDS[key]:
        if not any(needed in word for word in words):
            raise ValueError(f"{key} names no {needed}; write it as {example}")
    return tuple(words)


def cache(value: object, folder: Path | None) -> Path:
    """Resolve a folder relative to the book's; it is made when it is needed."""
    return _file("cache", value, folder)


def cache_size(value: object) -> int:
    """Check the size of the cache: as `--spool-size`, or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    try:
        size = parse_size(_text("cache_size", value))
    except UsageError:
        size = 0
    if size <= 0:
        raise ValueError('cache_size has to be a size such as "20G"')
    return size


def patterns(key: str, value: object) -> tuple[str, ...]:
    """Check the patterns of `include` or `exclude`, as of the options; one may stand without its list."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple):
        raise ValueError(f'{key} has to be a list of patterns, such as ["*.svs"]')
    from ..slides.selection import PatternList  # what knows slides is not needed to read most books

    texts = [_text(key, one) for one in values]
    if key == "include" and any(text.lower().endswith(".toml") for text in texts):
        raise ValueError("include in a table is for slides; other books are included before the first [table]")
    try:
        PatternList(key, texts, set())
    except UsageError as error:
        raise ValueError(f"{key}: {error}") from None
    return tuple(texts)


def newer_than(value: object) -> str:
    """Check an age or a day, as of `--newer-than`, or `off`; returns the text, since 7d is another day tomorrow."""
    text = value.isoformat() if isinstance(value, dt.date) else _text("newer_than", value).strip()
    if text.lower() == "off":
        return "off"
    try:
        parse_moment(text, time.time())
    except UsageError as error:
        raise ValueError(f"newer_than: {error}") from None
    return text


def min_size(value: object) -> str:
    """Check a size, as of `--min-size`; a number is in bytes. Returns the text."""
    text = str(value) if type(value) is int else _text("min_size", value).strip()
    try:
        parse_size(text)
    except UsageError as error:
        raise ValueError(f"min_size: {error}") from None
    return text


def password_command(value: object) -> tuple[str, ...] | str:
    return _command("password_command", value, '["pass", "show", "tokyo"]')


def hook(key: str, value: object) -> tuple[str, ...] | str:
    """Check the command of a hook: as `password_command`, no shell runs it."""
    return _command(key, value, '["/usr/local/bin/tell-me", "--quietly"]')


def slide_names(value: object) -> bool:
    return _truth("slide_names", value)


def _command(key: str, value: object, example: str) -> tuple[str, ...] | str:
    if isinstance(value, str):
        if value.strip():
            return value
    elif isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value) and value[0]:
        return tuple(value)
    raise ValueError(f"{key} has to be text, or a list of texts such as {example}")


def password_file(value: object, folder: Path | None) -> Path:
    """Resolve a file relative to the book's folder; it is looked at when the password is needed."""
    return _file("password_file", value, folder)


def enumerate_slides(value: object) -> str:
    """Check the rule for asking PMA.start on this machine which files make a slide of an unknown format."""
    if value in ("auto", "always", "never"):
        return str(value)
    raise ValueError(
        'enumerate has to be "auto" (ask PMA.start if it runs on this machine, as this user or the system), '
        '"always" (whoever runs it) or "never"'
    )


def allow_http_uploads(value: object) -> bool:
    return _truth("allow_http_uploads", value)


def _truth(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{key} has to be true or false, without quotes")


_SECRETS = re.compile(r"passw|passphrase|pwd|secret|token|api_?key", re.IGNORECASE)


def looks_secret(key: str) -> bool:
    """Return whether a key seems to hold a password, which no site book may."""
    return bool(_SECRETS.search(key)) and key not in ("password_command", "password_file")
