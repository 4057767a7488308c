"""`--verify`, `pmarep verify` and `--audit`: what the sites have, byte for byte, and what is said of it."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

import pytest
from support.cloud import StartCloud
from support.corpus import tree, wild_names, write_mirax, write_svs
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, Result, arrived, contents, transfers, wait_until
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Corrupt, Drop, Hold, Sandbox

IMPATIENT = LatePatch("import pmarep.engine.slide.arrival\npmarep.engine.slide.arrival.READABLE_SECONDS = 0.0")


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def three(cli: PushCli, start_sandbox: StartSandbox) -> list[Sandbox]:
    """Sites a, b and c."""
    sandboxes = [start_sandbox(name) for name in "abc"]
    for name, sandbox in zip("abc", sandboxes, strict=True):
        cli.site(name, sandbox)
    return sandboxes


def damage(sandbox: Sandbox, file: str) -> None:
    """One bit of the disk: nobody has written to the file."""
    path = sandbox.data / "Slides" / "in" / file
    data, times = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns ^ 1))  # the stand-in remembers hashes by the nanosecond


def statuses(result: Result, site: str) -> dict[str, str]:
    return {slide: event["status"] for slide, event in result.finished(site).items()}


def test_verify_says_what_is_there_and_sends_nothing(cli: PushCli, three: list[Sandbox]) -> None:
    write_mirax(cli.source / "m.mrxs")
    write_svs(cli.source / "sub" / "s.svs")
    assert cli.push("--sites", "a,b").code == 0
    (three[1].data / "Slides/in/m/Data0000.dat").unlink()
    for sandbox in three:
        sandbox.clear_requests()
    result = cli.verify()
    assert result.code == 1
    assert statuses(result, "a") == {"m.mrxs": "verified", "sub/s.svs": "verified"}
    assert statuses(result, "b") == {"m.mrxs": "failed", "sub/s.svs": "verified"}
    assert statuses(result, "c") == {"m.mrxs": "failed", "sub/s.svs": "failed"}
    assert "it is not there" in result.finished("c")["m.mrxs"]["error"]
    assert result.summary["sites"]["a"]["verified"] == 2
    assert result.summary["verify_only"] is True
    for sandbox in three:
        assert not transfers(sandbox)
        assert {r.method for r in sandbox.requests} <= {"GET", "POST"}
        assert not [r for r in sandbox.requests if r.method == "POST" and "authenticate" not in r.path]


@pytest.mark.parametrize("level", ["fingerprint", "deep"])
def test_a_flipped_bit_is_found_and_sent_again(cli: PushCli, start_sandbox: StartSandbox, level: str) -> None:
    """Sizes do not tell; the slide is marked, and the next push mends it, at that site only."""
    two = [start_sandbox(name) for name in "ab"]
    for sandbox in two:
        cli.site(sandbox.data.name, sandbox)
    tree(cli.source, f"{wild_names()[0]}.svs", content=os.urandom(40_000))
    write_mirax(cli.source / "m.mrxs")
    assert cli.push().code == 0
    assert cli.verify("--level", level).code == 0
    damage(two[1], "m/Data0001.dat")
    assert cli.verify().code == 0  # sizes and readable
    result = cli.verify("--level", level)
    assert result.code == 1
    wrong = [
        (event["site"], event["slide"], event["error"])
        for event in result.events
        if event["event"] == "slide_retracted" or event.get("status") == "failed"
    ]
    ((site, slide, error),) = wrong
    assert (site, slide) == ("b", "m.mrxs")
    assert "m/Data0001.dat is not the same there" in error
    assert "the next" in error
    assert [result.summary["sites"][name]["failed"] for name in "ab"] == [0, 1]
    for sandbox in two:
        sandbox.clear_requests()
    again = cli.push("--verify", level)
    assert again.code == 0, again.stdout
    assert [again.counts(name)[0] for name in "ab"] == [0, 1]
    assert arrived(two[1]) == contents(cli.source)


def test_a_foreign_slide_is_not_marked(cli: PushCli, three: list[Sandbox]) -> None:
    """Somebody else's slide of that name and size: verify says so, and push leaves it to --existing."""
    content = os.urandom(50_000)
    tree(cli.source, "x.svs", content=content)
    (three[0].data / "Slides/in").mkdir()
    (three[0].data / "Slides/in/x.svs").write_bytes(content[::-1])
    result = cli.verify("--sites", "a", "--level", "deep")
    assert result.code == 1
    assert "--existing overwrite" in result.finished("a")["x.svs"]["error"]
    three[0].clear_requests()
    assert cli.push("--sites", "a").counts("a") == (0, 0, 1)
    assert not transfers(three[0])
    assert cli.push("--sites", "a", "--existing", "overwrite").counts("a") == (1, 0, 0)
    assert arrived(three[0]) == contents(cli.source)


@pytest.mark.parametrize("level", ["fingerprint", "deep"])
def test_a_foreign_slide_that_push_took_for_ours(cli: PushCli, three: list[Sandbox], level: str) -> None:
    """Same name, same size: push skips it, verify finds it out, and no push overwrites it unasked."""
    content = os.urandom(50_000)
    tree(cli.source, "x.svs", content=content)
    (three[1].data / "Slides/in").mkdir()
    (three[1].data / "Slides/in/x.svs").write_bytes(content[::-1])
    assert cli.push().counts("b") == (0, 1, 0)
    result = cli.verify("--level", level)
    assert result.code == 1
    assert [result.summary["sites"][name]["failed"] for name in "abc"] == [0, 1, 0]
    assert "--existing overwrite" in result.stdout
    assert cli.push("--verify", level).code == 1
    assert arrived(three[1]) == {"x.svs": content[::-1]}
    assert cli.push("--existing", "overwrite").code == 0
    assert arrived(three[1]) == contents(cli.source)


REFUSALS = [
    (CannedResponse.refusal("Too many downloads"), "transfer/Download"),
    (CannedResponse(200, "<html>Sign in</html>", "text/html"), "transfer/Download"),
    (CannedResponse(403), "GetImageInfo"),
    (CannedResponse.refusal("Busy"), "GetImageInfo"),
]


def test_a_refusal_is_no_damage(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox)
    tree(cli.source, "x.svs", content=os.urandom(50_000))
    assert cli.push().code == 0
    for fault, path in REFUSALS:
        rule = sandbox.faults.add(fault, path=path)
        assert cli.run("--level", "deep", command="verify", patch=NO_PAUSES).code == 1, fault
        sandbox.faults.remove(rule)
        assert cli.push().counts("a") == (0, 1, 0), fault


def test_all_sites_that_agree_with_a_damaged_one_are_found(cli: PushCli, three: list[Sandbox]) -> None:
    tree(cli.source, "x.svs", content=b"old" * 20_000)
    assert cli.push("--sites", "b,c").code == 0
    tree(cli.source, "x.svs", content=b"new" * 20_000)
    result = cli.push("--verify", "fingerprint")
    assert result.code == 1
    assert [result.summary["sites"][name]["failed"] for name in "abc"] == [0, 1, 1]


def test_trouble_of_another_site_is_not_ours(cli: PushCli, three: list[Sandbox]) -> None:
    tree(cli.source, "x.svs", content=os.urandom(50_000))
    assert cli.push("--sites", "a,b").code == 0
    three[1].faults.add(CannedResponse(200, '"another algorithm"'), path="GetFingerprint")
    three[1].faults.add(CannedResponse.iis(507), path="transfer/Download")
    result = cli.verify("--sites", "a,b", "--level", "fingerprint", "--connections", "1")
    assert result.summary["sites"]["a"] | {"seconds": 0} == result.summary["sites"]["a"] | {"seconds": 0, "error": None}
    assert result.finished("a")["x.svs"]["status"] == "verified"


CONTENT = os.urandom(50_000)


def killed_in_the_middle(cli: PushCli, sandbox: Sandbox, *left: bytes) -> None:
    """A first push, killed while it sends x.svs to a server that writes in place; `left` is what has come of it.

    Of more slides, where more is left: x1.svs, x2.svs, ...
    """
    names = ["x.svs"] if len(left) == 1 else [f"x{number}.svs" for number in range(len(left))]
    tree(cli.source, *names, content=CONTENT)
    cli.site("a", sandbox)
    rule = sandbox.faults.add(Hold(), path=r"transfer/Upload/[0-9]+\?path=")
    with cli.start("--connections", str(len(left))) as running:
        wait_until(lambda: rule.hits == len(left))
        running.kill()
    sandbox.stop()
    (sandbox.data / "Slides/in").mkdir(exist_ok=True)
    for name, content in zip(names, left, strict=True):
        (sandbox.data / "Slides/in" / name).write_bytes(content)
    (sandbox.data / ".sandbox" / "state.jsonl").unlink()
    sandbox.start()


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        ("fail", [b"", CONTENT[:20_000], CONTENT[:20_000] + bytes(10_000), bytes(50_000)]),
        ("skip", [CONTENT[:1], CONTENT[:20_000], CONTENT[:20_000] + bytes(30_000)]),
    ],
    ids=["nothing, a beginning, and some room, room only", "a byte, a beginning, and all its room"],
)
def test_what_a_killed_run_left_torn_is_finished(
    cli: PushCli, sandbox: Sandbox, existing: str, left: list[bytes]
) -> None:
    killed_in_the_middle(cli, sandbox, *left)
    assert cli.push("--existing", existing).counts("a") == (len(left), 0, 0)
    assert arrived(sandbox) == contents(cli.source)


def test_a_torn_slide_that_the_server_does_not_understand_is_finished(cli: PushCli, sandbox: Sandbox) -> None:
    killed_in_the_middle(cli, sandbox, CONTENT[:20_000])
    sandbox.faults.add(CannedResponse.refusal("Unable to read the image"), path="GetFilenames", times=2)
    assert cli.push().counts("a") == (1, 0, 0)
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("options", [(), ("--fresh",)], ids=["", "--fresh"])
def test_a_torn_slide_is_announced_anew(cli: PushCli, sandbox: Sandbox, options: tuple[str, ...]) -> None:
    """A restored server has given the id of that upload to another slide, which is whole."""
    killed_in_the_middle(cli, sandbox, CONTENT[:20_000])
    with Client(sandbox) as somebody:
        somebody.post("CreateDirectory", path="Slides/theirs")
        assert somebody.push("Slides/theirs", {"x.svs": CONTENT[::-1]}) == 1  # the id that ours had
    assert cli.push(*options).counts("a") == (1, 0, 0)
    assert (sandbox.data / "Slides/theirs/x.svs").read_bytes() == CONTENT[::-1]
    assert arrived(sandbox) == contents(cli.source)


def test_what_a_killed_run_left_whole_is_not_sent_again(cli: PushCli, sandbox: Sandbox) -> None:
    killed_in_the_middle(cli, sandbox, CONTENT)
    sandbox.clear_requests()
    assert cli.push().counts("a") == (0, 1, 0)
    assert not transfers(sandbox)


def test_what_is_whole_and_not_understood_is_no_success(cli: PushCli, sandbox: Sandbox) -> None:
    killed_in_the_middle(cli, sandbox, CONTENT)
    sandbox.faults.add(CannedResponse.refusal("Unable to read the image"), path="GetImageInfo|GetFilenames")
    result = cli.push(patch=IMPATIENT)
    assert (result.code, result.counts("a")) == (1, (0, 0, 1))
    assert "its bytes are there" in result.finished("a")["x.svs"]["error"]


def test_what_somebody_else_has_put_there_meanwhile_is_theirs(cli: PushCli, sandbox: Sandbox) -> None:
    """As large, smaller, larger, and different at its end."""
    start = CONTENT[:20_000]
    theirs = [CONTENT[::-1], start[::-1], CONTENT + b"more", start + bytes(29_999) + b"x"]
    killed_in_the_middle(cli, sandbox, *theirs)
    for existing, counts in (("fail", (0, 0, 4)), ("skip", (0, 4, 0))):
        assert cli.push("--existing", existing).counts("a") == counts
        assert arrived(sandbox) == {f"x{number}.svs": content for number, content in enumerate(theirs)}
    assert cli.push("--existing", "overwrite").counts("a") == (4, 0, 0)
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("existing", ["fail", "skip"])
def test_what_may_be_torn_and_cannot_be_read_back_is_no_success(cli: PushCli, sandbox: Sandbox, existing: str) -> None:
    killed_in_the_middle(cli, sandbox, CONTENT[:20_000])
    sandbox.faults.add(CannedResponse.refusal("You may not download", status=403), path="transfer/Download")
    result = cli.push("--existing", existing)
    assert result.counts("a") == (0, 0, 1)
    assert "You may not download" in result.finished("a")["x.svs"]["error"]


@pytest.mark.parametrize("broken", [1, 100])
def test_a_fingerprint_that_differs_is_never_forgotten(cli: PushCli, three: list[Sandbox], broken: int) -> None:
    """The site that is right finds it out, and the download from the other one breaks off: once, or always."""
    tree(cli.source, "x.svs", content=os.urandom(50_000))
    file = r"transfer/Upload/[0-9]+\?path="
    three[0].faults.add(Corrupt(offset=1000), path=file, times=1)
    three[0].faults.add(Drop(after_bytes=100), path="transfer/Download", times=broken)
    hold = Hold()
    three[1].faults.add(hold, path=file, times=1)
    with cli.start("--sites", "a,b", "--verify", "fingerprint", patch=NO_PAUSES) as running:
        assert hold.reached.wait(PATIENCE)
        running.wait_for(lambda event: event["event"] == "slide_finished" and event["site"] == "a")
        hold.release()
        result = running.result()
    assert result.code == 1
    (retracted,) = [event for event in result.events if event["event"] == "slide_retracted"]
    assert (retracted["site"], retracted["slide"]) == ("a", "x.svs")
    three[0].faults.clear()
    if broken > 1:  # nothing is proved yet
        assert "cannot be read back" in retracted["error"]
        cli.push("--sites", "a,b", "--verify", "fingerprint")  # mends it, or finds it out where b comes second
    again = cli.push("--sites", "a,b")
    assert (again.code, again.counts("b")) == (0, (0, 1, 0))
    assert arrived(three[0]) == contents(cli.source)


@pytest.mark.parametrize("changed", [True, False])
def test_a_slide_that_changed_and_kept_its_size_is_compared_by_deep(
    cli: PushCli, sandbox: Sandbox, changed: bool
) -> None:
    """By default it is skipped, and somebody hears of it."""
    content = os.urandom(50_000)
    path = cli.source / "x.svs"
    tree(cli.source, "x.svs", content=content)
    cli.site("a", sandbox)
    assert cli.push().code == 0
    path.write_bytes(content[::-1] if changed else content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    result = cli.push()
    assert (result.code, result.counts("a")) == (0, (0, 1, 0))
    (notice,) = [event["text"] for event in result.events if event["event"] == "notice"]
    assert "1 slide was skipped" in notice
    assert "--verify deep" in notice
    result = cli.push("--verify", "deep")
    assert (result.code, result.counts("a")) == ((1, (0, 0, 1)) if changed else (0, (0, 1, 0)))
    result = cli.push()
    assert result.code == int(changed)
    assert "notice" not in {event["event"] for event in result.events}
    os.utime(path, (1_700_000_001, 1_700_000_001))
    for how in ((), ("--verify", "deep")):
        assert cli.push(*how).code == int(changed)  # touching it makes nothing better
    assert cli.push("--existing", "overwrite").code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_push_deep_finds_damage_on_the_servers_disk(cli: PushCli, three: list[Sandbox]) -> None:
    tree(cli.source, "x.svs", content=os.urandom(50_000))
    three[1].faults.add(Corrupt(offset=1000), path="transfer/Upload/[0-9]+.path=", times=1)
    result = cli.push("--verify", "deep")
    assert result.code == 1
    assert [result.counts(name) for name in "abc"] == [(1, 0, 0), (0, 0, 1), (1, 0, 0)]
    error = result.finished("b")["x.svs"]["error"]
    assert (
        "after sending, x.svs is not the same there (read back, SHA-256 differs); the next run sends it again" in error
    )
    again = cli.push("--verify", "deep")
    assert [again.counts(name) for name in "abc"] == [(0, 1, 0), (1, 0, 0), (0, 1, 0)]


def test_fingerprints_that_differ_although_the_bytes_do_not(cli: PushCli, three: list[Sandbox]) -> None:
    """Servers of other versions: how they compute it is their own."""
    tree(cli.source, "x.svs", content=os.urandom(50_000))
    three[2].faults.add(CannedResponse(200, '"another algorithm"'), path="GetFingerprint")
    result = cli.push("--verify", "fingerprint")
    assert result.code == 0, result.stdout


@pytest.mark.parametrize("root", ["Cloud", "Blobs"])
def test_deep_follows_the_storages_redirect_without_the_session(
    cli: PushCli, cloud_sandbox: StartCloud, root: str
) -> None:
    sandbox = cloud_sandbox(azure=root == "Blobs").sandbox
    cli.site("a", sandbox, target=f"{root}/in")
    write_svs(cli.source / "Größe & Co #1.svs")
    assert cli.push("--verify", "deep").code == 0
    assert cli.verify("--level", "deep").code == 0
    downloads = [r for r in sandbox.requests if "transfer/Download" in r.path]
    assert downloads
    assert all(r.status == 303 for r in downloads)


def test_audit(cli: PushCli, three: list[Sandbox], tmp_path: Path) -> None:
    write_mirax(cli.source / "m.mrxs")
    tree(cli.source, "Präparat\u2028 1.svs")
    audit = tmp_path / "audit.jsonl"
    three[1].faults.add(CannedResponse.refusal("no"), method="POST", path="transfer/Upload$")
    cli.push("--sites", "a,b", "--audit", str(audit))
    cli.push("--sites", "a", "--audit", str(audit))
    lines = [json.loads(line) for line in audit.read_text().split("\n")[:-1]]
    assert len(lines) == 6
    assert {line["user"] for line in lines} == {getpass.getuser()}
    assert len({line["run"] for line in lines}) == 2
    by = {(line["site"], line["slide"], line["status"]): line for line in lines}
    sent = by["a", "m.mrxs", "sent"]
    local = contents(cli.source)
    assert {file["path"]: (file["bytes"], file["sha256"]) for file in sent["files"]} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in local.items() if name.startswith("m")
    }
    assert (sent["to"], sent["url"]) == ("Slides/in/m.mrxs", three[0].url)
    assert by["b", "m.mrxs", "failed"]["error"]
    assert by["b", "m.mrxs", "failed"]["files"][0]["sha256"] is None
    assert by["a", "m.mrxs", "skipped"]["files"][0]["sha256"] is None
    if sys.platform != "win32":
        assert stat.S_IMODE(audit.stat().st_mode) == 0o600


def test_slides_that_nobody_came_to_are_on_record(cli: PushCli, three: list[Sandbox], tmp_path: Path) -> None:
    """One line for each slide and site, also of a site that is away, or whose disk is full after the first slide."""
    tree(cli.source, "1.svs", "2.svs", "3.svs")
    three[0].stop()
    three[1].faults.add(CannedResponse.iis(507), path="transfer/Upload/[0-9]+.path=")
    audit = tmp_path / "audit.jsonl"
    result = cli.push("--audit", str(audit), "--patience", "0")
    assert result.code == 1
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert sorted((line["site"], line["slide"], line["status"]) for line in lines) == sorted(
        (site, f"{number}.svs", "sent" if site == "c" else "failed") for site in "abc" for number in (1, 2, 3)
    )
    for line in lines:
        if line["site"] != "c":
            assert line["error"] == result.summary["sites"][line["site"]]["error"]
            assert line["note"] == "not finished"


def test_what_arrived_when_the_run_was_stopped_is_put_on_record_by_the_next(
    cli: PushCli, three: list[Sandbox], tmp_path: Path
) -> None:
    """And half a line, left by a full disk, swallows none."""
    tree(cli.source, "x.svs")
    audit = tmp_path / "audit.jsonl"
    audit.write_bytes(b'{"time": "2026')
    slow = (
        "import asyncio\nfrom pmarep.uploaders import Digests\n"
        "def slow(*_):\n    print('{\"event\": \"hashing\"}', flush=True)\n    return asyncio.sleep(3600, b'')\n"
        "Digests.sha256 = slow"
    )
    with cli.start("--sites", "a", "--audit", str(audit), patch=LatePatch(slow)) as running:
        running.wait_for(lambda event: event["event"] == "hashing")
        running.interrupt()
        assert running.result().code == 130
    assert arrived(three[0]) == contents(cli.source)
    cli.push("--sites", "a", "--audit", str(audit))
    half, stopped, line, end = audit.read_text().split("\n")
    assert (half, end) == ('{"time": "2026', "")
    assert (json.loads(stopped)["status"], json.loads(stopped)["note"]) == ("failed", "not finished")
    found = json.loads(line)
    assert (found["slide"], found["error"], found["note"]) == ("x.svs", None, None)
    assert found["files"][0]["sha256"] == hashlib.sha256(b"x").hexdigest()


def test_an_audit_file_that_cannot_be_written(cli: PushCli, three: list[Sandbox], tmp_path: Path) -> None:
    tree(cli.source, "x.svs")
    result = cli.run("--audit", str(tmp_path / "nowhere" / "audit.jsonl"))
    assert result.code == 2
    assert "cannot write the audit file" in result.stderr
    assert not transfers(three[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk of Linux")
def test_an_audit_that_cannot_go_on_ends_the_run(cli: PushCli, three: list[Sandbox]) -> None:
    tree(cli.source, "1.svs", "2.svs", "3.svs")
    result = cli.push("--audit", "/dev/full", "--connections", "1")
    assert result.code == 1
    assert "cannot write the audit file /dev/full: No space left on device" in result.summary["error"]
