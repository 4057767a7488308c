"""Two machines with slides of the same names and sizes, one site, and every order of events: no slide is lost unasked.

PMAREP_MODEL_EXAMPLES=500 pytest tests/faults/test_two_machines.py      # a long soak; otherwise a fixed, short one
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from support.cloud import StartCloud
from support.in_process import Report, push
from support.model_sites import ModelSite, killed, put_back
from support.push_cli import contents
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, SMALLEST_PART, StartSandbox

from pmarep.engine import Existing, Options, Verify
from pmarep.events import Event, SlideFinished, SlidePlanned, SlideStatus

from .test_model import profile

SLIDES = ("x.svs", "m.mrxs")
EXISTING = st.sampled_from(list(Existing))
LAST = 9
"""Requests with bytes, at most, that pass before a kill."""

numbers = itertools.count(1)
Contents = dict[str, bytes]


class Machine:
    """One of those that send: its slides, and what it remembers."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.source = folder / name / "cases"
        self.state = folder / name / "state"
        self.source.mkdir(parents=True)
        self.allowed: dict[str, Contents] = {}
        """What was at the site when a person said `--existing overwrite` to a push that was killed, by slide."""

    def files(self, slide: str) -> Contents:
        return _of(slide, contents(self.source))


class TwoMachines(RuleBasedStateMachine):
    """`grow`: another version of a slide has another size, for storages whose clock goes in seconds."""

    def __init__(self, folder: Path, model_site: ModelSite, size: int = 6000, *, grow: bool = False) -> None:
        super().__init__()
        self.name = f"two{next(numbers)}"
        self.model_site = model_site
        self.site = model_site.site(self.name)
        self.grow = grow
        self.ticks = itertools.count(1)
        self.machines = [Machine(name, folder / self.name) for name in "AB"]
        self.versions: list[Contents] = []
        """All slides that were whole at some time."""
        for machine in self.machines:
            self.write(machine, "x.svs", size)
            for file in ("m/Data0000.dat", "m/Data0001.dat", "m.mrxs"):
                self.write(machine, file, 700)
            (machine.source / "m" / "Slidedat.ini").write_text(SLIDEDAT)
            (machine.source / "m" / "Index.dat").write_bytes(b"index" * 20)
            self.know(machine)

    # What happens

    @rule(who=st.integers(0, 1), existing=EXISTING, deep=st.booleans(), fresh=st.booleans())
    def push(self, who: int, existing: Existing, deep: bool, fresh: bool) -> None:
        machine, before = self.machines[who], self.there()
        verify = Verify.DEEP if deep else Verify.SIZE
        report = self.pushed(machine, existing=existing, fresh=fresh, verify=verify)
        after = self.check(machine, before, report.events, existing)
        for slide, event in report.finished(self.site.name).items():
            if deep and event.status is SlideStatus.SKIPPED and existing is not Existing.SKIP:
                assert _of(slide, after) == machine.files(slide)
            if event.status is not SlideStatus.FAILED:
                machine.allowed.pop(slide, None)

    @rule(
        who=st.integers(0, 1),
        after=st.integers(0, LAST),
        handled=st.booleans(),
        existing=EXISTING,
        fresh=st.booleans(),
        torn=st.booleans(),
    )
    def kill(self, who: int, after: int, handled: bool, existing: Existing, fresh: bool, torn: bool) -> None:
        """`torn`: the server writes in place, and a beginning of the main file lies there."""
        machine, before = self.machines[who], self.there()
        options = Options(
            sources=(machine.source,), existing=existing, fresh=fresh, connections=2, patience=0.0, settle=0.0
        )
        events = asyncio.run(self.killed(machine, after, handled, options))
        there = self.check(machine, before, events, existing)
        if existing is Existing.OVERWRITE:
            machine.allowed |= {slide: _of(slide, there) for slide in SLIDES}
        in_place = torn and self.model_site.cloud is None
        if in_place and self.journal_says_sending(machine, "x.svs") and not _of("x.svs", there):
            file = self.model_site.sandbox.data / "Slides" / self.name / "x.svs"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(machine.files("x.svs")["x.svs"][: 500 * after])

    @rule(who=st.integers(0, 1), level=st.sampled_from([Verify.SIZE, Verify.FINGERPRINT, Verify.DEEP]))
    def verify(self, who: int, level: Verify) -> None:
        machine, before = self.machines[who], self.there()
        report = self.pushed(machine, verify=level, verify_only=True)
        assert self.there() == before
        for slide, event in report.finished(self.site.name).items():
            if event.status is SlideStatus.VERIFIED and level is Verify.DEEP:
                assert _of(slide, before) == machine.files(slide)

    @rule(who=st.integers(0, 1), existing=EXISTING)
    def ask_first(self, who: int, existing: Existing) -> None:
        """A dry run says what the push does."""
        machine, before = self.machines[who], self.there()
        events = self.pushed(machine, existing=existing, dry_run=True).events
        assert self.there() == before
        planned = {event.slide: event.action for event in events if isinstance(event, SlidePlanned)}
        report = self.pushed(machine, existing=existing)
        self.check(machine, before, report.events, existing)
        for slide, event in report.finished(self.site.name).items():
            words = {"skip": SlideStatus.SKIPPED, "conflict": SlideStatus.FAILED}
            assert words.get(planned[slide], SlideStatus.SENT) is event.status, (planned, event)

    @rule(who=st.integers(0, 1), which=st.sampled_from(["x.svs", "m.mrxs", "m/Data0001.dat"]))
    def change(self, who: int, which: str) -> None:
        machine = self.machines[who]
        self.write(machine, which, (machine.source / which).stat().st_size)
        self.know(machine)

    @rule(slide=st.sampled_from(SLIDES))
    def delete(self, slide: str) -> None:
        with Client(self.model_site.sandbox) as client:
            client.post("DeleteSlide", path=f"{self.site.target}/{slide}")

    @rule(who=st.integers(0, 1))
    def lose_the_journal(self, who: int) -> None:
        put_back(self.machines[who].state, b"")

    @precondition(lambda self: self.model_site.cloud is None)
    @rule(slide=st.sampled_from(SLIDES), left=st.integers(0, 5999), room=st.booleans())
    def cut(self, slide: str, left: int, room: bool) -> None:
        """The server's disk loses the end of a main file; `room`: there are zeros instead."""
        file = self.model_site.sandbox.data / "Slides" / self.name / slide
        if file.exists():
            content = file.read_bytes()
            file.write_bytes(content[:left] + bytes(max(0, len(content) - left) if room else 0))

    @rule(forget=st.booleans())
    def restart(self, forget: bool) -> None:
        self.model_site.sandbox.restart(forget_uploads=forget)

    # What has to hold

    def check(self, machine: Machine, before: Contents, events: list[Event], existing: Existing) -> Contents:
        """Return what is there now."""
        after = self.there()
        for slide in SLIDES:
            was, now = _of(slide, before), _of(slide, after)
            if existing is not Existing.OVERWRITE and was in self.versions and machine.allowed.get(slide) != was:
                assert now == was, f"{machine.name} has written over {slide}, which was whole"
        for event in events:
            if isinstance(event, SlideFinished) and event.status is SlideStatus.SENT:
                assert _of(event.slide, after) == machine.files(event.slide), f"{event.slide} was said to be sent"
            if isinstance(event, SlideFinished) and event.status is SlideStatus.SKIPPED and not event.error:
                assert _of(event.slide, after) == _of(event.slide, before)
            if isinstance(event, SlideFinished) and event.status is SlideStatus.FAILED:
                assert event.error
        return after

    def teardown(self) -> None:
        """What `--existing overwrite` promises."""
        machine = self.machines[0]
        report = self.pushed(machine, existing=Existing.OVERWRITE, verify=Verify.DEEP)
        assert report.code == 0, report.error(self.site.name)
        assert self.there() == contents(machine.source)

    # How

    def there(self) -> Contents:
        return self.model_site.has(self.name)

    def know(self, machine: Machine) -> None:
        self.versions += [machine.files(slide) for slide in SLIDES]

    def write(self, machine: Machine, file: str, size: int) -> None:
        """Every version has another time, however coarse the disk's clock is."""
        tick = next(self.ticks)
        path = machine.source / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%06d" % tick + os.urandom(size - 6 + (tick if self.grow else 0)))
        os.utime(path, (1_700_000_000 + tick, 1_700_000_000 + tick))

    def journal_says_sending(self, machine: Machine, slide: str) -> bool:
        file, at = machine.state / "journal.sqlite", f"{self.site.target}/{slide}"
        if not file.exists():
            return False
        with closing(sqlite3.connect(file, timeout=30)) as journal:
            found = journal.execute("SELECT state FROM slide WHERE path = ?", (at,)).fetchall()
        return found == [("sending",)]

    def pushed(self, machine: Machine, **options: Any) -> Report:
        work = push(machine.source, [self.site], machine.state, PASSWORD, connections=2, **options)
        return asyncio.run(work)

    async def killed(self, machine: Machine, after: int, handled: bool, options: Options) -> list[Event]:
        return await killed(
            [self.model_site],
            self.model_site,
            [self.site],
            machine.state,
            options,
            after=after,
            handled=handled,
            password=PASSWORD,
        )


SLIDEDAT = """\
[HIERARCHICAL]
INDEXFILE = Index.dat
[DATAFILE]
FILE_COUNT = 2
FILE_0 = Data0000.dat
FILE_1 = Data0001.dat
"""


def _of(slide: str, files: Contents) -> Contents:
    folder = slide.rpartition(".")[0] + "/"
    return {name: content for name, content in files.items() if name == slide or name.startswith(folder)}


def in_every_order(begin: Callable[[], TwoMachines], examples: int) -> None:
    run_state_machine_as_test(begin, settings=profile(examples))  # type: ignore[arg-type]  # any factory will do


def test_at_a_file_system(folder: Path, start_sandbox: StartSandbox) -> None:
    model_site = ModelSite("a", start_sandbox("a"), "Slides")
    in_every_order(lambda: TwoMachines(folder, model_site), 4)


@pytest.mark.slow
@pytest.mark.parametrize("root", ["Cloud", "Blobs"], ids=["s3", "azure"])
def test_in_a_cloud(folder: Path, cloud_sandbox: StartCloud, root: str) -> None:
    cloud = cloud_sandbox("c", azure=root == "Blobs", s3_options={"part_size": SMALLEST_PART})
    model_site = ModelSite("c", cloud.sandbox, root, cloud)
    in_every_order(lambda: TwoMachines(folder, model_site, 2 * SMALLEST_PART + 9, grow=True), 2)
