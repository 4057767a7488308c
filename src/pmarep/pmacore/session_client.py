"""A PMA.core and one session there: logs in, sends requests, notices that the session has ended.

Source of every fact: the interface that PMA.core's published clients use (docs/protocol.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import datetime, timedelta
from math import inf
from types import TracebackType
from typing import Any, Self

import httpx

from ..errors import Remedy
from ..retry import ONCE, Retry
from .authentication import Authenticator
from .connection_diagnosis import VERSION, diagnose
from .connection_settings import Connection
from .errors import (
    CertificateRefused,
    Intercepted,
    PmaCoreError,
    ProtocolError,
    Redirected,
    Refused,
    ServerError,
    SessionLost,
    TransferBroken,
    UploadDoubtful,
    another_certificate,
)
from .http import Request, ask
from .redact import guard_logging
from .session_attempts import SessionAttempts, is_about_the_session
from .socket_options import HttpClient

log = logging.getLogger(__name__)

LONGEST_VERSION = 100  # characters
GOODBYE_SECONDS = 2.0
PROBE_SECONDS = 20.0
SHORT_SESSIONS = 10
SHORT_SECONDS = 60.0
"""A server that has ended so many sessions in so many seconds does not restart each time: somebody ends them."""

SURE_SECONDS = 5.0
"""After a call that was answered, its session is taken to live for so long."""


class SessionClient:
    """Asks one server in one session, which everyone shares who talks to it as the same user.

    Logs in when first needed; when a session has ended, logs in again and repeats the call (`SessionAttempts`).
    `password` is asked only then. `retry` repeats each call that has no slide bytes (None: nobody does), the answer to
    which may take `longest` seconds.
    As a context manager it logs out at the end, since sessions can count against a licence.
    Every method raises PmaCoreError, the first one also ConfigError.
    """

    def __init__(
        self,
        connection: Connection,
        password: Callable[[], Awaitable[str]],
        *,
        http: httpx.AsyncClient | None = None,
        retry: Retry | None = None,
        longest: float = inf,
    ) -> None:
        guard_logging()
        self.url = connection.url
        self._connection = connection
        self._client = http
        self._storage: httpx.AsyncClient | None = None  # for downloads that lead to other hosts
        self._may_look_further = http is None
        self._retry = retry or ONCE
        self._longest = longest
        self._session: str | None = None
        self._answered = False  # so its url is right
        self.logins = 0
        """How many sessions there have been."""
        self._login_times: deque[float] = deque(maxlen=SHORT_SESSIONS)
        self._answers = 0  # calls that were answered in a session
        self._repeating = asyncio.Lock()
        self._logging_in = asyncio.Lock()
        self._authenticator = Authenticator(connection, password, self.version, self._ask)
        self._secrets = self._authenticator.secrets
        self._date: datetime | None = None
        self._date_came = 0.0
        self._served = "", 0.0  # the session of the last call that was answered, and when

    @property
    def _http(self) -> httpx.AsyncClient:
        """The HTTP client, made with the first request. Raises ConfigError."""
        if self._client is None:
            self._client = self._connection.http()
        return self._client

    @property
    def round_trip(self) -> float | None:
        """Seconds to the server and back; None before there is a connection."""
        return self._client.round_trip.seconds if isinstance(self._client, HttpClient) else None

    @property
    def server_time(self) -> datetime | None:
        """The server's time now, by the `Date` of its last answer; None before there was one.

        Its presigned URLs end by that clock; ours may be hours ahead.
        """
        return None if self._date is None else self._date + timedelta(seconds=time.monotonic() - self._date_came)

    def _dated(self, date: datetime) -> None:
        self._date, self._date_came = date, time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Log out, trying once, whatever happened before, and close the connections. Raises nothing."""
        session, self._session = self._session, None
        try:
            if session is not None:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._ask(Request("GET", "api/json/DeAuthenticate", {"sessionID": session}), once=True)
        except (PmaCoreError, TimeoutError) as error:
            log.info("%s: could not log out: %s", self.url, error or "no answer in time")
        finally:
            for client in (self._client, self._storage):
                if client is not None:
                    await client.aclose()

    # Sessions

    async def version(self) -> str:
        """Return the server's version, such as `3.0.3.2222`; needs no session.

        It is the first request of all, so where it fails the cause is looked for: the error says more than elsewhere.
        """
        try:
            answer = await self._ask(VERSION)
            if not isinstance(answer, str) or len(answer) > LONGEST_VERSION:
                raise ProtocolError(f"{self.url} does not tell a PMA.core's version", "is the path of its url right?")
        except PmaCoreError as error:
            if self._answered or not self._may_look_further:
                raise
            raise await diagnose(self._connection, error) from None
        return answer

    async def probe(self) -> None:
        """Ask for the version once, without a session, to see whether the server answers. Raises PmaCoreError."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._ask(VERSION, once=True)
        except TimeoutError:
            raise TransferBroken(f"{self.url} does not tell its version in {PROBE_SECONDS:g} s") from None

    @property
    def sessions_are_short(self) -> bool:
        """True where sessions end far more often than a server restarts."""
        times = self._login_times
        return len(times) == SHORT_SESSIONS and times[-1] - times[0] < SHORT_SECONDS

    async def login(self) -> None:
        """Make sure that there is a session. Raises CredentialsRefused."""
        async with self._second_connection():
            await self._current_session()

    @asynccontextmanager
    async def _second_connection(self) -> AsyncIterator[None]:
        """Open a second connection while the first request of all is under way: the next ones go two at a time.

        Each connection takes some round trips.
        """
        if self._client is not None:
            yield
            return
        making = asyncio.create_task(self.probe())
        try:
            yield
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)

    async def _current_session(self) -> str:
        async with self._logging_in:
            if self._session is None:
                self._session = await self._authenticator.log_in(again=self.logins > 0)
                self.logins += 1
                self._login_times.append(time.monotonic())
            return self._session

    async def _session_has_ended(self, session: str, why: PmaCoreError, *, if_unsure: bool) -> bool:
        """Ask the server whether a session has ended, after a call in it was refused with `why`.

        No client shows how a PMA.core says so; a refusal of the question is no proof: then `if_unsure` counts, or what
        `why` says of sessions. Raises an error that may pass where the server cannot be asked just now, and `why`
        speaks of sessions.
        """
        if self._session != session:
            return True  # somebody else noticed already
        try:
            return await self._ask(Request("GET", "api/json/Ping", {"sessionID": session})) is False
        except Refused:
            return if_unsure or is_about_the_session(why)
        except PmaCoreError as error:
            if error.remedy is Remedy.RETRY and is_about_the_session(why):
                raise
            return False

    @contextmanager
    def _intercepted(self) -> Iterator[None]:
        """Raise, of a server that has answered before, Intercepted in place of what it would not say itself."""
        try:
            yield
        except Redirected as error:
            if self._answered and error.leads_away_from(self.url):
                raise Intercepted(
                    f"something between here and {self.url} redirects to another host",
                    "if that stays so, ask who runs the network, or whether PMA.core has moved",
                ) from None
            raise
        except CertificateRefused as error:
            raise (another_certificate(error, self.url) if self._answered else error) from None
        self._answered = True

    async def _ask(self, request: Request, *, once: bool = False) -> Any:
        """Send a request and return its answer; again after failures that pass, unless it is to go only `once`."""
        attempts = (ONCE if once else self._retry).attempts()
        while True:
            with attempts, self._intercepted():
                return await self._send(request)
            await attempts.pause()

    def _send(self, request: Request) -> Coroutine[Any, Any, Any]:
        """Return the coroutine that sends a request and returns its answer."""
        return ask(self._http, self._connection, request, self._secrets, self._dated, self._longest)

    def _storage_http(self) -> httpx.AsyncClient:
        """Return the client for downloads that lead elsewhere; making it takes 20 ms to read the certificates."""
        if self._storage is None:
            self._storage = self._connection.storage_http()
        return self._storage

    async def _call(self, make: Callable[[str], Request]) -> Any:
        """Send a request within a session, again in a new one where that has ended, and later where several have."""
        attempts = SessionAttempts(self._retry, self._longest)
        while True:
            async with self._session_for(attempts) as session:
                return await self._ask(make(session))

    @asynccontextmanager
    async def _session_for(
        self, attempts: SessionAttempts, *, bytes_follow: bool = False, only: int | None = None
    ) -> AsyncIterator[str]:
        """Yield a session for one attempt at a call; the block ends without an error where there is to be another.

        `bytes_follow`: the call has slide bytes. `only`: the number of the session that it has to be. Raises
        UploadDoubtful in another.
        """
        answers = self._answers
        # Of many that are asked again at once, most would only meet the end of the next session.
        turn = self._repeating if attempts.again and not bytes_follow else nullcontext()
        async with turn:
            session = await self._current_session()
            if only not in (None, self.logins):
                raise UploadDoubtful("the session in which the upload was announced has ended")
            try:
                yield session
                self._served = session, time.monotonic()
                self._answers += 1
                return
            except (Refused, ServerError) as error:
                about = is_about_the_session(error)
                failed_again = isinstance(error, ServerError) and not about
                if bytes_follow and failed_again and self._has_just_been_served(session):
                    raise
                attempts.known = await self._renew_session(session, error, attempts.left, attempts.known)
        await attempts.go_on(self._session_lost(), others_answered=about and self._answers != answers)

    async def _renew_session(self, session: str, error: PmaCoreError, left: int, known: bool) -> bool:
        """Forget a session that has ended. Raises `error` where it is about something else; `left` so many more come.

        `known`: the one before it in this call was asked about, and had ended. Then this one is asked about only where
        that is not clear: a server that ends sessions with every so many requests would end each at the same point.
        Returns whether this one was asked about, and had ended.
        """
        if known and is_about_the_session(error):
            self._forget(session)
            return False
        ended = await self._session_has_ended(session, error, if_unsure=left > 0)
        if ended:
            self._forget(session)
        elif not is_about_the_session(error):
            raise error
        return ended

    def _session_lost(self) -> SessionLost:
        return SessionLost(
            f"{self.url} ends each session at once", "is the same user logged in from another place meanwhile?"
        )

    def _has_just_been_served(self, session: str) -> bool:
        """Return whether the session has been good seconds ago: then it is not asked for after each failed file."""
        served, when = self._served
        return served == session and time.monotonic() - when < SURE_SECONDS

    def _forget(self, session: str) -> None:
        log.info("%s: the session had ended, logging in again", self.url)
        if self._session == session:
            self._session = None
