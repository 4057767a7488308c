"""Sessions of a client: made late, renewed once, given back; and broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine

import httpx
import pytest
from support.scripted_core import PASSWORD, SESSION, URL, ScriptedCore, aspnet, html, refusal

from pmarep.errors import Remedy
from pmarep.pmacore import (
    Connection,
    Intercepted,
    PermissionDenied,
    PmaCore,
    PmaCoreError,
    ProxyRefused,
    Refused,
    ServerError,
    SessionLost,
    TlsError,
    TransferBroken,
    Unreachable,
)
from pmarep.pmacore.authentication import KNOWN_SESSIONS
from pmarep.pmacore.http import Body
from pmarep.pmacore.session_attempts import SESSIONS, SessionAttempts
from pmarep.retry import MAX_RETRY_AFTER, ONCE, Retry


async def test_no_session_before_it_is_needed_and_none_left() -> None:
    script = ScriptedCore(GetFiles=[])
    async with script.core() as core:
        await core.version()
        assert not script.asked("authenticate")
        await asyncio.gather(*(core.slides("Slides") for _ in range(10)))
        assert len(script.asked("authenticate")) == 1
    (goodbye,) = script.asked("DeAuthenticate")
    assert goodbye.url.params["sessionID"] == SESSION


@pytest.mark.parametrize("ended", [refusal("Invalid session"), refusal("x", 401), html(401), aspnet("x", 500)])
async def test_an_ended_session_is_renewed_and_the_call_repeated(ended: httpx.Response) -> None:
    script = ScriptedCore(
        authenticate=[
            httpx.Response(200, json={"Success": True, "SessionId": "one"}),
            httpx.Response(200, json={"Success": True, "SessionId": "two"}),
        ],
        Ping=False,
        GetFiles=[ended, httpx.Response(200, json=["Slides/a.svs"])],
    )
    async with script.core() as core:
        assert await core.slides("Slides") == ["Slides/a.svs"]
    assert [request.url.params["sessionID"] for request in script.asked("GetFiles")] == ["one", "two"]
    assert [request.url.params["sessionID"] for request in script.asked("DeAuthenticate")] == ["two"]


async def test_ids_of_sessions_that_have_long_ended_are_forgotten() -> None:
    ids = [f"session-{number}" for number in range(2 * KNOWN_SESSIONS)]
    script = ScriptedCore(
        authenticate=[httpx.Response(200, json={"Success": True, "SessionId": one}) for one in ids],
        Ping=False,
        GetFiles=[refusal("Invalid session"), httpx.Response(200, json=[])] * (len(ids) - 1)
        + [refusal(f"no {ids[-1]}, {ids[-2]}, {PASSWORD}")],
    )
    async with script.core() as core:
        for _ in ids[1:]:
            await core.slides("Slides")
        assert core._secrets == [PASSWORD, *ids[-KNOWN_SESSIONS:]]
        script.answers["Ping"] = True
        with pytest.raises(Refused, match=r"no \*\*\*, \*\*\*, \*\*\*"):
            await core.slides("Slides")


async def test_a_refusal_in_a_living_session_is_a_refusal() -> None:
    script = ScriptedCore(GetFiles=refusal("No such folder"))
    async with script.core() as core:
        with pytest.raises(Refused, match="No such folder"):
            await core.slides("Slides")
    assert len(script.asked("authenticate")) == 1
    assert len(script.asked("GetFiles")) == 1


async def test_not_repeated_for_ever() -> None:
    script = ScriptedCore(GetFiles=refusal("no"), Ping=refusal("no"))
    async with script.core() as core:
        with pytest.raises(Refused):
            await core.slides("Slides")
    assert len(script.asked("GetFiles")) == SESSIONS
    assert len(script.asked("authenticate")) == SESSIONS


async def test_a_server_that_ends_each_session_may_be_well_again_later() -> None:
    script = ScriptedCore(GetFiles=refusal("Invalid session"), Ping=False)
    async with script.core() as core:
        with pytest.raises(SessionLost, match="ends each session at once; is the same user") as caught:
            await core.slides("Slides")
    assert caught.value.remedy is Remedy.RETRY
    assert len(script.asked("GetFiles")) == SESSIONS


@pytest.mark.parametrize("ping", [True, False, refusal("Invalid session ID", 403)])
@pytest.mark.parametrize("status", [200, 401, 403, 500])
@pytest.mark.parametrize(
    "words",
    ["Invalid session ID", "The session has expired.", "No such session", "Session ID is not valid", "Session ended"],
)
async def test_words_about_a_session_are_about_the_session(words: str, status: int, ping: object) -> None:
    """And not about the rights of this user, whatever a ping says by then."""
    script = ScriptedCore(GetFiles=refusal(words, status), Ping=ping)
    async with script.core() as core:
        with pytest.raises(SessionLost, match="ends each session at once"):
            await core.slides("Slides")
        script.answers["GetFiles"] = [refusal(words, status)] * 2 + [httpx.Response(200, json=[])]
        assert await core.slides("Slides") == []
    left_open = len(script.asked("authenticate")) - len(script.asked("DeAuthenticate"))
    assert left_open == 0 or ping is not True


@pytest.mark.parametrize(
    "words", ["Slides/Session 3/a.svs not found", "Slides/session not found", "You may not see the session notes"]
)
async def test_a_path_is_no_word_about_a_session(words: str) -> None:
    script = ScriptedCore(GetFiles=refusal(words, 403))
    async with script.core() as core:
        with pytest.raises(PermissionDenied):
            await core.slides("Slides")
    assert len(script.asked("GetFiles")) == 1


@pytest.mark.parametrize("ping", [html(503), httpx.ReadError("gone"), html(200)])
async def test_a_ping_that_fails_says_nothing_about_the_session(ping: object) -> None:
    script = ScriptedCore(GetFiles=refusal("No such folder"), Ping=ping)
    async with script.core() as core:
        with pytest.raises(Refused, match="No such folder"):
            await core.slides("Slides")
    assert len(script.asked("authenticate")) == 1


async def test_where_it_cannot_be_found_out_whether_the_session_ended_it_is_tried_later() -> None:
    script = ScriptedCore(GetFiles=refusal("Invalid session ID"), Ping=html(503))
    async with script.core() as core:
        with pytest.raises(ServerError) as caught:
            await core.slides("Slides")
    assert caught.value.remedy is Remedy.RETRY


async def test_many_calls_notice_an_ended_session_and_one_logs_in() -> None:
    sessions = iter("abcdefgh")
    script = ScriptedCore(authenticate=lambda: {"Success": True, "SessionId": next(sessions)}, Ping=False)

    def files() -> object:
        return [] if script.requests[-1].url.params["sessionID"] != "a" else refusal("Invalid session")

    script.answers["GetFiles"] = files
    async with script.core() as core:
        await asyncio.gather(*(core.slides("Slides") for _ in range(20)))
    assert len(script.asked("authenticate")) == 2


SESSION_ENDED = refusal("Invalid session")
POST = "transfer/Upload/1"


async def post(core: PmaCore) -> None:
    async def content() -> AsyncGenerator[bytes, None]:
        yield b"x"

    await core.post_file("1", "x.svs", Body(content, 1, "image/tiff"))


def core_at(handle: Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]) -> PmaCore:
    async def password() -> str:
        return PASSWORD

    return PmaCore(Connection(URL, "seeder"), password, http=httpx.AsyncClient(transport=httpx.MockTransport(handle)))


@pytest.mark.parametrize(("posts", "at_once"), [(False, 1), (True, 3)])
async def test_after_the_end_of_a_session_calls_are_repeated_one_at_a_time_but_files_are_not(
    posts: bool, at_once: int
) -> None:
    sessions = iter("abcdefgh")
    script = ScriptedCore(authenticate=lambda: {"Success": True, "SessionId": next(sessions)}, Ping=False)
    all_came = asyncio.Event()
    came = running = most = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal came, running, most
        if not request.url.path.endswith(("GetFiles", POST)):
            return script(request)
        came += 1
        if came <= 3:
            if came == 3:
                all_came.set()
            await all_came.wait()
            return SESSION_ENDED
        running += 1
        most = max(most, running)
        for _ in range(50):
            await asyncio.sleep(0)
        running -= 1
        return httpx.Response(200, json=[])

    async with asyncio.timeout(60), core_at(handle) as core:
        await asyncio.gather(*(post(core) if posts else core.slides("Slides") for _ in range(3)))
    assert (came, most) == (6, at_once)


async def test_a_call_is_repeated_in_more_sessions_while_others_are_answered() -> None:
    answers = [SESSION_ENDED] * (SESSIONS + 2) + [httpx.Response(200, json=[])]
    script = ScriptedCore(GetFiles=answers, GetFilenames=[], Ping=False)

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("GetFiles"):
            await core.slide_files("Slides/a.svs")
        return script(request)

    async with core_at(handle) as core:
        assert await core.slides("Slides") == []
    assert len(script.asked("GetFiles")) == SESSIONS + 3


@pytest.mark.parametrize(("served", "pings"), [(False, 1), (True, 0)])
async def test_a_session_that_was_good_just_now_is_not_asked_about_after_a_failed_file(
    served: bool, pings: int
) -> None:
    script = ScriptedCore(GetFiles=[], **{POST: html(503)})
    async with script.core() as core:
        if served:
            await core.slides("Slides")
        with pytest.raises(ServerError):
            await post(core)
    assert len(script.asked("Ping")) == pings


async def test_a_session_that_was_good_just_now_is_asked_about_after_another_failed_call() -> None:
    script = ScriptedCore(GetFiles=[httpx.Response(200, json=[]), html(503)])
    async with script.core() as core:
        await core.slides("Slides")
        with pytest.raises(ServerError):
            await core.slides("Slides")
    assert len(script.asked("Ping")) == 1


async def test_a_file_is_not_sent_again_later_by_the_client() -> None:
    """Those who count its bytes do that."""
    script = ScriptedCore(Ping=False, **{POST: SESSION_ENDED})
    async with script.core(retry=Retry(sleep=lambda _: asyncio.sleep(0))) as core:
        with pytest.raises(SessionLost):
            await post(core)
    assert len(script.asked(POST)) == SESSIONS


async def test_a_file_that_a_sign_in_page_has_taken_may_be_sent_again() -> None:
    script = ScriptedCore(GetFiles=[], **{POST: httpx.Response(302, headers={"location": "https://hotel.example/"})})
    async with script.core() as core:
        await core.slides("Slides")
        with pytest.raises(Intercepted):
            await post(core)


@pytest.mark.parametrize("goodbye", [html(500), refusal("Invalid session"), httpx.ConnectError("down"), html(200)])
async def test_a_goodbye_that_fails_is_no_error(goodbye: object) -> None:
    script = ScriptedCore(GetFiles=[], DeAuthenticate=goodbye)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with script.core(retry=Retry(sleep=sleep)) as core:
        await core.slides("Slides")
    assert (len(script.asked("DeAuthenticate")), pauses) == (1, [])


def caused(error: httpx.HTTPError, cause: BaseException) -> httpx.HTTPError:
    error.__cause__ = cause
    return error


UNTRUSTED = ssl.SSLCertVerificationError("self-signed certificate")
UNTRUSTED.verify_message = "self-signed certificate"
PLAIN = ssl.SSLError(1, "WRONG_VERSION_NUMBER")
PLAIN.reason = "WRONG_VERSION_NUMBER"
ALERT = ssl.SSLError(1, "TLSV13_ALERT_CERTIFICATE_REQUIRED")
ALERT.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
HUNG_UP = ssl.SSLEOFError(8, "EOF")
HUNG_UP.reason = "UNEXPECTED_EOF_WHILE_READING"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (caused(httpx.ConnectError(""), ConnectionRefusedError(111, "x")), Unreachable, "refused the connection"),
        (caused(httpx.ConnectError(""), socket.gaierror(-2, "x")), Unreachable, "host name pma.example"),
        (caused(httpx.ConnectError(""), OSError(errno.EHOSTUNREACH, "No route")), Unreachable, "No route"),
        (httpx.ConnectTimeout(""), Unreachable, "in time"),
        (httpx.ProxyError("407 https://u:secret@proxy/?key=secret"), ProxyRefused, "wants a user name and password"),
        (httpx.ProxyError("403 Forbidden"), ProxyRefused, "refused .403 Forbidden.; whoever runs it has to allow"),
        (httpx.ProxyError("502 Bad Gateway"), ServerError, "cannot reach .*502 Bad Gateway"),
        (caused(httpx.ConnectError(""), PLAIN), TlsError, "http or https"),
        (caused(httpx.ConnectError(""), HUNG_UP), Unreachable, "hung up in the middle of the TLS handshake"),
        (ALERT, TlsError, "wants a client certificate"),
        (caused(httpx.ReadError(""), ALERT), TlsError, "wants a client certificate"),
        (PLAIN, TransferBroken, "broke"),  # within a connection that stood: damage on the way
        (httpx.ReadError("https://secret"), TransferBroken, "broke"),
        (caused(httpx.WriteError(""), BrokenPipeError(32, "Broken pipe")), TransferBroken, "Broken pipe"),
        (httpx.RemoteProtocolError("peer closed"), TransferBroken, "connection closed"),
        (httpx.ReadTimeout(""), TransferBroken, "silent"),
        (httpx.WriteTimeout(""), TransferBroken, "silent"),
        (httpx.DecodingError("secret"), PmaCoreError, "DecodingError"),
    ],
)
async def test_connections_that_fail(error: Exception, kind: type[PmaCoreError], words: str) -> None:
    async with ScriptedCore(GetFiles=error).core() as core:
        with pytest.raises(kind, match=words) as caught:
            await core.slides("Slides")
    assert "pma.example" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert SESSION not in str(caught.value)
    assert (caught.value.remedy is Remedy.RETRY) is (kind in (Unreachable, TransferBroken, ServerError))
    assert (caught.value.remedy is Remedy.STOP_SITE) is (kind in (TlsError, ProxyRefused))


async def test_a_certificate_that_is_another_one_all_at_once() -> None:
    """From the beginning it is the site's, later on that of somebody in between."""
    untrusted = caused(httpx.ConnectError(""), UNTRUSTED)
    async with ScriptedCore(GetVersionInfo=untrusted).core() as core:
        with pytest.raises(TlsError, match=r"self-signed.*ca_bundle") as first:
            await core.slides("Slides")
    assert first.value.remedy is Remedy.STOP_SITE
    async with ScriptedCore(GetFiles=untrusted).core() as core:
        with pytest.raises(Intercepted, match=r"pma\.example.* shows a certificate of its own .self-signed") as later:
            await core.slides("Slides")
    assert later.value.remedy is Remedy.RETRY


@pytest.mark.parametrize(("longest", "more"), [(60.0, 3 * SESSIONS), (0.0, 0)])
async def test_a_call_is_made_in_more_sessions_while_others_are_answered(longest: float, more: int) -> None:
    attempts, lost = SessionAttempts(ONCE, longest), SessionLost("ended")
    for _ in range(more):
        await attempts.go_on(lost, others_answered=True)
    for _ in range(SESSIONS - 1):
        await attempts.go_on(lost, others_answered=more == 0)
    with pytest.raises(SessionLost):
        await attempts.go_on(lost, others_answered=more == 0)


async def test_retry_pauses_grow_and_end() -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    calls = 0

    async def fails() -> None:
        nonlocal calls
        calls += 1
        raise ServerError("busy")

    with pytest.raises(ServerError):
        await Retry(attempts=9, sleep=note)(fails)
    assert calls == 9
    assert len(pauses) == 8
    assert all(0 <= pause <= min(0.5 * 2**number, 15) for number, pause in enumerate(pauses))


async def test_retries_are_a_part_of_all_requests_only() -> None:
    """A server that fails all requests gets hardly more of them for it."""
    calls = 0

    async def nothing(_: float) -> None:
        pass

    async def fails() -> None:
        nonlocal calls
        calls += 1
        raise ServerError("busy")

    retry = Retry(sleep=nothing)
    for _ in range(200):
        with pytest.raises(ServerError):
            await retry(fails)
    assert 200 + Retry.RESERVE <= calls <= 200 * (1 + Retry.SHARE) + Retry.RESERVE + 1


@pytest.mark.parametrize(("asked", "attempts"), [(30.0, 5), (MAX_RETRY_AFTER + 1, 1)])
async def test_retry_waits_as_long_as_the_server_asks(asked: float, attempts: int) -> None:
    """What is too long for one request is for the whole site to wait."""
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    async def fails() -> None:
        raise ServerError("busy", retry_after=asked)

    with pytest.raises(ServerError):
        await Retry(sleep=note)(fails)
    assert pauses == [asked] * (attempts - 1)


async def test_retry_lets_other_errors_through() -> None:
    calls = 0

    async def fails() -> None:
        nonlocal calls
        calls += 1
        raise Refused("no")

    with pytest.raises(Refused):
        await Retry()(fails)
    assert calls == 1


PAIRS = {"GetVersionInfo": "3.0.3.2222", "authenticate": {"Success": True, "SessionId": SESSION}, "GetFiles": []}


class Pairs:
    """A PMA.core that lets a client in once it has two connections, and answers its questions two at a time only."""

    def __init__(self) -> None:
        self.connections = 0
        self._two_connections = asyncio.Event()
        self._questions = asyncio.Barrier(2)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                (name,) = re.findall(r"api/json/(\w+)", head)
                await self._wait(name)
                body = json.dumps(PAIRS.get(name, True)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                if name == "GetVersionInfo" and self.connections == 2:
                    self._two_connections.set()
        writer.close()

    async def _wait(self, name: str) -> None:
        if name == "authenticate":
            await self._two_connections.wait()
            for _ in range(50):  # until the client has read what it was answered
                await asyncio.sleep(0)
        elif name == "GetFiles":
            await self._questions.wait()


async def test_logging_in_opens_two_connections_at_once() -> None:
    """So that the next questions, which come in pairs, need no more round trips for them."""
    pairs = Pairs()

    async def password() -> str:
        return PASSWORD

    async with asyncio.timeout(60), await asyncio.start_server(pairs, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with PmaCore(Connection(f"http://127.0.0.1:{port}/", "seeder"), password) as core:
            await core.login()
            await asyncio.gather(core.slides("Slides"), core.slides("Slides"))
            assert pairs.connections == 2
