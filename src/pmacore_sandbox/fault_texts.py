"""Faults as they are written on a command line: `error=503,every=5`, `drop=64K,times=3`, `delay=2,path=authenticate`.

First the fault, with its value; then which requests it hits, as in `FaultInjector.add`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pmarep.errors import UsageError

from .faults import (
    Action,
    CannedResponse,
    Corrupt,
    Delay,
    Drop,
    EndSessions,
    FaultInjector,
    Hold,
    IgnoreRanges,
    SaveHalf,
    SlowRead,
    StaleListings,
)

_FILE: dict[str, Any] = {"method": "POST", "path": r"transfer/Upload/[0-9]+"}
_ANNOUNCEMENT: dict[str, Any] = {"method": "POST", "path": r"transfer/Upload($|\?)"}
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


@dataclass(frozen=True)
class FaultText:
    """A fault for people. `make` gets its value, `default` where none is given.

    `where` and `hits`, in words and as arguments of `FaultInjector.add`: what it hits unless told.
    """

    name: str
    value: str
    default: str
    words: str
    make: Callable[[str], Action]
    where: str
    hits: dict[str, Any] = field(default_factory=dict)

    @property
    def usage(self) -> str:
        return f"{self.name}[={self.value}]" if self.value else self.name


def _status(text: str) -> CannedResponse:
    if not re.fullmatch("[45][0-9][0-9]", text):
        raise ValueError("a status from 400 to 599")
    return CannedResponse.iis(int(text))


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError("a number of seconds")
    return float(text)


def _size(text: str) -> int:
    found = re.fullmatch("([0-9]+)([KMG]?)", text, re.IGNORECASE)
    if not found:
        raise ValueError("bytes, such as 64K")
    return int(found[1]) * _UNITS[found[2].upper()]


def _rate(text: str) -> float:
    if (size := _size(text.removesuffix("/s"))) == 0:
        raise ValueError("bytes a second, such as 100K")
    return float(size)


FAULTS = {
    one.name: one
    for one in (
        FaultText(
            "error", "STATUS", "503", "answer with an error page of IIS", _status, "every 5th request", {"every": 5}
        ),
        FaultText(
            "refuse", "TEXT", "Access denied", "refuse a slide in PMA.core's words", CannedResponse.refusal,
            "every 3rd slide", {**_ANNOUNCEMENT, "every": 3},
        ),
        FaultText(
            "drop", "BYTES", "64K", "cut the connection after so many bytes", lambda text: Drop(_size(text)),
            "every 3rd file", {**_FILE, "every": 3},
        ),
        FaultText(
            "lose-answer", "", "", "take a file in, and cut the connection then", lambda _: Drop(None),
            "every 3rd file", {**_FILE, "every": 3},
        ),
        FaultText(
            "end-sessions", "", "", "end all sessions, as a recycle of IIS does", lambda _: EndSessions(),
            "every 20th request", {"every": 20},
        ),
        FaultText(
            "delay", "SECONDS", "1", "wait before a request is handled", lambda text: Delay(_seconds(text)),
            "all requests",
        ),
        FaultText(
            "slow", "BYTES", "100K", "read no faster than so many bytes/s", lambda text: SlowRead(_rate(text)),
            "all files", _FILE,
        ),
        FaultText(
            "stale-listings", "SECONDS", "5", "show new folders and files so late",
            lambda text: StaleListings(_seconds(text)), "all listings", {"path": "GetFilenames|GetDirectories"},
        ),
        FaultText(
            "corrupt", "BYTES", "0", "flip one byte, so many after the first one", lambda text: Corrupt(_size(text)),
            "the first file", {**_FILE, "times": 1},
        ),
        FaultText(
            "ignore-ranges", "", "", "send a whole file where a part was asked for", lambda _: IgnoreRanges(),
            "all downloads", {"path": "transfer/Download"},
        ),
        FaultText(
            "save-half", "", "", "save half of the annotations, then fail", lambda _: SaveHalf(),
            "the first save", {"path": "SaveAnnotations", "times": 1},
        ),
        FaultText(
            "hang", "BYTES", "0", "go no further after so many bytes", lambda text: Hold(_size(text)),
            "the first file", {**_FILE, "times": 1},
        ),
    )
}  # fmt: skip
"""All faults by name. For tests, `faults.py` has more of each."""

SELECTORS = {
    "every": "only the Nth of those requests, the 2Nth, ...",
    "times": "only so many of them",
    "after": "not the first N of them",
    "path": "requests whose path matches this regular expression, without the URL's beginning",
    "method": "GET or POST",
}


def add_fault(injector: FaultInjector, text: str) -> None:
    """Add a fault as it is written. Raises UsageError that says what can be written."""
    first, *rest = text.split(",")
    name, _, value = first.partition("=")
    fault = FAULTS.get(name)
    if fault is None:
        raise UsageError(f"there is no fault {name!r}; there are {', '.join(FAULTS)} (--fault help explains them)")
    if value and not fault.value:
        raise UsageError(f"the fault {name} takes no value")
    try:
        action = fault.make(value or fault.default)
    except ValueError as error:
        raise UsageError(f"the fault {name} takes {error}, not {value!r}") from None
    try:
        injector.add(action, **(fault.hits | dict(map(_selector, rest))))
    except re.error as error:
        raise UsageError(f"the path of the fault {name} is no regular expression ({error})") from None


def _selector(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    if key not in SELECTORS or not value:
        raise UsageError(f"cannot read {text!r} of a fault; write {'=..., '.join(SELECTORS)}=...")
    if key == "method":
        return key, value.upper()
    if key == "path":
        return key, value
    if not value.isdecimal() or (key == "every" and not int(value)):
        raise UsageError(f"{key} of a fault is a number, not {value!r}")
    return key, int(value)
