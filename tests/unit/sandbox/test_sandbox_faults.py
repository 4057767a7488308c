from __future__ import annotations

import threading
import time

import httpx
import pytest
from support import plain_http
from support.fork_server import PATIENCE
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import (
    CannedResponse,
    Corrupt,
    Delay,
    Drop,
    EndSessions,
    Hold,
    IgnoreRanges,
    LoggedRequest,
    Sandbox,
    SlowRead,
)

CONTENT = bytes(range(256)) * 20_000  # 5 MB


def test_an_answer_replaces_the_handling_for_the_requests_that_match(sandbox: Sandbox) -> None:
    page = CannedResponse.iis(503, headers={"Retry-After": "2"})
    rule = sandbox.faults.add(page, method="POST", path=r"transfer/Upload/\d+\?path=x/2", after=1, times=2)
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"x/1.dat": 1, "x/2.dat": 1, "x.mrxs": 1})
        statuses = [client.send(upload, f"x/{number}.dat", b"1") for number in (1, 2, 2, 2, 2)]
        assert [answer.status_code for answer in statuses] == [200, 200, 503, 503, 200]
        assert statuses[2].headers["retry-after"] == "2"
        assert "<html" in statuses[2].text
    assert (rule.seen, rule.hits) == (4, 2)


def test_the_shapes_of_refusals(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        rule = sandbox.faults.add(CannedResponse.refusal("not yet", code=7))
        assert client.get("GetFiles", path="Slides") == {"Code": 7, "Message": "not yet"}
        sandbox.faults.remove(rule)
        sandbox.faults.add(CannedResponse.aspnet("over quota"))
        assert client.get("GetFiles", path="Slides")["ExceptionMessage"] == "over quota"
        sandbox.faults.clear()
        assert client.get("GetFiles", path="Slides") == []


def test_a_connection_dropped_in_a_body_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.faults.add(Drop(after_bytes=1_000_000), method="POST", path="a.svs")
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"a.svs": len(CONTENT)})
        with pytest.raises(httpx.TransportError):
            client.send(upload, "a.svs", CONTENT)
        assert sandbox.wait_idle()
        entry = sandbox.requests[-1]
        assert (entry.status, entry.path) == (0, f"transfer/Upload/{upload}?path=a.svs")
        assert 1_000_000 <= entry.received < len(CONTENT)
        assert client.status(upload) == {"a.svs": False}
        assert list((sandbox.data / ".sandbox" / "incoming").iterdir()) == []
        sandbox.faults.clear()
        assert client.send(upload, "a.svs", CONTENT).status_code == 200
        assert sandbox.received_files()["a.svs"] > len(CONTENT) + 500_000


def test_a_connection_dropped_before_and_instead_of_the_answer(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        for action, made in ((Drop(), False), (Drop(after_bytes=None), True)):
            rule = sandbox.faults.add(action, path="CreateDirectory")
            with pytest.raises(httpx.TransportError):
                client.post("CreateDirectory", path="Slides/a")
            sandbox.faults.remove(rule)
            assert (sandbox.data / "Slides" / "a").is_dir() == made


def test_a_download_dropped_on_its_way(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        client.push("Slides", {"a.svs": CONTENT})
        sandbox.faults.add(Drop(after_bytes=2_000_000), path="transfer/Download")
        with pytest.raises(httpx.TransportError):
            client.download("Slides/a.svs", "a.svs")


def test_a_download_dropped_after_so_many_bytes(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        client.push("Slides", {"a.svs": CONTENT})
        sandbox.faults.add(Drop(after_bytes=1_500_001), path="transfer/Download")
        came: list[bytes] = []
        with client.stream_download("Slides/a.svs", "a.svs") as answer, pytest.raises(httpx.RemoteProtocolError):
            came.extend(answer.iter_raw())
        assert b"".join(came) == CONTENT[:1_500_001]


def test_a_server_can_ignore_ranges(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        client.push("Slides", {"a.svs": CONTENT})
        sandbox.faults.add(IgnoreRanges(), path="transfer/Download")
        answer = client.download("Slides/a.svs", "a.svs", Range="bytes=5-9")
        assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_session_can_end_before_a_request(sandbox: Sandbox) -> None:
    sandbox.faults.add(EndSessions(), method="POST", path="transfer/Upload/", times=1)
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"a.svs": 1})
        assert client.send(upload, "a.svs", b"1").status_code == 401
    with Client(sandbox) as client:
        assert client.send(upload, "a.svs", b"1").status_code == 200


def test_a_byte_can_be_damaged_when_stored(sandbox: Sandbox) -> None:
    sandbox.faults.add(Corrupt(offset=3_000_001), path="a.svs", times=2)  # the status question counts as well
    with Client(sandbox) as client:
        client.push("Slides", {"a.svs": CONTENT})
        stored = client.download("Slides/a.svs", "a.svs").content
    assert [at for at in range(len(CONTENT)) if stored[at] != CONTENT[at]] == [3_000_001]


def test_a_hold_stops_a_request_in_the_middle(sandbox: Sandbox) -> None:
    hold = Hold(after_bytes=1_000_000)
    sandbox.faults.add(hold, method="POST", path="a.svs")
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"a.svs": len(CONTENT)})
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.send(upload, "a.svs", CONTENT)))
        thread.start()
        assert hold.reached.wait(PATIENCE)
        assert not answers
        assert not (sandbox.data / "Slides" / "a.svs").exists()
        hold.release()
        thread.join(PATIENCE)
        assert answers[0].status_code == 200


def test_a_client_that_is_held_does_not_keep_the_sandbox_from_stopping(sandbox: Sandbox) -> None:
    hold = Hold()
    sandbox.faults.add(hold, path="IsLite")
    errors: list[Exception] = []

    def ask() -> None:
        try:
            plain_http.get(sandbox.url + "api/json/IsLite")
        except httpx.HTTPError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert hold.reached.wait(PATIENCE)
    sandbox.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    with pytest.raises(httpx.ConnectError):
        plain_http.get(sandbox.url + "api/json/IsLite")


@pytest.mark.parametrize("kind", ["delay", "slow read", "rate", "latency"])
def test_slowness(start_sandbox: StartSandbox, kind: str) -> None:
    settings = {"rate": {"rate": 10e6}, "latency": {"latency": 0.1}}.get(kind, {})
    sandbox = start_sandbox(**settings)
    if kind == "delay":
        sandbox.faults.add(Delay(0.5), path="a.svs")
    if kind == "slow read":
        sandbox.faults.add(SlowRead(10e6), path="a.svs")
    with Client(sandbox) as client:
        start = time.monotonic()
        client.push("Slides", {"a.svs": CONTENT})
        seconds = time.monotonic() - start
    assert seconds >= {"delay": 0.5, "slow read": 0.5, "rate": 0.5, "latency": 0.2}[kind]


def test_the_log_tells_what_arrived(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        sandbox.clear_requests()
        client.push("Slides", {"x/1 &.dat": b"123", "x.mrxs": b""})
    announce, one, main = sandbox.requests
    assert (announce.method, announce.path, announce.status) == ("POST", "transfer/Upload", 200)
    assert isinstance(one, LoggedRequest)
    assert one.path == "transfer/Upload/1?path=x/1 &.dat"
    assert (one.file_bytes, main.file_bytes) == (3, 0)
    assert one.received > 3
    assert sandbox.received_files() == {"x/1 &.dat": 3, "x.mrxs": 0}
