"""Fault injection: rules that say which requests are hit, and actions that say with what.

The faults:

- `CannedResponse`: answer with a fixed status and body instead of handling the request
- `Drop`: cut the connection before, while or after the request is handled
- `EndSessions`: end all sessions before the request is handled
- `Delay`: wait before the request is handled
- `StaleListings`: hide new folders and the sizes of new files in listings
- `SlowRead`: limit the bytes per second of the request's body
- `Corrupt`: flip the bits of one byte of an uploaded file
- `IgnoreRanges`: send the whole file where a part of it was asked for
- `SaveHalf`: save half of the annotations that are to be added, then fail
- `Hold`: stop the request until the test releases it

Besides, tests call `Sandbox.restart`, `end_all_sessions` and `forget_uploads`, and `UrlExpiry.expire`. Faults are
added in code, or by `pmarep sandbox --fault` as fault_texts.py reads them:

    sandbox.faults.add(CannedResponse.iis(503), path="transfer/Upload/.*path=.*Data0001", times=2)
    sandbox.faults.add(Drop(after_bytes=1_000_000), method="POST", path="transfer/Upload/[0-9]+")

Rules can be added and removed from any thread.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_IIS_PAGE = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title></head>
<body><div id="header"><h1>Server Error</h1></div>
<div id="content"><fieldset><h2>{title}</h2></fieldset></div></body></html>
"""


def iis_page(title: str) -> str:
    """Return the HTML page of IIS for a request that never reaches PMA.core."""
    return _IIS_PAGE.format(title=title)


@dataclass(frozen=True)
class CannedResponse:
    """Answer at once with this response, instead of handling the request.

    The rest of the request's body is read and thrown away, unless `hang_up`: then the connection is cut right after the
    answer, as IIS does with bodies that it does not want to read.
    """

    status: int
    body: str | bytes = ""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False

    @classmethod
    def iis(cls, status: int, title: str = "", headers: Mapping[str, str] | None = None) -> CannedResponse:
        """Return an HTML page of IIS."""
        page = iis_page(title or f"{status} - The service is unavailable.")
        return cls(status, page, "text/html", headers or {})

    @classmethod
    def refusal(cls, message: str, code: int = 1, status: int = 200) -> CannedResponse:
        """Return `{"Code", "Message"}`, as PMA.core refuses."""
        return cls(status, json.dumps({"Code": code, "Message": message}))

    @classmethod
    def aspnet(cls, message: str, status: int = 500) -> CannedResponse:
        """Return `{"Message", "ExceptionMessage"}`, as transfer/* refuses."""
        return cls(status, json.dumps({"Message": "An error has occurred.", "ExceptionMessage": message}))


@dataclass(frozen=True)
class Drop:
    """Cut the connection when so many bytes of a body have passed, in either direction; 0: before anything is handled.

    None: handle the request wholly and cut the connection instead of answering: done, but nobody knows.
    """

    after_bytes: int | None = 0


@dataclass(frozen=True)
class EndSessions:
    """End all sessions before the request is handled, as an IIS recycle does.

    `status`: what a call that needs one is then told "Invalid session ID" with; None: what the sandbox says otherwise.
    """

    status: int | None = None


@dataclass(frozen=True)
class Delay:
    """Wait so long before the request is handled."""

    seconds: float


@dataclass(frozen=True)
class StaleListings:
    """Show folders (GetDirectories) and the sizes of files (GetFilenames) so many seconds after they have come."""

    seconds: float


@dataclass(frozen=True)
class SlowRead:
    """Read the request's body no faster than this."""

    bytes_per_second: float


@dataclass(frozen=True)
class Corrupt:
    """Flip the bits of one byte of an uploaded file when it is stored, without telling."""

    offset: int = 0


@dataclass(frozen=True)
class IgnoreRanges:
    """Send the whole file where a part of it was asked for, as a server does that knows no ranges."""


@dataclass(frozen=True)
class SaveHalf:
    """Save the first half of the annotations that SaveAnnotations is to add, then fail as a server with a full log."""

    status: int = 500


class Hold:
    """Stop when `after_bytes` of a request's body have arrived, until `release()`: for tests that act in the middle.

    `reached` is set when the first request stands there.
    """

    def __init__(self, after_bytes: int = 0) -> None:
        self.after_bytes = after_bytes
        self.reached = threading.Event()
        self._lock = threading.Lock()
        self._released = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def release(self) -> None:
        """Let all requests that are held, and all later ones, go on."""
        with self._lock:
            self._released = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        """Hold the calling request until `release`."""
        event = asyncio.Event()
        with self._lock:
            if self._released:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        self.reached.set()
        await event.wait()


Action = (
    CannedResponse | Drop | EndSessions | Delay | StaleListings | SlowRead | Corrupt | IgnoreRanges | SaveHalf | Hold
)


@dataclass(eq=False)
class FaultRule:
    """An action and the requests it hits. `seen` counts the requests that matched, `hits` those that were hit."""

    action: Action
    method: str | None
    path: re.Pattern[str]
    after: int
    times: int | None
    every: int = 1
    seen: int = 0
    hits: int = 0

    def applies(self, method: str, path: str) -> bool:
        """Return whether the action applies to this request, and count it."""
        if (self.method and self.method != method) or not self.path.search(path):
            return False
        self.seen += 1
        if (
            self.seen <= self.after
            or (self.seen - self.after) % self.every
            or (self.times is not None and self.hits >= self.times)
        ):
            return False
        self.hits += 1
        return True


class FaultInjector:
    """The fault rules of one server. Callable from any thread."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._lock = threading.Lock()

    def add(
        self,
        action: Action,
        *,
        method: str | None = None,
        path: str = "",
        after: int = 0,
        times: int | None = None,
        every: int = 1,
    ) -> FaultRule:
        """Apply `action` to requests whose path matches the regex `path` somewhere, ignoring case.

        The path is that of the request log: relative to the base URL, with `?path=...` decoded. The first `after`
        matching requests are spared; then `times` are hit (None: all), or of those that follow the `every`-th each.
        """
        rule = FaultRule(action, method, re.compile(path, re.IGNORECASE), after, times, every)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: FaultRule) -> None:
        """End one rule."""
        with self._lock:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Remove all rules, and release all requests that are held."""
        with self._lock:
            rules, self._rules = self._rules, []
        for rule in rules:
            if isinstance(rule.action, Hold):
                rule.action.release()

    def actions(self, method: str, path: str) -> list[Any]:
        """Return the actions for a request, and count it in their rules."""
        with self._lock:
            return [rule.action for rule in self._rules if rule.applies(method, path)]
