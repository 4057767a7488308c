"""Sessions: random ids that stand in every URL, and that can end at any time (so in all published clients)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from .refusals import InvalidSession


class SessionRegistry:
    """The open sessions of one server. Ids are unguessable, and mean nothing to another server or after a restart."""

    def __init__(self, lifetime: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._last_use: dict[str, float] = {}

    def open(self) -> str:
        """Return the id of a new session."""
        session = secrets.token_urlsafe(24)
        self._last_use[session] = self._clock()
        return session

    def is_open(self, session: object) -> bool:
        """Return whether a call with this id would be served. Counts as a use."""
        if not isinstance(session, str) or session not in self._last_use:
            return False
        now = self._clock()
        if self._lifetime is not None and now - self._last_use[session] > self._lifetime:
            self.close(session)
            return False
        self._last_use[session] = now
        return True

    def check(self, session: object) -> None:
        """Raise InvalidSession unless the session is open."""
        if not self.is_open(session):
            raise InvalidSession

    def close(self, session: str) -> None:
        """End one session."""
        self._last_use.pop(session, None)

    def end_all(self) -> None:
        """End all sessions."""
        self._last_use.clear()

    def __len__(self) -> int:
        return len(self._last_use)
