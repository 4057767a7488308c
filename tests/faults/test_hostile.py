"""Servers that are broken, or mean it: a clear word in one line, bounded memory, and no request that nobody allowed."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import in_process
from support.corpus import tree
from support.hostile_server import HostileServer, RawAnswer, encoded, endless, redirect_to
from support.idle_clock import IdleClock
from support.in_process import Report
from support.network import Network
from support.push_cli import PushCli, Result

from pmarep.pmacore import Connection, ProtocolError
from pmarep.sites import Site
from pmarep.uploaders.presigned import PresignedClient

MIB = 1024**2
MEMORY = 250e6
"""Bytes that a push of one tiny slide may have, whatever a server says; some 60 MB are Python and its libraries."""


@pytest.fixture
def evil(network: Network) -> HostileServer:
    return HostileServer(network)


@pytest.fixture
def cli(tmp_path: Path, evil: HostileServer) -> PushCli:
    """One slide of two megabytes for one site, `evil`."""
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "x.svs", content=os.urandom(2 * MIB))
    cli.site("evil", evil.url)
    return cli


Push = Callable[[], Awaitable[Report]]


@pytest.fixture
def push(cli: PushCli, evil: HostileServer) -> Push:
    """The same without a process of its own."""
    site = Site(name="evil", url=evil.url, username="seeder", target="Slides/in")
    return lambda: in_process.push(cli.source, [site], cli.state, "none", clock=IdleClock())


PushToAll = Callable[[Mapping[str, dict[str, Any]]], Awaitable[dict[str, tuple[HostileServer, str]]]]


@pytest.fixture
def push_to_all(tmp_path: Path, network: Network) -> PushToAll:
    """`push_to_all({"case": {"GetFiles": 17}})`: the same to a server for each case, in one push.

    Returns them, and the error of each site.
    """

    async def push_to_all(cases: Mapping[str, dict[str, Any]]) -> dict[str, tuple[HostileServer, str]]:
        tree(tmp_path / "cases", "x.svs", content=os.urandom(2 * MIB))
        servers = {case: HostileServer(network) for case in cases}
        sites = {
            case: Site(name=f"evil{number}", url=server.url, username="seeder", target="Slides/in")
            for number, (case, server) in enumerate(servers.items())
        }
        for case, server in servers.items():
            server.says = cases[case]
        report = await in_process.push(
            tmp_path / "cases", list(sites.values()), tmp_path / "state", "none", clock=IdleClock()
        )
        return {case: (server, report.error(sites[case].name)) for case, server in servers.items()}

    return push_to_all


def error_of(result: Result) -> str:
    """What the slide or the site failed with."""
    assert result.code == 1, result.stdout
    assert result.stderr == ""
    failed = [event["error"] for event in result.events if event["event"] == "slide_finished"]
    return bearable((failed or [result.summary["sites"]["evil"]["error"]])[0])


def bearable(error: str, case: str = "") -> str:
    """One printable line of a bearable length, without secrets; no bug of ours."""
    assert error, case
    assert error.isprintable(), case
    assert len(error) < 600, case
    assert "internal error" not in error, case
    assert "the-session" not in error, case
    assert "X-Amz-Signature=" not in error, case
    return error


async def test_an_honest_answer_to_everything_arrives(push: Push, evil: HostileServer) -> None:
    """Otherwise the tests below would prove nothing."""
    report = await push()
    assert report.code == 0, report
    assert evil.outside_the_contract() == []


# Where the bytes are to go


def to_s3(*urls: Any, **more: Any) -> dict[str, Any]:
    return {"Id": 17, "UploadType": 1, "Urls": list(urls), **more}


def parts(*ranges: tuple[int, int, int], url: str = "http://127.0.0.1:9/part?X-Amz-Signature=s") -> dict[str, Any]:
    listed = [{"PartNumber": number, "Url": url, "RangeStart": start, "RangeEnd": end} for number, start, end in ranges]
    return to_s3(None, MultipartFiles=[{"FilePath": "x.svs", "UploadId": "u", "Parts": listed}])


_NO_SENSE = [
    to_s3("ftp://127.0.0.1/x?X-Amz-Signature=s"),
    to_s3("file:///etc/passwd?X-Amz-Signature=s"),
    to_s3("javascript:alert(1)"),
    to_s3("//127.0.0.1/x"),
    to_s3("http://user:password@127.0.0.1/x"),
    to_s3("http://127.0.0.1:9/x\r\nX-Injected: 1"),
    to_s3("http://127.0.0.1:99999/x"),
    to_s3("http://[::1/x"),
    to_s3("http:///x"),
    to_s3("http://127.0.0.1:9 .example/x"),
    to_s3(""),
    to_s3(None),
    to_s3(),
    to_s3("http://127.0.0.1:9/1?X-Amz-Signature=s", "http://127.0.0.1:9/2?X-Amz-Signature=s"),
    {"Id": 17, "UploadType": "Azure"},
    {"Id": 17, "UploadType": 2, "Urls": []},
    {"Id": 17, "UploadType": 7},
    {"Id": None, "UploadType": 0},
    {"UploadType": 0},
    [17],
    "17",
    None,
    parts(),
    parts((1, 0, 2 * MIB)),
    parts((1, 0, 2 * MIB - 2)),
    parts((1, 0, MIB), (2, MIB, 2 * MIB - 1)),
    parts((1, 1, 2 * MIB - 1)),
    parts((1, -MIB, 2 * MIB - 1)),
    parts((0, 0, 2 * MIB - 1)),
    parts((1, 0, MIB - 1), (1, MIB, 2 * MIB - 1)),
    parts((2, 0, MIB - 1), (1, MIB, 2 * MIB - 1)),
    parts((1, 0, 10**30)),
    parts((1, 0, 2 * MIB - 1), url="gopher://127.0.0.1/"),
]


async def test_an_announcement_that_makes_no_sense(push_to_all: PushToAll) -> None:
    found = await push_to_all({str(answer): {"transfer/Upload": answer} for answer in _NO_SENSE})
    assert len(found) == len(_NO_SENSE)
    for case, (server, error) in found.items():
        bearable(error, case)
        assert server.outside_the_contract() == [], case
        assert "transfer/Upload" in server.paths(), case
        assert not any(one.method == "PUT" for one in server.asked), case


def test_an_announcement_of_a_million_parts(cli: PushCli, evil: HostileServer) -> None:
    evil.says["transfer/Upload"] = parts(*((number + 1, number, number) for number in range(100_000)))
    result, peak = cli.push_measured()
    error_of(result)
    assert peak < MEMORY
    assert evil.outside_the_contract() == []


_IDS = [
    "../api/json/DeleteSlide",
    "17/../../admin/json/Format",
    "17?path=other.svs&x=",
    "http://127.0.0.1:9/",
    "\ud800",
    "17#",
    "17\r\nX-Injected: 1",
    "",
    "ä b",
    "17" * 10_000,
]


async def test_an_id_that_leads_elsewhere(push_to_all: PushToAll) -> None:
    """An Id is a number or a word; whatever else it is goes into no URL, or percent-encoded as one part of a path."""
    found = await push_to_all({upload: {"transfer/Upload": {"Id": upload, "UploadType": 0}} for upload in _IDS})
    for case, (server, error) in found.items():
        asked = [one.target for one in server.asked if one.path.startswith("transfer/Upload/")]
        assert all(one.partition("?")[0].count("/") == 3 for one in asked), asked
        assert not any("path=other.svs" in one for one in asked), asked
        outside = [one for one in server.outside_the_contract() if not one.split(" ")[1].startswith("transfer/Upload/")]
        assert outside == [], case
        assert "transfer/Upload" in server.paths(), case
        if error:
            bearable(error, case)


async def test_ids_that_change(push: Push, evil: HostileServer) -> None:
    """Each answer names another upload; what was sent goes to the announced one, and its state is asked of that."""
    evil.says["upload status"] = lambda _: {"Id": 99, "Files": [{"Path": "x.svs", "Complete": True}]}
    evil.says["post file"] = lambda _: {"Id": 98}
    assert (await push()).code == 0
    assert {path for path in evil.paths() if "Upload/" in path} == {"transfer/Upload/17"}


_LOOPBACK = [
    "http://127.0.0.1:9/x",
    "https://127.0.0.1/x",
    "http://localhost:54001/x",
    "http://LOCALHOST./x",
    "http://[::1]:9/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://127.1/x",
    "http://2130706433/x",
    "http://0x7f.1/x",
    "http://0.0.0.0/x",
    "http://127.8.9.10/x",
]


@pytest.mark.parametrize("url", _LOOPBACK)
async def test_a_server_elsewhere_that_points_at_our_own_machine(url: str) -> None:
    """PMA.start and others listen there, and trust whoever comes from the same machine."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, headers={"ETag": "e"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    storage = PresignedClient(Connection("http://pma.hospital.example/", "seeder"), allow_http=True, http=http)
    try:
        with pytest.raises(ProtocolError) as error:
            await storage.put(f"{url}?X-Amz-Signature=s", b"x", 1, {})
        assert "X-Amz-Signature" not in str(error.value)
    finally:
        await storage.close()
    assert asked == []


@pytest.mark.parametrize("core", ["http://127.0.0.1:8001/", "http://localhost/core/", "http://[::1]/"])
async def test_a_server_on_our_own_machine_may_point_there(core: str) -> None:
    """As the sandbox does."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, headers={"ETag": "e"})))
    storage = PresignedClient(Connection(core, "seeder"), allow_http=True, http=http)
    try:
        assert (await storage.put("http://127.0.0.1:9/x?X-Amz-Signature=s", b"x", 1, {}))["etag"] == "e"
    finally:
        await storage.close()


# Redirects


_CALLS = ["GetVersionInfo", "authenticate", "GetRootDirectories", "GetFiles", "transfer/Upload", "post file"]


async def test_redirects_are_not_followed(push_to_all: PushToAll, network: Network) -> None:
    """But for one look at whether a PMA.core is there, which takes no session along."""
    cases = {f"{call} {status}": (call, status) for call in _CALLS for status in (301, 303, 307)}
    elsewhere = {case: HostileServer(network) for case in cases}
    found = await push_to_all(
        {
            case: {call: redirect_to(f"{elsewhere[case].url}api/json/{call}?sessionID=the-session", status)}
            for case, (call, status) in cases.items()
        }
    )
    for case, (server, error) in found.items():
        assert "redirect" in bearable(error, case), case
        asked = {(one.method, one.target) for one in elsewhere[case].asked}
        assert asked <= {("GET", "/api/json/GetVersionInfo")}, case
        assert server.outside_the_contract() == [], case


async def test_a_storage_that_redirects(push: Push, evil: HostileServer, network: Network) -> None:
    elsewhere, storage = HostileServer(network), HostileServer(network)
    evil.says["transfer/Upload"] = to_s3(f"{storage.url}x.svs?X-Amz-Signature=s")
    storage.says["post file"] = redirect_to(f"{elsewhere.url}y.svs", 307)
    assert "redirect" in bearable((await push()).error("evil"))
    assert elsewhere.asked == []
    assert {one.method for one in storage.asked} == {"PUT"}


# Answers without end


@cache
def bomb(size: int) -> bytes:
    """Gzip of so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(MIB)
    packed = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # can be repeated: it refers to nothing before it
    check = 0
    for _ in range(size // MIB):
        check = zlib.crc32(zeros, check)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return head + packed * (size // MIB) + packer.flush() + check.to_bytes(4, "little") + size.to_bytes(4, "little")


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_FLOODS = {
    "endless": lambda: endless(_HEAD + b"\r\n", b" " * MIB),
    "endless chunks": lambda: endless(
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + bytes(MIB) + b"\r\n"
    ),
    "endless error page": lambda: endless(b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * MIB),
    "gzip bomb": lambda: encoded("gzip", bomb(300 * MIB)),
    "gzip bomb in gzip": lambda: encoded("gzip, gzip", gzip.compress(bomb(300 * MIB))),
}


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4 here")
@pytest.mark.parametrize("flood", _FLOODS)
def test_answers_without_end_take_bounded_memory(cli: PushCli, evil: HostileServer, flood: str) -> None:
    answer = _FLOODS[flood]()
    evil.says["GetFiles"] = answer
    result, peak = cli.push_measured()
    error_of(result)
    assert peak < MEMORY, f"{peak / 1e6:.0f} MB"
    assert evil.outside_the_contract() == []


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4 here")
@pytest.mark.parametrize("flood", ["endless", "gzip bomb in gzip"])
def test_a_storage_without_end_takes_bounded_memory(
    cli: PushCli, evil: HostileServer, network: Network, flood: str
) -> None:
    storage = HostileServer(network)
    storage.says["post file"] = _FLOODS[flood]()
    evil.says["transfer/Upload"] = to_s3(f"{storage.url}x.svs?X-Amz-Signature=s")
    result, peak = cli.push_measured()
    error_of(result)
    assert peak < MEMORY, f"{peak / 1e6:.0f} MB"


async def test_a_million_brackets(push_to_all: PushToAll) -> None:
    """What makes parsers recurse, or multiply."""
    bodies = {str(piece): piece * (1_000_000 // len(piece)) for piece in (b"[", b'{"a":', b"1", b'"')}
    found = await push_to_all(
        {
            case: {"GetFiles": RawAnswer.of(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body)}
            for case, body in bodies.items()
        }
    )
    for case, (_, error) in found.items():
        bearable(error, case)


# Failures without end


@pytest.mark.parametrize("call", ["GetFiles", "post file"])
@pytest.mark.parametrize("how", ["hangs up", "endless headers"])
async def test_a_call_that_always_breaks_comes_to_an_end(push: Push, evil: HostileServer, call: str, how: str) -> None:
    """All else works, so the site looks well."""
    evil.says[call] = RawAnswer.of(b"") if how == "hangs up" else endless(_HEAD, b"X-Many: y\r\n" * 10_000)
    error = (await push()).error("evil")
    if call != "post file":  # of those, this server says that they have arrived
        bearable(error)
    assert len(evil.asked) < 200


# Words


async def test_words_that_would_spoil_a_terminal(push_to_all: PushToAll) -> None:
    words = "\\u001b[2J\\u001b]0;owned\\u0007\\r\\nsent everything\\u202e" + "x" * 100_000
    body = f'{{"Code": 1, "Message": "{words} ?sessionID=the-session"}}'.encode()
    found = await push_to_all(
        {
            str(status): {
                "transfer/Upload": RawAnswer.of(
                    b"HTTP/1.1 %d Oh\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body
                )
            }
            for status in (200, 400, 500)
        }
    )
    for case, (_, error) in found.items():
        bearable(error, case)
