"""What goes away and comes back: a site, the source's NAS, the machine's own time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.cloud import CloudSandbox, StartCloud
from support.corpus import tree
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, arrived, contents, transfers
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Hold, Sandbox

MIB = 1024 * 1024
FILE = r"transfer/Upload/[0-9]+\?path="

# stat() of slides fails as on a NAS that restarts, as long as a file of that name is there.
NAS = """
import errno, os
real = os.stat
def stat(path, *more, **keys):
    if str(path).endswith(".svs") and os.path.lexists({flag!r}):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real(path, *more, **keys)
os.stat = stat
"""

# The clock has gone on by 25 s, which is no sleep of the machine, as soon as a file of that name is there.
LATE = """
import os
from pmarep.clock import Clock
real_time = Clock.monotonic
def monotonic(self):
    return real_time(self) + 25 * os.path.lexists({late!r})
Clock.monotonic = monotonic
"""

# Every look at a slide, or every read of one, hangs as on a hard mount, as long as a file of that name is there.
HARD_NAS = (
    LATE
    + """
import os, time
import pmarep.source.stall_detection as stalls, pmarep.source.reader
stalls.PROBE_SECONDS = stalls.READ_SECONDS = pmarep.source.reader.RELEASE_SECONDS = 0.3
def hang(path):
    while str(path).endswith(".svs") and os.path.lexists({flag!r}):
        time.sleep(0.02)
if {looks!r}:
    real_stat = os.stat
    def stat(path, *more, **keys):
        hang(path)
        return real_stat(path, *more, **keys)
    os.stat = stat
else:
    real_read = pmarep.source.files.read_at
    def read(handle, version, start, length):
        hang(version.path)
        return real_read(handle, version, start, length)
    pmarep.source.files.read_at = read
"""
)

# One folder of the source cannot be listed: the drive lets us wait.
HANGING_WALK = (
    LATE
    + """
import os, time
real = os.scandir
def scandir(path="."):
    while os.fspath(path).rstrip("/").endswith("hangs"):
        time.sleep(600)
    return real(path)
os.scandir = scandir
import pmarep.engine.run
pmarep.engine.run.WALK_SECONDS = 0.5
"""
)

# The machine has slept for eight hours, and its clock went on meanwhile, when a file of that name is gone.
SLEEP = """
import os
from pmarep.clock import Clock
real = Clock.monotonic
def monotonic(self):
    return real(self) + (0 if os.path.lexists({flag!r}) else 8 * 3600)
Clock.monotonic = monotonic
"""

YESTERDAY = """
import datetime
from pmarep.clock import Clock
Clock.local = lambda self: datetime.datetime.now().astimezone() - datetime.timedelta(days=1)
"""


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def paused(site: str) -> dict[str, str]:
    return {"event": "site_state", "site": site, "state": "paused"}


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    path = tmp_path / "away"
    path.touch()
    return path


def test_a_nas_that_comes_back(cli: PushCli, sandbox: Sandbox, flag: Path) -> None:
    tree(cli.source, "1.svs", "2.svs", content=os.urandom(1000))
    cli.site("a", sandbox)
    with cli.start("--patience", "5m", patch=LatePatch(NAS.format(flag=str(flag)))) as running:
        running.wait_for(lambda event: paused("a").items() <= event.items())
        assert not transfers(sandbox)
        flag.unlink()
        result = running.result()
    assert result.code == 0, result.stdout
    reason = next(event["reason"] for event in result.events if paused("a").items() <= event.items())
    assert "Input/output error; trying again in " in reason
    assert arrived(sandbox) == contents(cli.source)


def test_a_nas_that_stays_away(cli: PushCli, sandbox: Sandbox, flag: Path) -> None:
    tree(cli.source, "1.svs", "2.svs")
    cli.site("a", sandbox)
    result = cli.run(patch=LatePatch(NAS.format(flag=str(flag))))
    assert result.code == 1
    (line,) = [line for line in result.stdout.splitlines() if "stopped" in line]
    assert "Input/output error" in line
    assert not transfers(sandbox)


LOOKS = pytest.mark.parametrize("looks", [True, False], ids=["looks hang", "reads hang"])


@LOOKS
def test_a_hard_mounted_nas_that_comes_back(cli: PushCli, sandbox: Sandbox, flag: Path, looks: bool) -> None:
    tree(cli.source, "1.svs", "2.svs", "3.svs", content=os.urandom(1000))
    cli.site("a", sandbox)
    patch = HARD_NAS.format(flag=str(flag), looks=looks, late="")
    with cli.start("--patience", "5m", patch=LatePatch(patch)) as running:
        running.wait_for(lambda event: paused("a").items() <= event.items())
        flag.unlink()
        result = running.result()
    assert result.code == 0, result.stdout
    reason = next(event["reason"] for event in result.events if paused("a").items() <= event.items())
    assert "does not answer" in reason
    assert arrived(sandbox) == contents(cli.source)


@LOOKS
@pytest.mark.parametrize("ends", [("--patience", "1s"), ("--patience", "1h", "--max-duration", "20s")])
def test_a_hard_mounted_nas_that_stays_away(
    cli: PushCli, sandbox: Sandbox, flag: Path, looks: bool, ends: tuple[str, ...]
) -> None:
    """The run and its process end, although threads still hang."""
    tree(cli.source, "1.svs", "2.svs", "3.svs")
    cli.site("a", sandbox)
    patch = HARD_NAS.format(flag=str(flag), looks=looks, late=str(flag.with_name("late")))
    with cli.start(*ends, patch=LatePatch(patch)) as running:
        running.wait_for(lambda event: paused("a").items() <= event.items())
        if "--max-duration" in ends:
            flag.with_name("late").touch()
        result = running.result()
    assert result.code == 1
    assert result.counts("a") == (0, 0, 3)
    errors = [event.get("error") or "" for event in result.events] + [result.summary["sites"]["a"]["error"] or ""]
    assert any("its disk or network drive does not answer" in error for error in errors)
    assert sandbox.open_sessions == 0


@pytest.mark.parametrize(
    ("after_bytes", "path"), [(10_000, FILE), (0, "transfer/Upload$")], ids=["a file", "an announcement"]
)
def test_a_site_that_restarts_in_the_middle(cli: PushCli, sandbox: Sandbox, after_bytes: int, path: str) -> None:
    tree(cli.source, *(f"{number}.svs" for number in range(6)), content=os.urandom(300_000))
    cli.site("a", sandbox)
    hold = Hold(after_bytes)
    sandbox.faults.add(hold, path=path, after=2)
    with cli.start("--patience", "5m", "--connections", "1", patch=NO_PAUSES) as running:
        assert hold.reached.wait(PATIENCE)
        sandbox.stop()
        running.wait_for(lambda event: paused("a").items() <= event.items())
        sandbox.start()
        result = running.result()
    assert result.code == 0, result.stdout
    assert result.counts("a") == (6, 0, 0)
    assert arrived(sandbox) == contents(cli.source)
    states = [event["state"] for event in result.events if event["event"] == "site_state"]
    assert states[-2:] == ["running", "done"]
    size = sum(len(content) for content in contents(cli.source).values())
    assert result.summary["sites"]["a"]["bytes_sent"] == size
    assert result.summary["sites"]["a"]["bytes_resumed"] == 0


def test_people_see_why_nothing_moves(cli: PushCli, start_sandbox: StartSandbox) -> None:
    tree(cli.source, "1.svs")
    there, away = start_sandbox("there"), start_sandbox("away")
    hold = Hold()
    there.faults.add(hold, path=FILE)
    cli.site("there", there)
    cli.site("away", away)
    away.stop()
    with cli.start_shown("--patience", "5m", patch=NO_PAUSES) as running:
        running.wait_for_words("away: paused: ")
        away.start()
        running.wait_for_words("away: answers again")
        hold.release()
        result = running.result()
    assert result.code == 0, result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "away: paused" in line]
    assert "refused the connection" in line
    assert line.endswith(" (trying again)")


@pytest.mark.parametrize(
    "fault",
    [
        CannedResponse.iis(507),
        CannedResponse.aspnet("There is not enough space on the disk."),
        CannedResponse.refusal("The quota of this root-directory has been exceeded"),
    ],
    ids=["507", "disk", "quota"],
)
@pytest.mark.parametrize("path", [FILE + "5.svs", "transfer/Upload$"], ids=["file", "announcement"])
def test_a_full_site_stops_with_that_word(
    cli: PushCli, start_sandbox: StartSandbox, fault: CannedResponse, path: str
) -> None:
    for number in range(8):
        tree(cli.source, f"{number}.svs", content=os.urandom(1000))
    full, good = start_sandbox("full"), start_sandbox("good")
    rule = full.faults.add(fault, method="POST", path=path)
    cli.site("full", full)
    cli.site("good", good)
    result = cli.push("--connections", "1", "--patience", "10m")
    assert result.code == 1
    assert "has no room left" in result.summary["sites"]["full"]["error"]
    assert rule.hits == 1
    assert result.counts("good") == (8, 0, 0)
    full.faults.clear()
    assert cli.push().code == 0
    assert arrived(full) == contents(cli.source)


def test_retry_after_is_honoured(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "1.svs")
    cli.site("a", sandbox)
    rule = sandbox.faults.add(
        CannedResponse.iis(503, headers={"Retry-After": "2"}), method="POST", path="transfer/Upload$", times=1
    )
    started = time.monotonic()
    assert cli.push(patch=NO_PAUSES).code == 0
    assert time.monotonic() - started >= 2
    assert rule.hits == 1


def test_the_machine_sleeps(cli: PushCli, sandbox: Sandbox, flag: Path) -> None:
    """Its sites were not away for eight hours, and a run of eight hours is not over."""
    tree(cli.source, "1.svs", content=os.urandom(600_000))
    cli.site("a", sandbox)
    hold = Hold()
    sandbox.faults.add(hold, path=FILE)
    with cli.start("--patience", "10m", patch=LatePatch(SLEEP.format(flag=str(flag)))) as running:
        # It is looked for once a second, from the first of these.
        running.wait_for(lambda event: event["event"] == "progress")
        flag.unlink()
        running.wait_for(lambda event: event["event"] == "notice")
        hold.release()
        result = running.result()
    assert result.code == 0, result.stdout
    (note,) = [event["text"] for event in result.events if event["event"] == "notice"]
    assert note == "this machine was asleep for 8h00m; going on"


def test_a_clock_that_was_set_back(cli: PushCli, cloud_sandbox: StartCloud) -> None:
    """Upload URLs that look alive and are not: the storage says so, and the slide is announced again."""
    cloud: CloudSandbox = cloud_sandbox(azure=False, s3_options={"part_size": MIB, "multipart_above": MIB})
    cli.site("a", cloud.sandbox, target="Cloud/in")
    tree(cli.source, "1.svs", content=os.urandom(3_000_000))
    hold = Hold()
    cloud.s3.faults.add(hold, method="PUT", path=r"\?partNumber=2")
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.process.kill()
    hold.release()
    cloud.s3.faults.clear()
    cloud.expire_urls()
    result = cli.push(patch=LatePatch(YESTERDAY))
    assert result.code == 0, result.stdout
    assert cloud.s3.objects() == {"in/1.svs": (cli.source / "1.svs").read_bytes()}


def test_a_walk_that_hangs_ends_at_max_duration(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    late = tmp_path / "late"
    tree(cli.source, "1.svs", "hangs/2.svs")
    cli.site("a", sandbox)
    patch = HANGING_WALK.format(late=str(late))
    with cli.start("--max-duration", "20s", patch=patch) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished")
        late.touch()
        result = running.result()
    assert result.code == 1
    assert "stopped at --max-duration, before every folder was looked through" in result.summary["error"]
    assert arrived(sandbox) == {"1.svs": (cli.source / "1.svs").read_bytes()}
