"""Random campaigns: two machines, some sites, and everything that goes wrong between them.

A campaign is a sequence of pushes, kills, changes at the source, damage and faults at the servers, all drawn from one
seed. Two rules have to hold after each step: what was said is true, and no slide that was whole is gone or mixed with
another unless somebody asked for that. At its end one calm push has to bring everything. The machines take turns: two
that send one slide in the same moment cannot be told apart (SECURITY.md).
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmacore_sandbox import CannedResponse
from pmacore_sandbox.faults import Action, Drop, EndSessions
from pmarep.engine import Existing, Verify
from pmarep.events import Event, SiteState, SlideFinished, SlideRetracted, SlideStatus, State
from pmarep.sites import Site
from support.corpus import write_mirax
from support.in_process import Report, push
from support.model_sites import ModelSite, killed, push_options
from support.push_cli import contents
from support.sandboxes import PASSWORD

Files = dict[str, bytes]

SINGLE = ("case1/000001.svs", "case2/000001.svs", "case3/000001.svs", "b ä & + #%.svs")
MULTI = "m.mrxs"
STEPS = 5
PATIENCE = 120.0
"""Seconds of the run's own clock, which goes on only while nothing is under way."""

FIREWALL = CannedResponse(403, "<html><head><title>Web Page Blocked!</title></head><body></body></html>", "text/html")
FORCIBLY = "An existing connection was forcibly closed by the remote host"
ANNOUNCE, FILE, STATUS = r"transfer/Upload$", r"transfer/Upload/[0-9]+\?", r"transfer/Upload/[0-9]+$"
FAULTS: tuple[tuple[str, Action, str], ...] = (
    ("announcing fails with a socket's words", CannedResponse.aspnet(FORCIBLY), ANNOUNCE),
    ("announcing is refused with a socket's words", CannedResponse.refusal(FORCIBLY, status=400), ANNOUNCE),
    ("announcing is refused as a duplicate request", CannedResponse.refusal("Duplicate request"), ANNOUNCE),
    ("a call is cut before it is handled", Drop(), r""),
    ("a call is handled and not answered", Drop(None), r"transfer/"),
    ("a file is cut on its way", Drop(200), FILE),
    ("a file fails", CannedResponse.iis(500), FILE),
    ("a gateway has no patience with a file", CannedResponse.iis(504), FILE),
    ("the status fails", CannedResponse.iis(503), STATUS),
    ("a firewall's page", FIREWALL, r"api/json/(?!auth)"),
    ("sessions end", EndSessions(), r"api/json/Get"),
    ("a session is not valid", CannedResponse.refusal("Invalid session ID", status=403), r"api/json/Get(Files|Dir)"),
)


class FalseReport(AssertionError):
    """Something was said that is not so, or a slide is gone."""


@dataclass
class Machine:
    """One pmarep: its source and state folders, and all slides that it ever had.

    `begun`: slides that it began to overwrite, as it was asked to.
    """

    name: str
    source: Path
    state: Path
    begun: set[tuple[str, str]] = field(default_factory=set)
    versions: list[Files] = field(default_factory=list)

    def slides(self) -> dict[str, Files]:
        """Each slide's files by path."""
        found: dict[str, Files] = {}
        for path, content in contents(self.source).items():
            slide = MULTI if path.startswith("m/") else path
            found.setdefault(slide, {})[path] = content
        return found


@dataclass(frozen=True)
class Meanwhile:
    """What happens during a push when a site has answered so many more requests, and not if there are fewer."""

    model_site: ModelSite
    after: int
    what: Callable[[], None]

    async def during(self, work: Coroutine[Any, Any, Report]) -> Report:
        """Run a push, and what happens; both are over when this returns."""
        pushing, enough = asyncio.create_task(work), asyncio.create_task(self._enough_requests())
        await asyncio.wait({pushing, enough}, return_when=asyncio.FIRST_COMPLETED)
        if enough.done():
            await asyncio.to_thread(self.what)
        enough.cancel()
        return await pushing

    async def _enough_requests(self) -> None:
        count = len(self.model_site.sandbox.requests) + self.after
        while len(self.model_site.sandbox.requests) < count:
            await asyncio.sleep(0.001)


def files_of(slide: str, there: Files) -> Files:
    """What a site has under a slide's name."""
    return {path: content for path, content in there.items() if path == slide or (slide == MULTI and path[:2] == "m/")}


class Campaign:
    """One seed. `steps` tells what happened, for the report of a failure."""

    def __init__(self, folder: Path, model_sites: list[ModelSite], seed: int, part: int) -> None:
        self.name = f"campaign{seed}"
        self._chance = random.Random(seed)
        self._ticks = iter(range(1, 10**6))
        self._model_sites = self._chance.sample(model_sites, self._chance.randint(1, len(model_sites)))
        self._part = part
        self.steps: list[str] = []
        self._versions: dict[str, list[Files]] = {}
        self._unseen: set[tuple[str, str]] = (
            set()
        )  # site and slide, changed since they were sent: a push may believe its journal
        self._machines = [
            Machine(name, folder / self.name / name, folder / self.name / f"{name}.state") for name in "ab"
        ]
        for machine in self._machines:
            machine.source.mkdir(parents=True)
            names = self._chance.sample(SINGLE, self._chance.randint(2, len(SINGLE)))
            for name in names:
                self._write(machine.source / name, 900)
            if self._chance.random() < 0.6:
                write_mirax(machine.source / MULTI, data_files=2, data_size=700, seed=next(self._ticks))
            if self._chance.random() < 0.3:
                self._write(machine.source / "parts.svs", 2 * part + 9)
        self._note_versions()

    def run(self) -> None:
        """Raise FalseReport, or any error that nobody foresaw."""
        steps: tuple[tuple[Callable[[Machine], None], int], ...] = (
            (self.push, 3),
            (self.kill, 3),
            (self.push_with_faults, 3),
            (self.restart_within, 2),
            (self.change, 2),
            (self.change_within, 1),
            (self.damage, 1),
            (self.damage_journal, 1),
        )
        for _ in range(STEPS):
            ((step, _),) = self._chance.choices(steps, [weight for _, weight in steps])
            step(self._chance.choice(self._machines))
        self.finish()

    # Steps

    def push(self, machine: Machine) -> None:
        """A push that nothing happens to."""
        existing = self._existing()
        self._pushed(machine, existing, f"{machine.name} pushes, {existing.value}")

    def kill(self, machine: Machine) -> None:
        """`kill -9` while a server has one of the first requests with something to lose."""
        model_site, after, handled = (
            self._chance.choice(self._model_sites),
            self._chance.randint(0, 10),
            self._chance.random() < 0.5,
        )
        options = push_options(machine.source, existing=self._existing(), fresh=self._chance.random() < 0.1)
        self._step(
            f"{machine.name} is killed at request {after} to {model_site.name}, handled: {handled}, {options.existing}"
        )
        before = self._there()
        events = asyncio.run(
            killed(
                self._model_sites,
                model_site,
                self._sites(),
                machine.state,
                options,
                after=after,
                handled=handled,
                password=PASSWORD,
            )
        )
        self._check(machine, events, before, options.existing, ended=False)

    def push_with_faults(self, machine: Machine) -> None:
        """Requests fail in several ways, some of them often."""
        chosen = [
            (
                model_site,
                model_site.faults if "file" in name and model_site.cloud else model_site.sandbox.faults,
                name,
                action,
                path,
            )
            for model_site in self._model_sites
            for name, action, path in self._chance.sample(FAULTS, self._chance.randint(1, 3))
        ]
        existing = self._existing()
        rules = []
        for _, faults, _, action, path in chosen:
            times, after = self._chance.choice((1, 1, 2, 4, 12)), self._chance.randint(0, 6)
            rules.append((faults, faults.add(action, path=path, times=times, after=after)))
        words = "; ".join(f"{model_site.name}: {name}" for model_site, _, name, _, _ in chosen)
        try:
            self._pushed(machine, existing, f"{machine.name} pushes, {existing.value}: {words}", patience=PATIENCE)
        finally:
            for faults, rule in rules:
                faults.remove(rule)

    def restart_within(self, machine: Machine) -> None:
        """A server restarts while a push goes on, and gives its upload ids out from the start again."""
        model_site, existing = self._chance.choice(self._model_sites), self._existing()
        meanwhile = Meanwhile(model_site, self._chance.randint(3, 25), model_site.restart_from_the_start)
        what = f"{machine.name} pushes, {existing.value}, {model_site.name} restarts after {meanwhile.after} requests"
        self._pushed(machine, existing, what, meanwhile=meanwhile, patience=PATIENCE)

    def change(self, machine: Machine) -> None:
        """A file of the source is written again, perhaps with as many bytes as before."""
        file = self._some_file(machine)
        larger = self._chance.choice((0, 0, 1))
        self._step(f"{machine.name} changes {file.name}, {larger} bytes larger")
        self._write(file, file.stat().st_size + larger)
        self._note_versions()

    def change_within(self, machine: Machine) -> None:
        """A file is replaced while it is sent, its size and time kept."""
        file, existing = self._some_file(machine), self._existing()
        model_site, after = self._chance.choice(self._model_sites), self._chance.randint(3, 20)

        def replace() -> None:
            stat = file.stat()
            new = file.with_name("new")
            new.write_bytes(os.urandom(stat.st_size))
            os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            new.replace(file)

        old = machine.slides()
        self._pushed(
            machine,
            existing,
            f"{file.name} of {machine.name} is replaced while it pushes",
            meanwhile=Meanwhile(model_site, after, replace),
            before_change=old,
        )
        self._note_versions()
        # Its size and time are the same: whoever reads back what was sent before cannot tell it from damage at the
        # site, and sends it again.
        slide = next(slide for slide, files in old.items() if file.relative_to(machine.source).as_posix() in files)
        machine.begun.update((model_site.name, slide) for model_site in self._model_sites)

    def damage(self, _machine: Machine) -> None:
        """A server's disk loses the end of a file."""
        model_site = next((model_site for model_site in self._model_sites if model_site.cloud is None), None)
        if model_site is None:
            return
        folder = model_site.sandbox.data / model_site.root / self.name
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if files:
            file = self._chance.choice(files)
            self._step(f"{model_site.name} loses the end of {file.name}")
            os.truncate(file, file.stat().st_size // 2)
            path = file.relative_to(folder).as_posix()
            self._unseen.add((model_site.name, MULTI if path.startswith("m/") else path))

    def damage_journal(self, machine: Machine) -> None:
        """What a machine remembers is damaged or gone."""
        journal = machine.state / "journal.sqlite"
        if not journal.exists():
            return
        how = self._chance.choice(("gone", "garbage", "no table", "broken upload"))
        self._step(f"the journal of {machine.name}: {how}")
        if how == "gone":
            for file in machine.state.glob("journal.sqlite*"):
                file.unlink()
        elif how == "garbage":
            with journal.open("r+b") as opened:
                opened.seek(self._chance.randrange(journal.stat().st_size))
                opened.write(os.urandom(600))
        else:
            with closing(sqlite3.connect(journal)) as database:
                database.execute(
                    "DROP TABLE IF EXISTS part"
                    if how == "no table"
                    else "UPDATE slide SET upload = '{\"Id' WHERE upload NOT NULL"
                )
                database.commit()

    def finish(self) -> None:
        """What verify finds, one push of the first machine mends; the other's only says what is not so."""
        first, second = self._machines
        self._step("a verifies, deep")
        self._unseen.clear()
        verified = asyncio.run(self._push(first, Existing.FAIL, verify_only=True, verify=Verify.DEEP))
        if any(verified.error(one.name) for one in self._model_sites):  # of a damaged journal, which has been put aside
            asyncio.run(self._push(first, Existing.FAIL, verify_only=True, verify=Verify.DEEP))
        report = self._pushed(first, Existing.OVERWRITE, "the last push of a", patience=PATIENCE)
        failed = [
            e.error for model_site in self._model_sites for e in report.finished(model_site.name).values() if e.error
        ]
        if failed and all("with --fresh" in error for error in failed):
            # Two uploads of one name that were broken off: a server may go on to wait for files of the other one.
            report = self._pushed(
                first, Existing.OVERWRITE, "the last push of a, as it says", patience=PATIENCE, fresh=True
            )
        if report.code != 0:
            raise FalseReport(
                f"the last push ends with {report.code}: {[report.error(site.name) for site in self._model_sites]}"
            )
        for model_site in self._model_sites:
            there = model_site.has(self.name)
            for slide, files in first.slides().items():
                if files_of(slide, there) != files:
                    raise FalseReport(f"{slide} is not whole at {model_site.name} at the end")
        asked = asyncio.run(self._push(first, Existing.FAIL, verify_only=True, verify=Verify.DEEP))
        if asked.code != 0:
            raise FalseReport(
                f"verify ends with {asked.code}: {[asked.error(site.name) for site in self._model_sites]}"
            )
        self._unseen.clear()
        self._pushed(second, Existing.FAIL, "the last push of b, deep", verify=Verify.DEEP)

    # How

    def _step(self, what: str) -> None:
        """Each begins in another second where a storage's clock goes in seconds.

        Two slides of the same names and sizes that come within one have the same stamp: what another machine has put
        over ours at once counts as ours, damaged. That is a limit of stamps, and known.
        """
        if any(model_site.cloud is not None for model_site in self._model_sites):
            now = time.time()
            time.sleep(1.01 - now % 1)
        self.steps.append(what)

    def _existing(self) -> Existing:
        return self._chance.choice((Existing.FAIL, Existing.FAIL, Existing.FAIL, Existing.OVERWRITE, Existing.SKIP))

    def _sites(self) -> list[Site]:
        return [model_site.site(self.name) for model_site in self._model_sites]

    def _there(self) -> dict[str, Files]:
        return {model_site.name: model_site.has(self.name) for model_site in self._model_sites}

    def _some_file(self, machine: Machine) -> Path:
        return self._chance.choice(
            sorted(path for path in machine.source.rglob("*") if path.suffix in (".svs", ".dat"))
        )

    def _write(self, file: Path, size: int) -> None:
        """Every write has another time, however coarse the disk's clock is."""
        tick = next(self._ticks)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%06d" % tick + os.urandom(size - 6))
        os.utime(file, (1_700_000_000 + tick, 1_700_000_000 + tick))

    def _note_versions(self) -> None:
        for machine in self._machines:
            for slide, files in machine.slides().items():
                self._versions.setdefault(slide, []).append(files)
                machine.versions.append(files)

    async def _push(self, machine: Machine, existing: Existing, **options: Any) -> Report:
        return await push(
            machine.source, self._sites(), machine.state, PASSWORD, existing=existing, connections=2, **options
        )

    def _pushed(
        self,
        machine: Machine,
        existing: Existing,
        what: str,
        meanwhile: Meanwhile | None = None,
        before_change: dict[str, Files] | None = None,
        **options: Any,
    ) -> Report:
        self._step(what)
        before = self._there()

        push = self._push(machine, existing, **options)
        report = asyncio.run(push if meanwhile is None else meanwhile.during(push))
        for model_site in self._model_sites:
            model_site.wait_idle()
        if before_change is not None:
            self._note_versions()
        deep = options.get("verify") is Verify.DEEP
        self._check(machine, report.events, before, existing, before_change=before_change, deep=deep)
        return report

    # What has to hold

    def _check(
        self,
        machine: Machine,
        events: list[Event],
        before: dict[str, Files],
        existing: Existing,
        *,
        ended: bool = True,
        deep: bool = False,
        before_change: dict[str, Files] | None = None,
    ) -> None:
        """`ended`: the run was not killed. `deep`: what is there was read back."""
        here = machine.slides()
        for model_site in self._model_sites:
            there = model_site.has(self.name)
            finished = {
                event.slide: event
                for event in events
                if isinstance(event, SlideFinished) and event.site == model_site.name
            }
            taken_back = {
                event.slide for event in events if isinstance(event, SlideRetracted) and event.site == model_site.name
            }
            stopped = any(
                isinstance(e, SiteState) and e.site == model_site.name and e.state is State.STOPPED for e in events
            )
            if ended and not stopped and not finished.keys() >= here.keys():
                raise FalseReport(f"nothing was said of {sorted(here.keys() - finished.keys())} at {model_site.name}")
            for slide in self._versions:
                old, new = files_of(slide, before[model_site.name]), files_of(slide, there)
                event = finished.get(slide)
                status = None if event is None or slide in taken_back else event.status
                mine = [here.get(slide, {})] + ([before_change.get(slide, {})] if before_change else [])
                if status is SlideStatus.SENT and new not in mine:
                    raise FalseReport(f"{slide} was said to be sent to {model_site.name}, which has something else")
                unseen = existing is Existing.SKIP or (model_site.name, slide) in self._unseen
                if status is SlideStatus.SKIPPED and not unseen and not _alike(new, mine):
                    raise FalseReport(f"{slide} was said to be at {model_site.name}, which has something else")
                if old and old != new:
                    self._unseen.add((model_site.name, slide))
                if old not in self._versions[slide] or old == new:
                    continue  # it was not whole, or nothing has happened to it
                asked = existing is Existing.OVERWRITE or (model_site.name, slide) in machine.begun
                if asked and slide in here:
                    if status is not SlideStatus.SENT:
                        machine.begun.add((model_site.name, slide))
                    continue
                if deep and old in machine.versions and new in mine:
                    continue  # its own slide, replaced here with size and time kept: read back, it looks damaged there
                raise FalseReport(
                    f"{slide} was whole at {model_site.name} and is gone or changed, which nobody asked for"
                )
            for slide in here:
                if existing is Existing.OVERWRITE and (
                    finished.get(slide) is None or finished[slide].status is SlideStatus.FAILED
                ):
                    machine.begun.add((model_site.name, slide))


def _alike(there: Files, versions: list[Files]) -> bool:
    """Without being asked to read it back, files of the same names and sizes count as the same slide."""
    return any({p: len(c) for p, c in there.items()} == {p: len(c) for p, c in one.items()} for one in versions)
