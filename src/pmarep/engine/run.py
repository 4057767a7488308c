"""Run a replication: check everything, walk the sources, start one worker per site, and sum up at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..aio import any_of, cancel_all
from ..clock import Clock
from ..errors import PmarepError, TargetBusyError, internal_error, where
from ..events import (
    LEFT_OUT_CODE,
    Event,
    Listener,
    Notice,
    RunStarted,
    SiteState,
    SiteSummary,
    SourceProblem,
    SourceWaiting,
    State,
    Summary,
)
from ..remote.session_pool import Passwords, SessionPool
from ..sites import Site
from ..slides import LeftOut, Slide, Why
from ..source import LocalFiles, SharedReader
from ..source.scanner import roots_of
from ..state.journal import Journal
from ..state.journal_takeover import Scope, other_states, take_over
from ..state.nodes_at_work import NodesAtWork
from ..state.records import JournalError
from ..state.target_locks import hold_targets
from ..units import count_of, format_duration
from ..uploaders import Digests
from .annotation_run import AnnotationRun
from .context import RunContext
from .discovery.name_check import NameCheck
from .discovery.producer import DiscoveryListener
from .discovery.slide_list import SiteSlides, SlideList
from .gate.checks import check_gates
from .gate.site_gate import GateRun
from .idle_tracker import IdleTracker
from .label_images import LabelLooks
from .mirror.mirror_run import MirrorRun, check_mirror
from .mirror.source_names import SourceNames
from .options import Options
from .places import check_sources, find_places, place_files
from .run_files import RunFiles
from .run_parts import RunParts
from .site.stall_monitor import longest_answer
from .site_workers import PROGRESS_SECONDS, retry_policy
from .slide.verify import Fingerprints
from .stop_time import StopTime, describe_kept

log = logging.getLogger(__name__)

SCAN_SECONDS = 0.5  # how long the start waits for the walk, so that most runs know their totals from the beginning
WALK_SECONDS = 10.0  # after --max-duration: a walk that takes longer is broken off
SAID_AFTER = 10.0  # what is waited for so long is said
INTERRUPTED = 130
FOUND_AT_ONCE = 200
"""Slides that are recorded at once, as they are found."""


async def replicate(
    options: Options,
    sites: Sequence[Site],
    *,
    passwords: Passwords,
    state_dir: Path,
    listener: Listener,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    parts: RunParts | None = None,
) -> Summary:
    """Bring every slide of the sources to every site; the result is also the last event.

    Setting `stop` ends the run cleanly: what can be kept is kept for the next one. A site that cannot take part is
    left out, and the others are sent to. Raises, before anything is sent, UsageError (also for configuration, and where
    there is no password at all) and, where another run holds the targets of all sites that are left, TargetBusyError.
    `parts`: of a run that several nodes share.
    """
    clock, stop, parts = clock or Clock(), stop or asyncio.Event(), parts or RunParts()
    check_sources(options, sites)
    check_gates(options, sites)
    check_mirror(options)
    sources = [place.site for place in options.places]
    sessions = SessionPool(
        [*sites, *sources], passwords, partial(retry_policy, options, clock), longest_answer(options.patience)
    )
    own_state = state_dir if options.shard is None else state_dir / options.shard.folder
    run = _Run(options, sites, sessions, listener, clock, state_dir, parts)
    # A dry run changes nothing, so it may look while another run sends.
    places = [] if options.dry_run else [(site.name, site.destination_key) for site in sites]
    async with AsyncExitStack() as ending:
        ending.push_async_callback(sessions.close)  # some are open before slides are sent
        ending.enter_context(closing(run))
        ending.push_async_callback(run.gate.close)
        busy = ending.enter_context(hold_targets(state_dir / "locks", places, options.shard))
        nodes = NodesAtWork(state_dir / "locks", [place for name, place in places if name not in busy])
        if not await run.wait_for_nodes(nodes.seconds_left(), stop):
            return run.interrupted()
        missing: dict[str, str] | None = {}
        if parts.sends:
            run.sessions.check_connections()
            missing = await run.sessions.check_passwords(stop, run.wait)
        if missing is None or not await find_places(options, run.producer.look, run.wait, missing, stop):
            return run.interrupted()
        run.leave_out({**{name: str(error) for name, error in busy.items()}, **missing})
        if busy and not run.sites:
            raise TargetBusyError(
                f"{'; '.join(run.left_out.values())}; nothing was sent, start again when that has ended"
            )
        if not await run.check_names(stop):
            return run.interrupted()
        journal = Journal(own_state, mend=not options.dry_run, read_only=options.dry_run)
        try:
            if parts.sends and not options.dry_run:
                scopes = [Scope(site.url, "/".join(filter(None, (site.target, options.to)))) for site in run.sites]
                others = other_states(state_dir, options.shard)
                await take_over(own_state, others, scopes, options.shard, lambda text: listener(Notice(text=text)))
            return await run.go(journal, stop)
        finally:
            await run.files.close()
            await run.reader.stop()
            await run.sessions.close()
            journal.close()


class _Run:
    def __init__(
        self,
        options: Options,
        sites: Sequence[Site],
        sessions: SessionPool,
        listener: Listener,
        clock: Clock,
        state_dir: Path,
        parts: RunParts,
    ) -> None:
        self.options = options
        self.parts = parts
        self.names = [site.name for site in sites]
        self.sites = sites  # those that take part
        self.left_out: dict[str, str] = {}  # why the others do not
        self.sessions = sessions
        self.idle_tracker = IdleTracker(self.names)
        self.listener = self._hear
        self._output = listener
        self.clock = clock
        self.files = RunFiles(options, sites, clock, self._hear)
        only = options.names if options.only_named else None
        self.choices = parts.choices(sites, clock.local().timestamp(), only)
        self.slide_list = SlideList(self.choices, options.names)
        self.producer = parts.producer(
            options,
            self.slide_list,
            clock,
            DiscoveryListener(self._left_out, self._waiting, self._found),
            lambda place: sessions.core(place.site),
        )
        self.name_check: NameCheck | None = None
        if options.names is not None:
            self.name_check = self.producer.names = NameCheck(options.names, self.names, only=options.only_named)
        self.walk: asyncio.Task[None] | None = None
        self._unrecorded: list[Event] | None = None if self.name_check is None else []  # before there is a record
        self.place_files = place_files(options, sessions, clock, state_dir)
        roots = None if options.follow_links else roots_of(options.paths)
        local = LocalFiles(roots, strict=any(site.require for site in self.sites))
        self.reader = SharedReader(files=self.place_files or local)
        self.digests = Digests(self.reader)
        self.fingerprints = Fingerprints()
        self.audit = parts.audit(options)
        self.mirror = (
            MirrorRun(SourceNames(options.names, self.names), self._source_problem) if options.mirror else None
        )
        self.problems = 0
        self.unfinished = 0
        self.workers = parts.workers(clock, self._hear)
        self.walked = asyncio.Event()
        self.abort = asyncio.Event()
        self.start_said = asyncio.Event()
        self.why_aborted: str | None = None
        self.started = clock.monotonic()
        self.shard = None if options.shard is None else str(options.shard)
        self.stop_time = StopTime.of(options, clock)
        self.gate = GateRun(options, sites, self.reader, state_dir)

    def _hear(self, event: Event) -> None:
        """Pass an event on. An output that fails (a full disk behind `>`, a terminal that is gone) ends no run."""
        self.idle_tracker.hear(event)
        self.files.hear(event)
        if self._unrecorded is not None:
            self._unrecorded.append(event)
        try:
            self._output(event)
        except Exception as error:
            log.debug("the output failed: %s", type(error).__name__)

    @property
    def _over(self) -> bool:
        """Whether it is the time at which the run is to end."""
        return self.stop_time is not None and self.clock.monotonic() >= self.stop_time.at

    def close(self) -> None:
        self.producer.close()
        if self.name_check is not None:
            self.name_check.close()
        self.slide_list.close()
        self.digests.close()
        self.reader.close()
        self.fingerprints.close()
        if self.mirror is not None:
            self.mirror.names.close()
        if self.audit is not None:
            self.audit.close()

    async def wait(self, tasks: set[asyncio.Task[Any]], what: Callable[[], str]) -> bool:
        """Wait until a task is done or the run has to end; return whether one is done.

        When that takes long, say `what` is waited for.
        """
        said = False
        while True:
            left = SAID_AFTER if self.stop_time is None else self.stop_time.at - self.clock.monotonic()
            seconds = min(SAID_AFTER, left)
            timer = asyncio.create_task(self.clock.sleep(max(seconds, 0.0)))
            done, _ = await asyncio.wait({*tasks, timer}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            if done - {timer}:
                return True
            if self.stop_time is not None and self.clock.monotonic() >= self.stop_time.at:
                return False
            if not said:
                said = True
                self.listener(Notice(text=f"waiting for {what()}", passing=True))

    async def wait_for_nodes(self, seconds: float, stop: asyncio.Event) -> bool:
        """Wait for nodes that may still be sending; return False where the run is to end before."""
        if seconds <= 0:
            return True
        waited = format_duration(seconds)
        self.listener(Notice(text=f"nodes of a run that has died may still be sending: waiting {waited}", passing=True))
        timer, stopped = asyncio.create_task(self.clock.sleep(seconds)), asyncio.create_task(stop.wait())
        await asyncio.wait({timer, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all([timer, stopped])
        return not stop.is_set()

    async def check_names(self, stop: asyncio.Event) -> bool:
        """Look through the sources before anything is sent, where slides get other names at sites.

        Returns False where the run is to end before. Raises NameMapError with all that is wrong with the names.
        """
        if self.name_check is None:
            return True
        self.walk = asyncio.create_task(self.producer.walk())
        stopped = asyncio.create_task(stop.wait())
        try:
            in_time = await self.wait({self.walk, stopped}, lambda: "all slides of SRC to be found, as --map needs")
            if stop.is_set() or not in_time:
                return False
            self.walk.result()
        finally:
            await cancel_all([stopped, *([] if self.walk.done() else [self.walk])])
        await asyncio.to_thread(self.name_check.finish, complete=self.producer.error is None)
        for site in self.sites if not self.options.only_named else ():
            if count := self.name_check.unmapped(site.name):
                which = f"{count} of {count_of(len(SiteSlides(self.slide_list, site.name)), 'slide')}"
                keep = ("is", "keeps its name") if count == 1 else ("are", "keep their names")
                text = f"{site.name}: {which} {keep[0]} not in the map and {keep[1]}"
                self.listener(Notice(text=f"{text}; --map-only leaves such slides out", passing=True))
        return True

    def leave_out(self, why: dict[str, str]) -> None:
        """Leave these sites out of the run."""
        self.left_out = {name: why[name] for name in self.names if name in why}
        self.sites = [site for site in self.sites if site.name not in why]

    def interrupted(self) -> Summary:
        """End a run that had not begun."""
        summary = self._summary(True)
        self.listener(summary)
        return summary

    async def go(self, journal: Journal, stop: asyncio.Event) -> Summary:
        dry = self.options.dry_run
        if journal.put_aside:
            self.listener(
                Notice(
                    text=f"the journal was damaged and is now {journal.put_aside}; "
                    "what is at the sites is found out from their listings"
                )
            )
        number = None
        if not dry and self.parts.recorded:
            number = await journal.record_run_started(self.options.source_names)
            self.files.begin(journal.file.parent / "runs", number)
        if self._unrecorded is not None:
            await asyncio.to_thread(self._record_found)
            before, self._unrecorded = self._unrecorded, None
            for event in before:
                self.files.hear(event)
        walk = self.walk or asyncio.create_task(self.producer.walk())
        walk.add_done_callback(lambda _: self.walked.set())
        watching = asyncio.create_task(self._watch_unstable(walk))
        stopped = asyncio.create_task(any_of(stop, self.abort))
        late = asyncio.create_task(self._end_the_walk_in_time(walk))
        hard = asyncio.create_task(self._break_off())
        try:
            await asyncio.wait({walk, stopped}, timeout=SCAN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._say_start(scanning=not walk.done())
            self.start_said.set()
            self.workers.make(self.sites, self.sessions, self._context(journal))
            interrupted = await self.workers.run(stopped)
            if not interrupted:
                # Every site has ended, perhaps long before the walk: failures are counted against all slides.
                await asyncio.wait({walk, stopped}, return_when=asyncio.FIRST_COMPLETED)
                interrupted = not walk.done()
            if not interrupted:
                walk.result()
                if watching.done():  # else it waits for slides that no site is left for
                    watching.result()
        except Exception as error:  # a bug of ours: the run ends, and says how far it has come
            log.debug("ended in %s", where(error))
            self.why_aborted = self.why_aborted or internal_error(error)
            interrupted = False
        finally:
            await cancel_all([walk, watching, stopped, late, hard])
        interrupted = interrupted and self.why_aborted is None
        await self._record_the_rest(interrupted)
        for text in (*self.producer.unmatched_patterns(), *self.producer.undated()):
            self.listener(Notice(text=text))
        await self.files.write_list(self.slide_list, self.reader)
        summary = self._summary(interrupted)
        if number is not None:
            with suppress(JournalError):  # the truth about this run matters more than the list of runs
                await journal.record_run_finished(number, summary.to_dict())
        await self.files.close(summary)  # before it is heard: it is the last event, also where that fails
        self.listener(summary)
        return summary

    def _left_out(self, item: LeftOut) -> None:
        if item.why is Why.UNFINISHED and self.options.repeated:
            self.unfinished += 1
            log.info("%s: %s; a later round sends it", item.path, item.why.value)
        elif item.why.is_problem:
            self.problems += 1
            self.listener(SourceProblem(path=item.path, why=item.why.value, detail=item.detail))

    def _found(self, slides: Sequence[Slide], others: Sequence[str]) -> None:
        """Write down what was found, in the thread that finds it."""
        excluded = self.slide_list.just_excluded(slides)
        self.files.add_slides(slides, excluded)
        if self.name_check is not None:
            self.name_check.count(slides, excluded)
        if self.mirror is not None:
            self.mirror.names.add_slides(slides, excluded)
            self.mirror.names.add_left_out(others)

    def _record_found(self) -> None:
        """Record the slides that were found before there was a record."""
        if self.files.record is None:
            return
        for first in range(0, self.slide_list.admitted, FOUND_AT_ONCE):
            numbers = range(first, min(first + FOUND_AT_ONCE, self.slide_list.admitted))
            self.files.add_slides(*self.slide_list.found_before(numbers))

    def _source_problem(self) -> str | None:
        """Return why not everything is known that the source has; None where it is."""
        source = self.producer.summary()
        if self.producer.error is not None:
            return self.producer.error
        if not self.slide_list.complete.is_set():
            return "not every folder of the source was looked through"
        if self.problems or self.unfinished:
            return (
                f"{count_of(self.problems + self.unfinished, 'thing')} in the source could not be sent, or not be read"
            )
        if source.empty or not len(self.slide_list):
            return f"no slide is in {', '.join(source.empty) or 'the source'}"
        return None

    async def _end_the_walk_in_time(self, walk: asyncio.Task[None]) -> None:
        """End the walk at --max-duration, also where a drive hangs; what is on its way then still arrives."""
        if self.stop_time is None:
            return
        end = self.stop_time.at + WALK_SECONDS
        while self.clock.monotonic() <= end or self.workers.busy:
            await self.clock.sleep(PROGRESS_SECONDS)
        if not walk.done():
            self._stop_run(f"stopped at {self.stop_time.option}, before every folder was looked through")

    async def _break_off(self) -> None:
        """Break the run off at a hard stop time; what can be kept is kept."""
        if self.stop_time is not None and self.stop_time.hard:
            while (left := self.stop_time.at - self.clock.monotonic()) > 0:
                await self.clock.sleep(min(left, PROGRESS_SECONDS))
            self._stop_run(f"stopped at {self.stop_time.option}")

    async def _watch_unstable(self, walk: asyncio.Task[None]) -> None:
        await asyncio.wait({walk})
        await self.start_said.wait()
        deadline = None if self.stop_time is None else self.stop_time.at
        await self.producer.watch_unstable(lambda: self.idle_tracker.idle(self._admitted), deadline)

    def _admitted(self, site: str) -> int:
        return SiteSlides(self.slide_list, site).admitted

    def _waiting(self, slides: int, seconds: float) -> None:
        self.listener(SourceWaiting(slides=slides, seconds=round(seconds, 3)))

    def _say_start(self, scanning: bool) -> None:
        slides, size = len(self.slide_list), self.slide_list.bytes
        self.listener(RunStarted(sites=self.names, slides=slides, bytes=size, scanning=scanning, shard=self.shard))
        for name, why in self.left_out.items():
            self.listener(SiteState(site=name, state=State.STOPPED, reason=why))

    def _context(self, journal: Journal) -> RunContext:
        return RunContext(
            self.options,
            self.slide_list,
            journal,
            self.reader,
            self.digests,
            self.fingerprints,
            self.listener,
            self.clock,
            self.audit,
            self.stop_time,
            self.workers.others_work,
            self._stop_run,
            LabelLooks(self.reader, journal),
            self.gate,
            sites=len(self.sites),
            record=self.files.record,
            known=self.parts.known,
            at_all_sites=self.files.at_all_sites,
            mirror=self.mirror,
            annotations=AnnotationRun.of(self.options, self.sessions, self.listener),
            walked=self.walked,
        )

    def _stop_run(self, why: str) -> None:
        self.why_aborted = self.why_aborted or why
        self.abort.set()

    async def _record_the_rest(self, interrupted: bool) -> None:
        why = "the run was interrupted" if interrupted else self.why_aborted or "the run ended before"
        try:
            for worker in self.workers:
                await worker.report.record_the_rest(worker.report.error or why)
        except PmarepError as error:  # of the audit, or of the list of slides
            self.why_aborted = self.why_aborted or str(error)

    def _summary(self, interrupted: bool) -> Summary:
        by_name = {worker.site.name: worker.report.summary(interrupted or self._over) for worker in self.workers}
        for name, why in self.left_out.items():
            slides = SiteSlides(self.slide_list, name)
            missing = len(slides)
            by_name[name] = SiteSummary(failed=missing, not_looked_at=missing, excluded=slides.excluded, error=why)
        sites = {name: by_name[name] for name in self.names if name in by_name}
        error = self.why_aborted or self.producer.error
        if interrupted:
            error = "interrupted"
        if interrupted or (error and self._over):
            kept = describe_kept(sum(s.bytes_kept for s in sites.values()), sum(s.bytes_again for s in sites.values()))
            error = f"{error}; {kept}; the next run sends the rest"
        source = self.producer.summary()
        arrived = (
            not self.problems
            and (source.may_be_empty or not source.empty)
            and error is None
            and not self.files.failed
            and all(_is_complete(site, dry_run=self.options.dry_run) for site in sites.values())
        )
        return Summary(
            exit_code=INTERRUPTED if interrupted else _code_of(sites) if arrived else 1,
            seconds=round(self.clock.monotonic() - self.started, 3),
            sites=sites,
            source_problems=self.problems,
            source=source,
            left_out=self.producer.counts.left_out,
            dry_run=self.options.dry_run,
            verify_only=self.options.verify_only,
            error=error,
            annotations=self.options.annotations,
            bytes_downloaded=0 if self.place_files is None else self.place_files.bytes_downloaded,
            shard=self.shard,
            mirror=self.options.mirror,
            unfinished=self.unfinished,
            map_only=self.options.only_named,
        )


def _code_of(sites: Mapping[str, SiteSummary]) -> int:
    """Return the exit code of a run after which every slide is where it is to be."""
    return LEFT_OUT_CODE if any(site.left_out for site in sites.values()) else 0


def _is_complete(site: SiteSummary, *, dry_run: bool) -> bool:
    """Return whether a site has all that it is to have, and with --mirror nothing else."""
    here = site.failed == 0 and site.annotations_failed == 0 and site.error is None
    return here and site.mirror_error is None and (dry_run or site.extra == 0)
