"""Servers that are down, refuse, fail or lie, and what the others notice of it: nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_svs
from support.fork_server import LatePatch
from support.push_cli import NO_PAUSES, PushCli, Result, arrived, contents, files_sent, transfers
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Drop, Hold, Sandbox, SlowRead

FILE = r"transfer/Upload/[0-9]+\?path="


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def dead_url() -> Iterator[str]:
    """A port where nobody listens, and nobody will while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/"


def lines_about(result: Result, text: str) -> list[str]:
    return [line for line in [*result.lines, *result.stderr.splitlines()] if text in line]


def test_a_site_down_and_up_again(cli: PushCli, start_sandbox: StartSandbox) -> None:
    """The story of issue 2: a and c complete, one line about b; then everything to b and nothing to the others."""
    for number in range(6):
        write_svs(cli.source / f"{number}.svs", width=256, height=256, seed=number)
    write_mirax(cli.source / "m.mrxs")
    a, b, c = (start_sandbox(name) for name in "abc")
    for name, sandbox in zip("abc", (a, b, c), strict=True):
        cli.site(name, sandbox)
    b.stop()
    result = cli.run(patch=NO_PAUSES)
    assert result.code == 1
    assert len(lines_about(result, "refused the connection")) == 1
    assert lines_about(result, "refused the connection")[0].startswith("b: ")
    assert arrived(a) == arrived(c) == contents(cli.source)
    assert result.stderr == ""

    b.start()
    for sandbox in (a, b, c):
        sandbox.clear_requests()
    again = cli.push()
    assert again.code == 0
    assert (again.counts("a"), again.counts("b"), again.counts("c")) == ((0, 7, 0), (7, 0, 0), (0, 7, 0))
    assert transfers(a) == transfers(c) == []
    assert arrived(b) == contents(cli.source)
    assert [s.open_sessions for s in (a, b, c)] == [0, 0, 0]


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_one_line_per_dead_site(cli: PushCli, sandbox: Sandbox, dead_url: str, quiet: tuple[str, ...]) -> None:
    tree(cli.source, "a.svs")
    cli.site("good", sandbox)
    cli.site("dead", dead_url)
    result = cli.run(*quiet, patch=NO_PAUSES)
    assert result.code == 1
    assert len(lines_about(result, dead_url)) == 1
    assert "\x1b" not in result.stdout


def test_a_wrong_password(cli: PushCli, start_sandbox: StartSandbox) -> None:
    tree(cli.source, "a.svs", "b.svs")
    good, bad = start_sandbox("good"), start_sandbox("bad")
    cli.site("good", good)
    cli.site("bad", bad, password="not the password")
    result = cli.run()
    assert result.code == 1
    (line,) = lines_about(result, "does not let seeder in")
    assert line.startswith("bad: ")
    assert "check user name and password (from the variable PMAREP_PASSWORD_BAD), or ask" in line
    assert len(arrived(good)) == 2
    assert not transfers(bad)
    # Not tried again and again: accounts get locked.
    assert sum("api/json/authenticate" in r.path for r in bad.requests) == 1


def test_an_unknown_root_directory(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    tree(cli.source, "a.svs")
    boxes = start_sandbox("boxes", roots=("Slideboxes", "Archive"))
    cli.site("good", sandbox)
    cli.site("bad", boxes, "Slidebox/in")
    result = cli.run()
    assert result.code == 1
    (line,) = lines_about(result, "no root-directory")
    assert line.endswith(f'{boxes.url} has no root-directory "Slidebox"; did you mean "Slideboxes"?')
    assert len(arrived(sandbox)) == 1
    assert not transfers(boxes)


def test_names_that_the_server_refuses_fail_alone(cli: PushCli, sandbox: Sandbox) -> None:
    names = ['what"ever', "why?", "a:b", "c|d", "e<f>"]
    paths = {f"{name}.svs": name for name in names} | {"trailing./x.svs": "trailing."}
    tree(cli.source, *paths, "good.svs", "sub/good.svs")
    cli.site("a", sandbox)
    result = cli.push(
        patch=LatePatch("import pmarep.engine.remote_listing as r\nr.SHOWN_AFTER, r.LAG_SECONDS = (), 0.2")
    )
    assert result.code == 1
    assert result.counts("a") == (2, 0, 6)
    for path, name in paths.items():
        error = result.finished("a")[path]["error"]
        assert "refused" in error or "rename it" in error
        assert name in error
    assert set(arrived(sandbox)) == {"good.svs", "sub/good.svs"}
    assert sandbox.open_sessions == 0


@pytest.mark.parametrize(
    "fault",
    [
        CannedResponse.iis(503),
        CannedResponse.iis(502),
        CannedResponse(429),
        CannedResponse.aspnet("The process cannot access the file because it is being used by another process."),
        Drop(0),
        Drop(after_bytes=200_000),
        Drop(after_bytes=None),
    ],
    ids=["503", "502", "429", "500", "dropped at once", "dropped in the middle", "dropped before the answer"],
)
def test_a_file_that_fails_twice_is_sent_again(cli: PushCli, sandbox: Sandbox, fault: CannedResponse | Drop) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=3, data_size=500_000)
    cli.site("a", sandbox)
    sandbox.faults.add(fault, method="POST", path=FILE + "m/Data0001.dat", times=2)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)
    # What had arrived was not sent again, not even where no answer said so.
    unanswered = isinstance(fault, Drop) and fault.after_bytes is None
    assert [files_sent(sandbox).count(f"m/Data000{number}.dat") for number in range(2)] == [1, 0 if unanswered else 1]
    assert result.summary["sites"]["a"]["bytes_sent"] == sum(map(len, contents(cli.source).values()))


@pytest.mark.parametrize(
    "call", ["GetVersionInfo", "authenticate", "GetRootDirectories", "GetFiles", "transfer/Upload$"]
)
def test_every_call_survives_a_hiccup(cli: PushCli, sandbox: Sandbox, call: str) -> None:
    (sandbox.data / "Slides" / "in").mkdir()
    tree(cli.source, "a.svs")
    cli.site("a", sandbox)
    rule = sandbox.faults.add(CannedResponse.iis(503), path=call, times=1)
    sandbox.faults.add(Drop(0), path=call, after=1, times=1)
    assert cli.push().code == 0
    assert rule.hits == 1
    assert arrived(sandbox) == contents(cli.source)


def test_a_file_that_never_gets_through_fails_its_slide_only(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "m.mrxs")
    tree(cli.source, "a.svs")
    cli.site("a", sandbox)
    rule = sandbox.faults.add(CannedResponse.aspnet("Cannot write"), path=FILE + "m/Data0001.dat")
    result = cli.push(patch=NO_PAUSES)
    assert result.counts("a") == (1, 0, 1)
    assert "Cannot write" in result.finished("a")["m.mrxs"]["error"]
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides/in") == ["Slides/in/a.svs"]
    # The next run finishes it: that is no conflict, and only what is missing goes.
    sandbox.faults.remove(rule)
    sandbox.clear_requests()
    assert cli.push().counts("a") == (1, 1, 0)
    assert arrived(sandbox) == contents(cli.source)
    assert "m/Data0000.dat" not in files_sent(sandbox)


def test_a_request_too_large_for_iis(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    small = start_sandbox("small", max_request=100_000)
    tree(cli.source, "big.svs", content=os.urandom(3_000_000))
    tree(cli.source, "small.svs")
    cli.site("small", small)
    cli.site("large", sandbox)
    result = cli.push()
    assert result.counts("small") == (1, 0, 1)
    assert result.counts("large") == (2, 0, 0)
    assert "4 GiB" in result.finished("small")["big.svs"]["error"]


def test_a_slow_site_does_not_slow_the_other(cli: PushCli, start_sandbox: StartSandbox) -> None:
    """It has all slides before the slow one has the first, which stands still until then."""
    for number in range(4):
        tree(cli.source, f"{number}.svs", content=os.urandom(30_000))
    slow, fast = start_sandbox("slow"), start_sandbox("fast")
    hold = Hold(after_bytes=10_000)
    slow.faults.add(hold, path=FILE)
    cli.site("slow", slow)
    cli.site("fast", fast)
    with cli.start() as running:
        running.wait_for(lambda event: (event.get("site"), event.get("state")) == ("fast", "done"))
        hold.release()
        result = running.result()
    assert result.code == 0
    assert arrived(slow) == arrived(fast) == contents(cli.source)


def test_a_site_that_dies_in_the_middle(cli: PushCli, start_sandbox: StartSandbox) -> None:
    for number in range(20):
        tree(cli.source, f"{number:02}.svs", content=os.urandom(200_000))
    dying, good = start_sandbox("dying"), start_sandbox("good")
    dying.faults.add(SlowRead(400_000), path=FILE)
    cli.site("dying", dying)
    cli.site("good", good)
    with cli.start(patch=NO_PAUSES) as running:
        running.wait_for(lambda e: e["event"] == "slide_finished" and e["site"] == "dying")
        dying.stop()
        result = running.result()
    assert result.code == 1
    assert result.counts("good") == (20, 0, 0)
    assert "127.0.0.1" in result.summary["sites"]["dying"]["error"]
    dying.start()
    assert cli.push().code == 0
    assert arrived(dying) == contents(cli.source)


def test_not_a_pma_core_at_all(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    """The url of a server whose PMA.core lies under /core/."""
    tree(cli.source, "a.svs")
    core = start_sandbox("core", path="/core/")
    cli.site("good", sandbox)
    cli.site("bad", core.url.removesuffix("core/"))
    result = cli.run()
    assert result.code == 1
    (line,) = lines_about(result, "bad: ")
    assert "/core/" in line
