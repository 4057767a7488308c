"""A PMA.core as its clients see it: one method per call of its HTTP interface.

Source of every fact: the interface that PMA.core's published clients use (docs/protocol.md).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from types import TracebackType
from typing import Any, Self

import httpx

from ..errors import Remedy
from ..passwords import Password
from .connection_diagnosis import VERSION, diagnose
from .connection_settings import Connection
from .download import download
from .errors import (
    CertificateRefused,
    CredentialsRefused,
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
from .http import Body, Request, ask
from .models import Announcement, FileToSend, Login, RemoteFile, UploadStatus
from .redact import guard_logging, one_line
from .socket_options import HttpClient

log = logging.getLogger(__name__)

CALLER = "pmarep"
# The first version whose `authenticate` takes a POST; older ones want the password in the URL (PMA.UI does the same).
POST_LOGIN_SINCE = (2, 0, 0, 1836)
LONGEST_VERSION = 100
GOODBYE_SECONDS = 5.0
PROBE_SECONDS = 20.0
SESSIONS = 3
"""How often a call is tried in sessions in which no other is answered: a server that restarts may end two. After more,
some time may help."""
SESSION_SECONDS = 60.0
"""For so long, or as long as an answer may take, a call is made again in sessions in which others are answered."""
SHORT_SESSIONS = 10
SHORT_SECONDS = 60.0
"""A server that has ended so many sessions in so many seconds does not restart each time: somebody ends them."""

# Whole phrases, and no part of a path: `Slides/Session 3` may be missing.
_SESSION_ENDED = re.compile(
    r"\b(invalid|expired|unknown|missing|no|no such|no valid|no active) session\b"
    r"|(?<![\w/\\])session( id| key| token)?( has| had| is| was)?( already| been| not)* "
    r"(invalid|valid|expired|unknown|found|ended|closed|over|timed out|terminated|abandoned)\b",
    re.IGNORECASE,
)

KNOWN_SESSIONS = 50
"""Ids of so many sessions, the last ones, are hidden in messages: longer ended ones are no secrets any more, and each
costs time with every error."""

SURE_SECONDS = 5.0
"""After a call that was answered, its session is taken to live for so long."""

Patience = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class PmaCore:
    """A client for one server with one session, shared by everyone who talks to it as the same user.

    Limit of its retries: `SESSIONS` sessions for one call, then again as `patience` has it; lost: one request each.

    Logs in when first needed; when a session has ended, logs in again and repeats the call, in `SESSIONS` sessions at
    most. `password` is asked only then. `patience` runs each call and may repeat it; the answer to one without slide
    bytes may take `longest` seconds. As a context manager it logs out at the end, since sessions can count against a
    licence.
    Every method raises PmaCoreError, the first one also ConfigError.
    """

    def __init__(
        self,
        connection: Connection,
        password: Callable[[], Awaitable[str]],
        *,
        http: httpx.AsyncClient | None = None,
        patience: Patience | None = None,
        longest: float = inf,
    ) -> None:
        guard_logging()
        self.url = connection.url
        self._username = connection.username
        self._password = password
        self._connection = connection
        self._client = http
        self._storage: httpx.AsyncClient | None = None  # for downloads that lead to other hosts
        self._may_look_further = http is None
        self._patience = patience
        self._longest = longest
        self._session: str | None = None
        self._answered = False  # so its url is right
        self._old: bool | None = None  # whether it wants passwords in the URL
        self.logins = 0
        """How many sessions there have been."""
        self._login_times: deque[float] = deque(maxlen=SHORT_SESSIONS)
        self._answers = 0  # calls that were answered in a session
        self._repeating = asyncio.Lock()
        self._logging_in = asyncio.Lock()
        self._turned_away: CredentialsRefused | None = None
        self._secrets: list[str] = []
        self._session_ids: deque[str] = deque()  # those of `_secrets` that are session ids, oldest first
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
        """Log out, whatever happened before, and close the connections. Raises nothing."""
        session, self._session = self._session, None
        try:
            if session is not None:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._ask(Request("GET", "api/json/DeAuthenticate", {"sessionID": session}))
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
                await self._ask_once(VERSION)
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
            if self._turned_away is not None:
                # Asking again, for each of forty sites, would lock the account.
                raise self._turned_away
            if self._session is None:
                self._session = await self._authenticate()
                self.logins += 1
                self._login_times.append(time.monotonic())
            return self._session

    async def _authenticate(self) -> str:
        if self._old is None:
            version = tuple(map(int, re.findall(r"[0-9]{1,9}", await self.version())[:4]))
            self._old = bool(version) and version < POST_LOGIN_SINCE
        password = await self._password()
        self._keep_secret(password)
        if not _is_text(password):
            raise CredentialsRefused(f"the password of {self._username} is not valid text", "set it again as UTF-8")
        who = {"username": self._username, "password": password, "caller": CALLER}
        if self._old:
            request = Request("GET", "api/json/authenticate", who)
        else:
            request = Request("POST", "api/json/authenticate", {"caller": CALLER}, json=who)
        # Sent again after the server has handled it, it would leave a session open that nobody knows.
        request = replace(request, new_connection=self.logins > 0)
        try:
            login = Login.read(await self._ask(request), "authenticate")
        except Refused as error:
            raise self._not_let_in(str(error), password) from None
        if not login.success:
            raise self._not_let_in(login.reason or "no reason given", password)
        if not login.session_id or not _is_text(login.session_id):
            raise ProtocolError(f"{self.url} let {self._username} in but gave no session")
        self._keep_session_id(login.session_id)
        log.info("%s: logged in as %s", self.url, self._username)
        return login.session_id

    def _not_let_in(self, words: str, password: str) -> CredentialsRefused:
        source = password.source if isinstance(password, Password) else "pmarep sites login"
        self._turned_away = CredentialsRefused(
            f"{self.url} does not let {self._username} in ({one_line(words, self._secrets)})",
            f"check user name and password ({source}), or ask the server's administrator",
        )
        return self._turned_away

    def _keep_secret(self, secret: str) -> bool:
        """Hide a secret in messages from now on. Return whether it was not known before."""
        if new := secret not in self._secrets:
            self._secrets.append(secret)
        return new

    def _keep_session_id(self, session: str) -> None:
        """Hide a session id in messages, until `KNOWN_SESSIONS` others have come after it."""
        if self._keep_secret(session):
            self._session_ids.append(session)
            if len(self._session_ids) > KNOWN_SESSIONS:
                self._secrets.remove(self._session_ids.popleft())

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
            return if_unsure or _is_about_the_session(why)
        except PmaCoreError as error:
            if error.remedy is Remedy.RETRY and _is_about_the_session(why):
                raise
            return False

    async def _ask_once(self, request: Request) -> Any:
        try:
            answer = await ask(self._http, self._connection, request, self._secrets, self._dated, self._longest)
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
        return answer

    async def _ask(self, request: Request) -> Any:
        async def once() -> Any:
            return await self._ask_once(request)

        # A request with slide bytes is repeated by those who count the bytes.
        return await (once() if self._patience is None or request.body is not None else self._patience(once))

    async def _call(
        self, make: Callable[[str], Request], *, bytes_follow: bool = False, only: int | None = None
    ) -> Any:
        """Send a request within a session; repeat it in a new one where that has ended, and later where several have.

        `bytes_follow`: it has slide bytes, so that those who count them try again. `only`: the number of the session
        that it has to be. Raises UploadDoubtful in another.
        """
        try:
            return await self._ask_in_sessions(make, only, in_turn=not bytes_follow)
        except SessionLost as error:
            if self._patience is None or bytes_follow:
                raise
            lost = [error]  # the first attempt

        async def attempt() -> Any:
            if lost:
                raise lost.pop()
            try:
                return await self._ask_in_sessions(make, only, in_turn=not bytes_follow)
            except SessionLost:
                raise
            except PmaCoreError as error:  # where it helps, it was tried again already
                return error

        answer = await self._patience(attempt)
        if isinstance(answer, PmaCoreError):
            raise answer
        return answer

    async def _ask_in_sessions(self, make: Callable[[str], Request], only: int | None, *, in_turn: bool) -> Any:
        """Ask, and again in the next session where one has ended. Raises SessionLost, and what `_call` raises.

        `in_turn`: where it is asked again, no other such call is meanwhile: of many at once, most would only meet the
        end of the next session.
        """
        known, left = False, SESSIONS - 1
        end = time.monotonic() + min(self._longest, SESSION_SECONDS)
        turn: AbstractAsyncContextManager[Any] = nullcontext()
        while left >= 0:
            answers = self._answers
            async with turn:
                session = await self._current_session()
                if only not in (None, self.logins):
                    raise UploadDoubtful("the session in which the upload was announced has ended")
                request = make(session)
                try:
                    answer = await self._ask(request)
                    self._served = session, time.monotonic()
                    self._answers += 1
                    return answer
                except (Refused, ServerError) as error:
                    about = _is_about_the_session(error)
                    failed_again = isinstance(error, ServerError) and not about
                    if request.body is not None and failed_again and self._has_just_been_served(session):
                        raise
                    known = await self._renew_session(session, error, left, known)
            # Where others are answered meanwhile, it is not that the server lets nobody in.
            if not about or self._answers == answers or time.monotonic() >= end:
                left -= 1
            turn = self._repeating if in_turn else turn
        raise self._session_lost()

    async def _renew_session(self, session: str, error: PmaCoreError, left: int, known: bool) -> bool:
        """Forget a session that has ended. Raises `error` where it is about something else; `left` so many more come.

        `known`: the one before it in this call was asked about, and had ended. Then this one is asked about only where
        that is not clear: a server that ends sessions with every so many requests would end each at the same point.
        Returns whether this one was asked about, and had ended.
        """
        if known and _is_about_the_session(error):
            self._forget(session)
            return False
        ended = await self._session_has_ended(session, error, if_unsure=left > 0)
        if ended:
            self._forget(session)
        elif not _is_about_the_session(error):
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

    # Looking around

    async def _get(self, method: str, **query: str) -> Any:
        return await self._call(lambda s: Request("GET", f"api/json/{method}", {"sessionID": s, **query}))

    async def _strings(self, method: str, **query: str) -> list[str]:
        answer = await self._get(method, **query)
        if not isinstance(answer, list) or not all(isinstance(item, str) for item in answer):
            raise ProtocolError(f"{self.url} answers {method} with something that is no list of names")
        return answer

    async def root_directories(self) -> list[str]:
        """Return the names of the root-directories that this user sees."""
        return await self._strings("GetRootDirectories")

    async def directories(self, path: str) -> list[str]:
        """Return the full virtual paths of the folders in a folder."""
        return [item.strip("/") for item in await self._strings("GetDirectories", path=path)]

    async def slides(self, path: str) -> list[str]:
        """Return the full virtual paths of the main files in a folder."""
        return [item.strip("/") for item in await self._strings("GetFiles", path=path)]

    async def slide_files(self, path: str) -> list[RemoteFile]:
        """Return all files of a slide, the main file not always first."""
        answer = await self._get("GetFilenames", pathOrUid=path)
        if not isinstance(answer, list):
            raise ProtocolError(f"{self.url} answers GetFilenames with something that is no list")
        return [RemoteFile.read(item, "GetFilenames") for item in answer]

    async def image_info(self, path: str) -> dict[str, Any]:
        """Return the server's image info of a slide. Raises Refused while it has not understood it (yet)."""
        answer = await self._get("GetImageInfo", pathOrUid=path)
        if not isinstance(answer, dict):
            raise Refused("the server cannot read it as a slide")
        return answer

    async def fingerprint(self, path: str) -> str:
        """Return a slide's fingerprint, to be compared between servers only: how it is computed is the server's own."""
        answer = await self._get("GetFingerprint", pathOrUid=path)
        if not isinstance(answer, str):
            raise ProtocolError(f"{self.url} answers GetFingerprint with something that is no text")
        return answer

    async def create_directory(self, path: str) -> None:
        """Make one folder below an existing one; where it exists already, that may be refused."""
        await self._post("CreateDirectory", path)

    async def delete_slide(self, path: str) -> None:
        """Remove a slide with all its files, by the virtual path of its main file. There is no way back."""
        await self._post("DeleteSlide", path)

    async def _post(self, method: str, path: str) -> None:
        answer = await self._call(
            lambda s: Request("POST", f"api/json/{method}", json={"sessionID": s, "path": path}),
        )
        if answer is False:
            raise Refused(f"{method} was refused: no reason given")

    # Download

    @asynccontextmanager
    async def download(self, slide: str, file: str, size: int | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a download of one file of a slide; yield its chunks as they come.

        `slide` is the virtual path of the slide, `file` the path of the file from the slide's folder, `size` how many
        bytes it has to have, if that is known.
        """
        if self._storage is None:
            self._storage = self._connection.storage_http()
        begun = known = False
        for left in range(SESSIONS - 1, -1, -1):
            session = await self._current_session()
            query = {"sessionId": session, "image": slide, "path": file}
            request = Request("GET", "transfer/Download", query, any_answer=True)
            try:
                async with download(
                    self._http, self._storage, self._connection, request, self._secrets, size
                ) as chunks:
                    begun = True
                    yield chunks
                return
            except (Refused, ServerError) as error:
                if begun:
                    raise
                known = await self._renew_session(session, error, left, known)
        raise self._session_lost()

    # Upload

    async def announce(self, folder: str, files: Sequence[FileToSend]) -> Announcement:
        """Announce the files that are to come below a folder; exactly one of them is the main file."""
        json = {
            "Path": folder,
            "Files": [{"Path": file.path, "Length": file.length, "IsMain": file.is_main} for file in files],
        }
        answer = await self._call(lambda s: Request("POST", "transfer/Upload", {"sessionID": s}, json=json))
        return Announcement.read(answer, "transfer/Upload")

    async def post_file(self, upload: int | str, path: str, body: Body, session: int | None = None) -> None:
        """Send one file of an upload to a FileSystem root-directory. `path` as announced.

        `session`: that in which the id of the upload is known to be right, as `logins` counts them (None: any). Raises
        UploadDoubtful where that has ended.
        """
        url = f"transfer/Upload/{upload}"
        await self._call(
            lambda s: Request("POST", url, {"sessionID": s, "path": path}, body=body, any_answer=True),
            bytes_follow=True,
            only=session,
        )

    async def complete_multipart(self, path: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Put the parts of one file together: its full virtual path, S3's id, (number, ETag) in ascending order."""
        json = {
            "FilePath": path,
            "UploadId": upload_id,
            "Parts": [{"PartNumber": number, "ETag": tag} for number, tag in parts],
        }
        url = "transfer/Upload/CompleteMultipart"
        await self._call(lambda s: Request("POST", url, {"sessionID": s}, json=json, any_answer=True, slow=True))

    async def upload_status(self, upload: int | str) -> UploadStatus:
        """Ask for the state of an upload, which is also the call that ends one. NotFound or Refused if unknown."""
        url = f"transfer/Upload/{upload}"
        answer = await self._call(lambda s: Request("GET", url, {"sessionID": s}, any_answer=True))
        return UploadStatus.read(answer if isinstance(answer, dict) else {}, "transfer/Upload")


def _is_about_the_session(error: PmaCoreError) -> bool:
    """Return whether a refusal says that the session is no good: then it is about nothing else, whatever its status."""
    return _SESSION_ENDED.search(str(error)) is not None


def _is_text(password: str) -> bool:
    """Return whether a password is text: a variable or a command may have given bytes that are no UTF-8.

    An encoder's error would quote them all.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True
