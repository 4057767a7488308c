"""A server that restarts in the middle of a run, forgets its uploads and gives their ids out again from the start.

PMAREP_RESTARTS=200 pytest tests/faults/test_restarts.py      # so many runs instead of a few
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support import fault_kinds, in_process
from support.cloud import KINDS, StartCloud
from support.corpus import tree, write_mirax
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, SMALLEST_PART, USER, StartSandbox

from pmacore_sandbox import EndSessions, Hold, Sandbox
from pmarep.engine.options import Verify
from pmarep.events import SlideRestarted, SlideRetracted, SlideStatus
from pmarep.sites import Site

RUNS = int(os.environ.get("PMAREP_RESTARTS", "1"))
SLIDES, SIZE = 10, 200_000
RESTARTS = 3
NEVER_GIVEN_UP = 1e9
"""Seconds of patience: their clock skips the pauses, ten minutes of them while a busy machine starts a server."""


def write_alike(folder: Path, chance: random.Random, slides: int = SLIDES, size: int = SIZE) -> None:
    """Slides that differ in nothing but their folder and their bytes, as many scanners name them."""
    for number in range(slides):
        tree(folder, f"case{number:02}/000001.svs", content=chance.randbytes(size))


async def restart_at_random(sandbox: Sandbox, chance: random.Random, times: int) -> None:
    """Whenever some more requests have been answered. A restart that has begun is waited for, also when cancelled."""
    for _ in range(times):
        enough = len(sandbox.requests) + chance.randrange(5, 30)
        while len(sandbox.requests) < enough:
            await asyncio.sleep(0.001)
        restarting = asyncio.create_task(asyncio.to_thread(sandbox.restart, reuse_ids=True))
        try:
            await asyncio.shield(restarting)
        finally:
            await restarting


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("keep_sessions", [False, True], ids=["sessions end", "sessions survive"])
@pytest.mark.parametrize("verify", [Verify.SIZE, Verify.NONE], ids=["size", "none"])
async def test_no_slide_comes_to_lie_in_the_place_of_another(
    tmp_path: Path, start_sandbox: StartSandbox, run: int, verify: Verify, keep_sessions: bool
) -> None:
    chance = random.Random(fault_kinds.seed(run))
    sandbox = start_sandbox(keep_sessions=keep_sessions)
    source = tmp_path / "cases"
    write_alike(source, chance)
    site = Site(name="a", url=sandbox.url, username=sandbox.settings.user, target="Slides/in")
    restarts = asyncio.create_task(restart_at_random(sandbox, chance, RESTARTS))
    try:
        report = await in_process.push(
            source,
            [site],
            tmp_path / "state",
            sandbox.settings.password,
            patience=NEVER_GIVEN_UP,
            connections=chance.randrange(1, 9),
            verify=verify,
        )
    finally:
        restarts.cancel()
        await asyncio.gather(restarts, return_exceptions=True)
    here, there = contents(source), arrived(sandbox)
    taken_back = {event.slide for event in report.events if isinstance(event, SlideRetracted)}
    for slide, end in report.finished("a").items():
        if end.status is SlideStatus.SENT and slide not in taken_back:
            assert there.get(slide) == here[slide], f"{slide} was said to be sent"
    assert report.code == 0, report.error("a")
    assert there == here
    assert sandbox.settings.reuse_ids  # it has restarted


@pytest.mark.parametrize("run", range(RUNS))
async def test_two_machines_at_one_server(tmp_path: Path, start_sandbox: StartSandbox, run: int) -> None:
    """Each gets ids that go on in jumps, and after a restart those that the other one had before."""
    chance = random.Random(fault_kinds.seed(1000 + run))
    sandbox = start_sandbox()
    restarts = asyncio.create_task(restart_at_random(sandbox, chance, RESTARTS))

    def machine(name: str) -> asyncio.Task[Report]:
        source = tmp_path / name / "cases"
        write_alike(source, chance, SLIDES // 3)
        for number in range(SLIDES // 3):
            write_mirax(source / f"case{number:02}" / "000002.mrxs", data_files=3, seed=chance.randrange(1000))
        site = Site(name="a", url=sandbox.url, username=sandbox.settings.user, target=f"Slides/{name}")
        state, connections = tmp_path / name / "state", chance.randrange(1, 6)
        return asyncio.create_task(
            in_process.push(source, [site], state, PASSWORD, patience=NEVER_GIVEN_UP, connections=connections)
        )

    machines = {name: machine(name) for name in ("one", "two")}
    try:
        reports = dict(zip(machines, await asyncio.gather(*machines.values()), strict=True))
    finally:
        restarts.cancel()
        await asyncio.gather(restarts, return_exceptions=True)
    for name, report in reports.items():
        assert report.code == 0, report.error("a")
        here, there = contents(tmp_path / name / "cases"), arrived(sandbox, f"Slides/{name}")
        bytes_of = {c: f"{n}/{path}" for n in machines for path, c in contents(tmp_path / n / "cases").items()}
        wrong = {f"{name}/{path}": bytes_of.get(c) for path, c in there.items() if c != here.get(path)}
        if wrong:
            print([(q.method, q.path, q.status) for q in sandbox.requests if "pload" in q.path or "uthent" in q.path])
        assert not wrong
        assert there.keys() == here.keys()


async def test_sessions_that_end_all_the_time_are_no_restart(tmp_path: Path, sandbox: Sandbox) -> None:
    """They do where the same user logs in from elsewhere; each end raises a doubt, which must not go on for ever."""
    source = tmp_path / "cases"
    write_alike(source, random.Random(3), 6, 3000)
    write_mirax(source / "m.mrxs", data_files=6)
    ends = sandbox.faults.add(EndSessions(), every=25)
    site = Site(name="a", url=sandbox.url, username=USER, target="Slides/in")
    report = await in_process.push(source, [site], tmp_path / "state", PASSWORD, patience=NEVER_GIVEN_UP, connections=4)
    assert report.code == 0, report.error("a")
    assert arrived(sandbox) == contents(source)
    assert ends.hits


@pytest.mark.parametrize("root", ["Slides", *KINDS])
async def test_an_upload_forgotten_when_all_has_been_sent(tmp_path: Path, cloud_sandbox: StartCloud, root: str) -> None:
    """The restart comes between the last byte and the call that ends an upload, of all slides."""
    cloud = cloud_sandbox("c", azure=root == "Blobs")
    source = tmp_path / "cases"
    write_alike(source, random.Random(1), 2, 2000)
    held = cloud.sandbox.faults.add(Hold(), method="GET", path=r"transfer/Upload/[0-9]+$")
    site = Site(name="a", url=cloud.sandbox.url, username=USER, target=f"{root}/in")
    run = asyncio.create_task(in_process.push(source, [site], tmp_path / "state", PASSWORD, patience=NEVER_GIVEN_UP))
    while held.hits < 2:
        assert not run.done()
        await asyncio.sleep(0.001)
    await asyncio.to_thread(cloud.sandbox.restart, reuse_ids=True)
    report = await run
    assert report.code == 0, report.error("a")
    objects = {} if root == "Slides" else cloud.side(root).objects()
    there = arrived(cloud.sandbox) if root == "Slides" else {n.removeprefix("in/"): c for n, c in objects.items()}
    assert there == contents(source)
    assert not [event for event in report.events if isinstance(event, SlideRestarted) and event.bytes]


class TwoHoursAhead(IdleClock):
    """Of a machine whose clock nobody sets."""

    def local(self) -> datetime:
        return super().local() + timedelta(hours=2)


async def test_upload_urls_end_by_the_clock_of_the_server(tmp_path: Path, cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox("c", azure=False, s3_options={"part_size": SMALLEST_PART})
    source = tmp_path / "cases"
    tree(source, "x.svs", content=os.urandom(4 * SMALLEST_PART))
    hold = Hold()
    cloud.s3.faults.add(hold, path="partNumber=4", times=1)
    site = Site(name="a", url=cloud.sandbox.url, username=USER, target="Cloud/in")
    killed = asyncio.create_task(in_process.push(source, [site], tmp_path / "state", PASSWORD, connections=1))
    while not hold.reached.is_set():
        assert not killed.done()
        await asyncio.sleep(0.001)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    hold.release()
    report = await in_process.push(source, [site], tmp_path / "state", PASSWORD, clock=TwoHoursAhead())
    assert report.code == 0, report.error("a")
    assert report.finished("a")["x.svs"].resumed_bytes == 3 * SMALLEST_PART
    assert cloud.s3.open_multipart_uploads() == []
