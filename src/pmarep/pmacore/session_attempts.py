"""When a call that met the end of its session is made again: at once in the next session, or some time later."""

from __future__ import annotations

import re
import time

from ..retry import Attempts, Retry
from .errors import PmaCoreError, SessionLost

SESSIONS = 3
"""How often a call is tried in sessions in which no other is answered: a server that restarts may end two. After more,
some time may help."""
SESSION_SECONDS = 60.0
"""For so long, or as long as an answer may take, a call is made again in sessions in which others are answered."""

# Whole phrases, and no part of a path: `Slides/Session 3` may be missing.
_SESSION_ENDED = re.compile(
    r"\b(invalid|expired|unknown|missing|no|no such|no valid|no active) session\b"
    r"|(?<![\w/\\])session( id| key| token)?( has| had| is| was)?( already| been| not)* "
    r"(invalid|valid|expired|unknown|found|ended|closed|over|timed out|terminated|abandoned)\b",
    re.IGNORECASE,
)


def is_about_the_session(error: PmaCoreError) -> bool:
    """Return whether a refusal says that the session is no good: then it is about nothing else, whatever its status."""
    return _SESSION_ENDED.search(str(error)) is not None


class SessionAttempts:
    """The attempts at one call, each in a session of its own.

    Limit: `SESSIONS`, and more while others are answered, for at most `longest` and `SESSION_SECONDS`; then all that
    again, as `retry` has it. Lost: nothing of a call; a posted file begins again.
    `left` counts the sessions after this one. `known`: the server was asked about the one before, and that had ended.
    `again`: it is not the first.
    """

    def __init__(self, retry: Retry, longest: float) -> None:
        self._retry = retry
        self._seconds = min(longest, SESSION_SECONDS)
        self._later: Attempts | None = None
        self.again = False
        self._begin()

    def _begin(self) -> None:
        self.left = SESSIONS - 1
        self.known = False
        self._end = time.monotonic() + self._seconds

    async def go_on(self, lost: SessionLost, *, others_answered: bool) -> None:
        """Go on in the next session, or wait for better times after the last. Raises `lost` where there are none.

        `others_answered`: calls of others were answered meanwhile, so it is not that the server lets nobody in.
        """
        self.again = True
        if not others_answered or time.monotonic() >= self._end:
            self.left -= 1
        if self.left >= 0:
            return
        self._later = self._later or self._retry.attempts()
        if not self._later.may_repeat(lost):
            raise lost
        await self._later.pause()
        self._begin()
