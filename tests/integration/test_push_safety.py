"""No slide is lost, mixed up with another or overwritten unasked, whatever a server does meanwhile."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.corpus import tiny_tiff, tree, write_mirax, write_ndpis
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, arrived, contents, files_sent, transfers, wait_until

from pmacore_sandbox import CannedResponse, Drop, Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="
EXISTS = CannedResponse.refusal("A slide with this name already exists")
IMPATIENT = LatePatch("import pmarep.engine.slide.arrival\npmarep.engine.slide.arrival.READABLE_SECONDS = 0.0")
QUOTA = CannedResponse.refusal("The quota of this root-directory is exceeded already")


def in_journal(cli: PushCli, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
        return journal.execute(query).fetchall()


def killed_in_the_middle(cli: PushCli, sandbox: Sandbox, path: str, *extra: str, known: int = 0) -> None:
    """A push killed while the server reads a file, when `known` others are in the journal."""
    hold = Hold()
    sandbox.faults.add(hold, path=FILE + path, times=1)
    with cli.start(*extra) as running:
        assert hold.reached.wait(PATIENCE)
        wait_until(lambda: in_journal(cli, "SELECT count(*) FROM file") == [(known,)])
        running.kill()
    sandbox.faults.clear()
    assert sandbox.wait_idle()


def lose_the_state_log(sandbox: Sandbox) -> None:
    """As after an older backup: the server begins to count its uploads again."""
    sandbox.stop()
    (sandbox.data / ".sandbox" / "state.jsonl").unlink()
    sandbox.start()


def deletions(sandbox: Sandbox) -> int:
    return sum("DeleteSlide" in request.path for request in sandbox.requests)


# An id that means another upload now


@pytest.fixture(params=["single", "mirax"])
def cases(request: pytest.FixtureRequest, cli: PushCli) -> tuple[str, int]:
    """Slides of one name and size in case1 and case2; the file to stop at, and how many come before it."""
    for seed, case in enumerate(("case1", "case2")):
        if request.param == "single":
            tree(cli.source, f"{case}/1.svs", content=case.encode() * 100_000)
        else:
            write_mirax(cli.source / case / "m.mrxs", data_files=4, data_size=200_000, seed=seed)
    return ("1.svs", 0) if request.param == "single" else ("m/Data0003.dat", 5)


def test_an_upload_id_that_is_given_again(cli: PushCli, sandbox: Sandbox, cases: tuple[str, int]) -> None:
    file, known = cases
    killed_in_the_middle(cli, sandbox, file, "--include", "case1/*", known=known)
    lose_the_state_log(sandbox)
    assert cli.push("--include", "case2/*").code == 0
    again = cli.push("--include", "case1/*", patch=IMPATIENT)
    assert again.code == 0, again.stdout
    assert arrived(sandbox) == contents(cli.source)
    whole = cli.push()
    assert (whole.code, whole.counts("a")) == (0, (0, 2, 0))


def test_an_upload_id_of_two_unfinished_slides(cli: PushCli, sandbox: Sandbox, cases: tuple[str, int]) -> None:
    file, known = cases
    killed_in_the_middle(cli, sandbox, file, "--include", "case1/*", known=known)
    lose_the_state_log(sandbox)
    killed_in_the_middle(cli, sandbox, file, "--include", "case2/*", known=known)
    result = cli.push("--connections", "1", patch=IMPATIENT)
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)


def test_an_upload_id_that_is_given_to_somebody_else(
    cli: PushCli, sandbox: Sandbox, cases: tuple[str, int], tmp_path: Path
) -> None:
    """Another machine's journal tells us nothing."""
    file, known = cases
    killed_in_the_middle(cli, sandbox, file, "--include", "case1/*", known=known)
    lose_the_state_log(sandbox)
    assert cli.push("--include", "case2/*", "--state-dir", str(tmp_path / "another machine")).code == 0
    again = cli.push("--include", "case1/*", patch=IMPATIENT)
    assert again.code == 0, again.stdout
    assert arrived(sandbox) == contents(cli.source)


# --existing overwrite deletes only what is in its way


@pytest.fixture
def old(cli: PushCli) -> bytes:
    """What was sent of x.svs before it changed."""
    tree(cli.source, "x.svs", content=b"old" * 1000)
    assert cli.push().code == 0
    tree(cli.source, "x.svs", content=b"newer" * 1000)
    return b"old" * 1000


def test_nothing_is_deleted_for_another_refusal(cli: PushCli, sandbox: Sandbox, old: bytes) -> None:
    for refusal in (
        QUOTA,
        CannedResponse.refusal("The folder does not exist"),
        CannedResponse.refusal("x.svs already fills the disk"),
        CannedResponse.iis(507),
        CannedResponse.iis(413),
        CannedResponse(403),
    ):
        rule = sandbox.faults.add(refusal, method="POST", path="transfer/Upload$")
        result = cli.push("--existing", "overwrite")
        sandbox.faults.remove(rule)
        assert (result.code, result.counts("a")) == (1, (0, 0, 1)), refusal
        assert arrived(sandbox) == {"x.svs": old}, refusal
        assert not deletions(sandbox), refusal


@pytest.mark.parametrize("lost", [False, True], ids=["", "the answer to DeleteSlide gets lost"])
def test_a_slide_in_the_way_is_deleted_once(cli: PushCli, sandbox: Sandbox, old: bytes, lost: bool) -> None:
    sandbox.faults.add(EXISTS, method="POST", path="transfer/Upload$", times=1)
    if lost:
        sandbox.faults.add(Drop(None), path="DeleteSlide", times=1)
    sandbox.clear_requests()
    result = cli.push("--existing", "overwrite")
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)
    assert deletions(sandbox) == 1 + lost
    assert transfers(sandbox).count("transfer/Upload") == 2


def test_the_second_announcement_fails_too(cli: PushCli, sandbox: Sandbox, old: bytes) -> None:
    sandbox.faults.add(EXISTS, method="POST", path="transfer/Upload$", times=1)
    sandbox.faults.add(QUOTA, method="POST", path="transfer/Upload$", after=1)
    result = cli.push("--existing", "overwrite")
    assert result.counts("a") == (0, 0, 1)
    error = result.finished("a")["x.svs"]["error"]
    assert "quota" in error
    assert "has been deleted to make room, so this site has none now" in error
    assert arrived(sandbox) == {}
    sandbox.faults.clear()
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("changed", [False, True], ids=["as it was", "changed since"])
def test_an_unfinished_overwrite_at_a_server_that_refuses_existing_names(
    cli: PushCli, sandbox: Sandbox, old: bytes, changed: bool
) -> None:
    killed_in_the_middle(cli, sandbox, "x.svs", "--existing", "overwrite")
    if changed:
        tree(cli.source, "x.svs", content=b"newest" * 1000)
    else:
        sandbox.forget_uploads()
    rule = sandbox.faults.add(EXISTS, method="POST", path="transfer/Upload$")
    sandbox.clear_requests()
    result = cli.push()
    assert (result.code, arrived(sandbox)) == (1, {"x.svs": old})
    assert "--existing overwrite deletes what is there first" in result.finished("a")["x.svs"]["error"]
    assert not deletions(sandbox)  # nobody has said that to this run
    sandbox.faults.remove(rule)
    sandbox.faults.add(EXISTS, method="POST", path="transfer/Upload$", times=1)
    result = cli.push("--existing", "overwrite")
    assert result.code == 0, result.stdout
    assert deletions(sandbox) == 1
    assert arrived(sandbox) == contents(cli.source)


# Two sources


@pytest.mark.parametrize("set_first", [True, False])
def test_two_sources_do_not_overwrite_each_others_companions(
    cli: PushCli, sandbox: Sandbox, tmp_path: Path, set_first: bool
) -> None:
    write_ndpis(cli.source / "set.ndpis", names=["ch1.ndpi", "ch2.ndpi"])
    lone = tree(tmp_path / "lone", "ch1.ndpi", content=tiny_tiff(7000))
    first, second = (cli.source, lone) if set_first else (lone, cli.source)
    for _ in range(2):
        result = cli.push(str(second), source=first)
        assert result.code == 1
        problems = [event["path"] for event in result.events if event["event"] == "source_problem"]
        assert problems == ["ch1.ndpi" if set_first else "set.ndpis"]
        assert arrived(sandbox) == contents(first)


def test_a_folder_given_twice_counts_once(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "m.mrxs")
    result = cli.push(f"{cli.source}{os.sep}")
    assert (result.code, result.counts("a")) == (0, (1, 0, 0))
    assert transfers(sandbox).count("transfer/Upload") == 1
    assert len(files_sent(sandbox)) == len(contents(cli.source))


# Slides of others


def test_what_somebody_puts_where_nothing_of_ours_had_arrived(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "x.svs", content=b"ours" * 1000)
    killed_in_the_middle(cli, sandbox, "x.svs")
    tree(sandbox.data / "Slides" / "in", "x.svs", content=b"theirs")
    result = cli.push()
    assert (result.code, result.counts("a")) == (1, (0, 0, 1))
    assert "another slide of this name" in result.finished("a")["x.svs"]["error"]
    assert arrived(sandbox) == {"x.svs": b"theirs"}


@pytest.mark.parametrize("existing", ["fail", "skip"])
def test_what_somebody_puts_into_a_folder_that_was_not_there(cli: PushCli, sandbox: Sandbox, existing: str) -> None:
    """In a long run; the site had no such folder when it began."""
    tree(cli.source, "a/1.svs", content=b"ours" * 100_000)
    tree(cli.source, "z/first.svs", content=b"larger" * 100_000)
    tree(sandbox.data / "Slides" / "in", "other.svs", content=b"II*\0")
    hold = Hold()
    sandbox.faults.add(hold, path=FILE + "first.svs", times=1)
    with cli.start("--connections", "1", "--existing", existing) as running:
        assert hold.reached.wait(PATIENCE)
        tree(sandbox.data / "Slides" / "in" / "a", "1.svs", content=b"theirs")
        hold.release()
        result = running.result()
    assert result.counts("a") == ((1, 0, 1) if existing == "fail" else (1, 1, 0))
    assert arrived(sandbox)["a/1.svs"] == b"theirs"


def test_an_overwrite_killed_before_any_byte_is_finished_unasked(cli: PushCli, sandbox: Sandbox, old: bytes) -> None:
    killed_in_the_middle(cli, sandbox, "x.svs", "--existing", "overwrite")
    assert arrived(sandbox) == {"x.svs": old}
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_a_slide_half_replaced_is_never_reported_to_be_unharmed(cli: PushCli, sandbox: Sandbox) -> None:
    """The first attempt replaces one file of it, the second one fails before it sends anything."""
    write_ndpis(cli.source / "set.ndpis", names=["x1.ndpi", "x2.ndpi"], size=3000)
    assert cli.push().code == 0
    old = arrived(sandbox)
    for name in ("x1.ndpi", "x2.ndpi"):
        tree(cli.source, name, content=os.urandom(5000))
    sandbox.faults.add(CannedResponse.iis(503), path=FILE + "x2.ndpi")
    sandbox.faults.add(CannedResponse.iis(503), method="GET", path=r"transfer/Upload/[0-9]+$")
    result = cli.push("--existing", "overwrite", patch=NO_PAUSES)
    assert result.code == 1
    assert arrived(sandbox)["x1.ndpi"] != old["x1.ndpi"]
    assert "partly the old and partly the new slide" in result.finished("a")["set.ndpis"]["error"]


def test_nor_by_the_next_run(cli: PushCli, sandbox: Sandbox, old: bytes) -> None:
    """A server that writes in place may have taken the first bytes of what was never acknowledged."""
    killed_in_the_middle(cli, sandbox, "x.svs", "--existing", "overwrite")
    sandbox.faults.add(CannedResponse.iis(503), path=FILE + "x.svs")
    result = cli.push(patch=NO_PAUSES)
    assert result.code == 1
    assert "partly the old and partly the new slide" in result.finished("a")["x.svs"]["error"]


# What is not there as it should be


def test_a_source_that_changed_and_kept_its_size(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "x.svs", content=b"PATIENT" * 100)
    assert cli.push().code == 0
    claims = in_journal(cli, "SELECT state, signature FROM slide")
    stat = (cli.source / "x.svs").stat()
    tree(cli.source, "x.svs", content=b"ANONYMS" * 100)
    os.utime(cli.source / "x.svs", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    for _ in range(2):
        assert cli.push().counts("a") == (0, 1, 0)
        assert in_journal(cli, "SELECT state, signature FROM slide") == claims
    assert arrived(sandbox)["x.svs"] == b"PATIENT" * 100
    assert cli.push("--existing", "overwrite").counts("a") == (1, 0, 0)
    assert arrived(sandbox) == contents(cli.source)
    assert cli.push("--existing", "overwrite").counts("a") == (0, 1, 0)


@pytest.mark.parametrize("how", ["unreadable", "other sizes", "not complete"])
def test_what_a_server_says_of_a_slide_that_is_right_costs_no_byte(cli: PushCli, sandbox: Sandbox, how: str) -> None:
    """It is read back: what is right is not sent again, and what the server cannot open is said in each run."""
    write_mirax(cli.source / "m.mrxs")
    everything = sorted(contents(cli.source))
    answers = {
        "unreadable": ("GetImageInfo", CannedResponse.refusal("cannot read it")),
        "other sizes": ("GetFilenames", CannedResponse(200, json.dumps([{"Path": "Slides/in/m.mrxs", "Size": 1}]))),
        "not complete": (
            r"transfer/Upload/\d+$",
            CannedResponse(200, json.dumps({"Files": [{"Path": name, "Complete": False} for name in everything]})),
        ),
    }
    path, answer = answers[how]
    rule = sandbox.faults.add(answer, method="GET", path=path)
    patch = LatePatch(f"{IMPATIENT}\npmarep.engine.slide.arrival.LISTED_SECONDS = 0.0")
    result = cli.push(patch=patch)
    assert result.code == int(how != "not complete")
    sandbox.clear_requests()
    if how == "unreadable":
        for _ in range(2):
            assert "its bytes are there" in cli.push(patch=patch).finished("a")["m.mrxs"]["error"]
        assert not [r for r in sandbox.requests if "Download" in r.path]  # known from the first time
    sandbox.faults.remove(rule)
    again = cli.push()
    assert (again.code, again.counts("a")) == (0, (0, 1, 0))
    assert not transfers(sandbox)
    assert arrived(sandbox) == contents(cli.source)
