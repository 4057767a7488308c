"""Killed, interrupted, changed under our hands: the next run finishes what is missing and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, Running, arrived, contents, files_sent, transfers, wait_until
from support.sandbox_client import Client

from pmacore_sandbox import CannedResponse, Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    """With one site, `a`, a MIRAX slide and a small slide that comes before it."""
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "a.svs", content=os.urandom(1000))
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=400_000)
    return cli


def hold_last_data_file(sandbox: Sandbox) -> Hold:
    """The server stands still in the middle of the slide's last data file."""
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + "m/Data0003.dat", times=1)
    return hold


def wait_until_all_but_the_held(sandbox: Sandbox, cli: PushCli, hold: Hold) -> None:
    """Until everything but the held file and the main file is in the journal."""
    assert hold.reached.wait(PATIENCE)
    wanted = 5  # Data0000 to Data0002, Index.dat, Slidedat.ini
    query = "SELECT (SELECT count(*) FROM file), (SELECT count(*) FROM slide WHERE state = 'sent')"

    def known() -> bool:
        with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
            return bool(journal.execute(query).fetchone() == (wanted, 1))

    wait_until(known)


def stop_in_the_middle(cli: PushCli, sandbox: Sandbox, end: Callable[[Running], object]) -> None:
    hold = hold_last_data_file(sandbox)
    with cli.start() as running:
        wait_until_all_but_the_held(sandbox, cli, hold)
        end(running)
    sandbox.faults.clear()
    assert sandbox.wait_idle()


@pytest.mark.parametrize("end", [Running.kill, lambda r: (r.interrupt(), r.result())], ids=["kill -9", "Ctrl-C"])
def test_what_is_there_is_not_sent_again(cli: PushCli, sandbox: Sandbox, end: Callable[[Running], object]) -> None:
    stop_in_the_middle(cli, sandbox, end)
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides/in") == ["Slides/in/a.svs"]
    sandbox.end_all_sessions()
    sandbox.clear_requests()
    result = cli.push()
    assert result.code == 0
    assert sorted(files_sent(sandbox)) == ["m.mrxs", "m/Data0003.dat"]
    assert "transfer/Upload" not in transfers(sandbox)  # nothing was announced again
    assert arrived(sandbox) == contents(cli.source)
    assert result.counts("a") == (1, 1, 0)
    sizes = {name: len(content) for name, content in contents(cli.source).items()}
    fresh = sizes["m.mrxs"] + sizes["m/Data0003.dat"]
    assert result.finished("a")["m.mrxs"]["bytes"] == fresh
    assert result.summary["sites"]["a"]["bytes_resumed"] == sum(sizes.values()) - sizes["a.svs"] - fresh
    assert sandbox.open_sessions == 0


@pytest.mark.parametrize("how", ["forgotten", "restarted", "status 500"])
def test_everything_of_it_is_sent_again_where_the_server_forgot_the_upload(
    cli: PushCli, sandbox: Sandbox, how: str
) -> None:
    stop_in_the_middle(cli, sandbox, Running.kill)
    if how == "forgotten":
        sandbox.forget_uploads()
    elif how == "restarted":
        sandbox.restart(forget_uploads=True)
    else:
        # An unhandled exception of ASP.NET, for an upload that it does not find.
        with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
            (upload,) = journal.execute("SELECT upload_id FROM slide WHERE state = 'sending'").fetchone()
        answer = CannedResponse.aspnet("Sequence contains no elements")
        sandbox.faults.add(answer, method="GET", path=rf"transfer/Upload/{upload}$")
    sandbox.clear_requests()
    result = cli.push()
    assert result.code == 0, result.stdout
    assert sorted(files_sent(sandbox)) == sorted(name for name in contents(cli.source) if name != "a.svs")
    assert arrived(sandbox) == contents(cli.source)
    assert result.counts("a") == (1, 1, 0)


def test_an_upload_forgotten_while_it_goes_on(cli: PushCli, sandbox: Sandbox) -> None:
    hold = hold_last_data_file(sandbox)
    with cli.start() as running:
        wait_until_all_but_the_held(sandbox, cli, hold)
        sandbox.forget_uploads()
        sandbox.faults.clear()
        result = running.result()
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)
    total = sum(len(content) for name, content in contents(cli.source).items() if name != "a.svs")
    assert result.finished("a")["m.mrxs"]["bytes"] == total


def test_the_server_lost_a_file(cli: PushCli, sandbox: Sandbox) -> None:
    stop_in_the_middle(cli, sandbox, Running.kill)
    (sandbox.data / "Slides" / "in" / "m" / "Data0001.dat").unlink()
    sandbox.clear_requests()
    assert cli.push().code == 0
    assert sorted(files_sent(sandbox)) == ["m.mrxs", "m/Data0001.dat", "m/Data0003.dat"]
    assert arrived(sandbox) == contents(cli.source)


def test_the_whole_slide_is_gone_of_which_all_was_acknowledged(cli: PushCli, sandbox: Sandbox) -> None:
    """Killed between the last byte and the last look; then somebody deletes it. Nothing but a new upload brings it."""
    (cli.source / "a.svs").unlink()
    hold = Hold()
    sandbox.faults.add(hold, method="GET", path="transfer/Upload/[0-9]+$", times=1)
    with cli.start() as running:
        assert hold.reached.wait(PATIENCE)
        running.kill()
    hold.release()
    with Client(sandbox) as client:
        client.post("DeleteSlide", path="Slides/in/m.mrxs")
    quick = LatePatch("import pmarep.engine.remote_listing as r\nr.SHOWN_AFTER = (0.0,)")
    result = cli.push(patch=quick)
    assert (result.code, result.counts("a")) == (0, (1, 0, 0))
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("failures", [0, 5])
def test_fresh_begins_again(cli: PushCli, sandbox: Sandbox, failures: int) -> None:
    """Also where the first attempt comes to nothing; and that it has begun is said once."""
    stop_in_the_middle(cli, sandbox, Running.kill)
    sandbox.clear_requests()
    if failures:
        sandbox.faults.add(CannedResponse.iis(503), path="transfer/Upload$", times=failures)
    result = cli.push("--fresh", patch=NO_PAUSES)
    assert result.code == 0
    assert [event["slide"] for event in result.events if event["event"] == "slide_started"] == ["m.mrxs"]
    assert len(files_sent(sandbox)) == 7
    assert arrived(sandbox) == contents(cli.source)


def test_what_fails_before_it_is_begun_is_begun_once(cli: PushCli, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.iis(503), path="CreateDirectory", times=5)
    result = cli.push(patch=NO_PAUSES)
    assert result.code == 0
    assert sorted(e["slide"] for e in result.events if e["event"] == "slide_started") == ["a.svs", "m.mrxs"]


def test_a_slide_that_changed_since_is_sent_whole(cli: PushCli, sandbox: Sandbox) -> None:
    stop_in_the_middle(cli, sandbox, Running.kill)
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=300_000, seed=5)
    sandbox.clear_requests()
    result = cli.push()
    assert result.code == 0, result.stdout
    assert len(files_sent(sandbox)) == 7
    assert arrived(sandbox) == contents(cli.source)


def test_an_unfinished_overwrite_is_finished_without_being_asked_again(cli: PushCli, sandbox: Sandbox) -> None:
    assert cli.push().code == 0
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=300_000, seed=5)
    hold = hold_last_data_file(sandbox)
    with cli.start("--existing", "overwrite") as running:
        wait_until_all_but_the_held(sandbox, cli, hold)
        running.kill()
    sandbox.faults.clear()
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


# Ctrl-C


def test_ctrl_c_once(cli: PushCli, sandbox: Sandbox) -> None:
    hold = hold_last_data_file(sandbox)
    with cli.start() as running:
        wait_until_all_but_the_held(sandbox, cli, hold)
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert result.summary["error"].startswith("interrupted")
    assert result.counts("a") == (1, 0, 1)
    assert result.stderr == ""
    states = [e["state"] for e in result.events if e["event"] == "site_state"]
    assert states == ["connecting", "running", "stopped"]
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    assert sandbox.open_sessions == 0
    with closing(sqlite3.connect(cli.state / "journal.sqlite")) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_ctrl_c_twice_ends_at_once(cli: PushCli, sandbox: Sandbox) -> None:
    """Even where the server lets nobody log out."""
    hold, goodbye = hold_last_data_file(sandbox), Hold()
    sandbox.faults.add(goodbye, path="DeAuthenticate")
    no_repetition = LatePatch(
        "import pmarep.cli.signal_handlers as handlers\nhandlers.REPEATED_SECONDS = 0.0\n"
        "import pmarep.pmacore.session_client as client\nclient.GOODBYE_SECONDS = 1e6"
    )
    with cli.start("-v", patch=no_repetition) as running:
        wait_until_all_but_the_held(sandbox, cli, hold)
        running.interrupt()
        assert goodbye.reached.wait(PATIENCE)
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert "logged in" in result.stderr
    assert "could not log out" not in result.stderr  # nobody has waited for that
    sandbox.faults.clear()
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_ctrl_c_while_connecting(cli: PushCli, sandbox: Sandbox) -> None:
    hold = Hold()
    sandbox.faults.add(hold, path="GetVersionInfo")
    with cli.start() as running:
        assert hold.reached.wait(PATIENCE)
        running.wait_for(lambda event: 2 in (event.get("slides"), event.get("slides_total")))  # both have been found
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert (result.counts("a"), result.not_begun("a")) == ((0, 0, 0), 2)
    assert not transfers(sandbox)


# Two runs at once


def test_a_second_run_on_the_same_target_exits_3(cli: PushCli, sandbox: Sandbox) -> None:
    hold = hold_last_data_file(sandbox)
    with cli.start() as first:
        wait_until_all_but_the_held(sandbox, cli, hold)
        sandbox.clear_requests()
        second = cli.run()
        assert second.code == 3
        assert second.stdout == ""
        (line,) = second.stderr.splitlines()
        assert line.startswith("pmarep: a: another run holds")
        assert f"process {first.process.pid} " in line
        third = cli.push()
        assert (third.code, third.summary["error"]) == (3, line.removeprefix("pmarep: "))
        assert not sandbox.requests
        # Looking is allowed.
        assert cli.push("--dry-run").code == 0
        sandbox.faults.clear()
        assert first.result().code == 0
    assert cli.push().code == 0


def test_a_killed_run_holds_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    stop_in_the_middle(cli, sandbox, Running.kill)
    assert cli.push().code == 0


def test_two_runs_on_different_targets_of_one_server(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("b", sandbox, "Slides/other")
    hold = hold_last_data_file(sandbox)
    with cli.start("--sites", "a") as first:
        wait_until_all_but_the_held(sandbox, cli, hold)
        assert cli.push("--sites", "b").code == 0
        sandbox.faults.clear()
        assert first.result().code == 0
    assert arrived(sandbox) == arrived(sandbox, "Slides/other") == contents(cli.source)
