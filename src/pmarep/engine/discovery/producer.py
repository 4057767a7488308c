"""Fill the list of slides: walk the sources, and look again, last of all, at what may still be being written."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass

from ...clock import Clock
from ...daemon_thread import in_thread
from ...errors import PmarepError, TemporaryFileError, UsageError, where
from ...events import SourceSummary
from ...pmacore import PmaCore, PmaCoreError
from ...sites.place import Place
from ...slides import LeftOut, Slide, Why
from ...slides.folder import error_text
from ...slides.selection import OptionValue, describe_unmatched
from ...slides.source_counts import SourceCounts
from ...slides.stability import StabilityPolicy, newest_mtime_ns
from ...source.place import PlaceScanner
from ...source.scanner import SourceScanner, scanners
from ...text import printable
from ..options import Options
from .batch import FoundBatch
from .collisions import NameCollisions, collision_keys
from .disk_list import DiskList
from .name_check import NameCheck
from .slide_list import SlideList
from .stability import Claimants, UnstableSlide, look_at, unstable_list

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.2  # after which a batch is handed over, where a server lists things one by one


@dataclass(frozen=True, slots=True)
class DiscoveryListener:
    """Callbacks for what is found, called in the event loop but for `found`.

    `left_out`: a problem. `waiting`: so many slides are looked at again in so many seconds. `found`: slides, in the
    order of their numbers, and paths of what else is there and no problem, called in the thread that looks.
    """

    left_out: Callable[[LeftOut], None]
    waiting: Callable[[int, float], None]
    found: Callable[[Sequence[Slide], Sequence[str]], None] = lambda _slides, _others: None


class SlideProducer:
    """Fills the list of slides: `walk`, then `watch_unstable`. `error` is why the list is not all that there is.

    `counts`: what was found until now, without those that are still to be looked at again.

    Raises, when it is made, UsageError for a source that is none, and TemporaryFileError.
    """

    def __init__(
        self,
        options: Options,
        slide_list: SlideList,
        clock: Clock,
        listener: DiscoveryListener,
        core: Callable[[Place], PmaCore] | None = None,
    ) -> None:
        self.names: NameCheck | None = None
        """Hears of everything that is found, where slides get other names at sites."""
        self._matched: set[OptionValue] = set()
        self._patterns = options.include, options.exclude
        self._shard = options.shard
        self._mirrored = options.mirror
        self._local = scanners(options.paths, options, self._matched)
        self._places: list[PlaceScanner] = []
        if core is not None:
            self._places = [PlaceScanner(place, core(place), options, self._matched) for place in options.places]
        self._scanners: list[SourceScanner | PlaceScanner] = [*self._local, *self._places]
        self._collisions = NameCollisions[int]() if len(self._scanners) > 1 else None
        # Where nothing is sent, what is there now counts; nothing is waited for.
        only_looks = options.dry_run or options.verify_only
        # Where a server lists a slide, its main file has come, and that comes last.
        self._stability = None if only_looks or self._places else StabilityPolicy.from_option(options.settle)
        self._slide_list = slide_list
        self._clock = clock
        self._listener = listener
        self._unstable = unstable_list()
        self._claimants = Claimants()
        self._waiting = 0
        self._seen = 0.0  # of clock.monotonic(): when the last of them was looked at
        self._stopping = threading.Event()
        self._has_slides: set[int] = set()  # numbers of scanners, also of those that have some which cannot be sent
        self._has_excluded: set[int] = set()
        self._may_be_empty = options.allow_empty
        self._walked = False
        self.error: str | None = None
        self.counts = SourceCounts()

    def close(self) -> None:
        """Close what is open; a thread that still looks ends."""
        self._stopping.set()
        self._unstable.close()
        for scanner in self._scanners:
            scanner.close()
        if self._collisions is not None:
            self._collisions.close()

    async def walk(self) -> None:
        """Walk all sources, in a thread; keep what may still be being written for `watch_unstable`."""

        def everything(batch: FoundBatch) -> Iterator[FoundBatch]:
            first = True
            for number, scanner in enumerate(self._local):
                for thing in scanner.find():
                    self._note(number, thing)
                    found = self._without_collision(number, thing)
                    judged = self._sorted(number, found, batch.now)
                    if self._is_of_shard(found):
                        batch.add(judged)
                    else:
                        batch.pass_over()
                    if batch.full or (first and batch.slides):
                        first = first and not batch.slides
                        yield batch
                        batch = self._new_batch()
            yield batch

        try:
            await self._hand_over(everything, self._unstable)
            await self._list_places()
            self._walked = True
        except TemporaryFileError as error:
            self.error = str(error)  # what was found until now is sent
        except PmarepError as error:  # of a server
            self.error = f"not every folder was looked through: {error}"
        except Exception as error:
            self._failed(error)
        except BaseException:
            self._slide_list.finish()
            raise

    async def look(self) -> None:
        """Find out what lies at the places. Raises UsageError where nothing does, else PmaCoreError."""
        for scanner in self._places:
            await scanner.look()
            if self._mirrored and scanner.is_slide:
                raise UsageError(
                    f"--mirror makes a site like a folder, and {scanner.source} is a slide; name its folder"
                )

    async def _list_places(self) -> None:
        """List what lies at the places; sites have each slide within a moment."""
        batch, began = self._new_batch(), self._clock.monotonic()
        try:
            for number, scanner in enumerate(self._places, len(self._local)):
                async with aclosing(scanner.find()) as things:
                    async for thing in things:
                        self._note(number, thing)
                        found = self._without_collision(number, thing)
                        if self._is_of_shard(found):
                            batch.add(found)
                        if batch.full or self._clock.monotonic() - began > BATCH_SECONDS:
                            await self._hand_over_listed(batch)
                            batch, began = self._new_batch(), self._clock.monotonic()
        except PmaCoreError:
            await self._hand_over_listed(batch)
            raise
        await self._hand_over_listed(batch)

    async def _hand_over_listed(self, batch: FoundBatch) -> None:
        def work() -> None:
            self._slide_list.write(batch.slides)
            self._listener.found(batch.slides, batch.others)

        await in_thread(work)
        self._take(batch)

    def _note(self, number: int, thing: Slide | LeftOut) -> None:
        if isinstance(thing, Slide) or thing.why.is_problem:
            self._has_slides.add(number)
        elif thing.why is Why.EXCLUDED:
            self._has_excluded.add(number)

    def summary(self) -> SourceSummary:
        """Return what was found, as far as it is known by now."""
        numbers = {n for n in range(len(self._scanners)) if self._walked and n not in self._has_slides}
        filtered = numbers & self._has_excluded
        return SourceSummary(
            slides=len(self._slide_list),
            bytes=self._slide_list.bytes,
            reasons={why.value: count for why in Why if (count := self.counts.reasons[why])},
            empty=self._names(numbers - filtered),
            filtered=self._names(filtered),
            may_be_empty=self._may_be_empty,
        )

    def unmatched_patterns(self) -> list[str]:
        """Return a line for each --include and --exclude that has matched no slide; none before the end of the walk."""
        return describe_unmatched(*self._patterns, self._matched) if self._walked else []

    def undated(self) -> list[str]:
        """Return a line for each place with slides that `newer_than` could not judge."""
        told = [(printable(scanner.source), scanner.undated) for scanner in self._places if scanner.undated]
        return [
            f"{place}: the server tells no time of {count} slides, so --newer-than leaves none of them out"
            if count > 1
            else f"{place}: the server tells no time of 1 slide, so --newer-than does not leave it out"
            for place, count in told
        ]

    def _names(self, numbers: Set[int]) -> list[str]:
        return [printable(str(self._scanners[number].source)) for number in sorted(numbers)]

    async def _hand_over(
        self, find: Callable[[FoundBatch], Iterator[FoundBatch]], unstable: DiskList[UnstableSlide]
    ) -> None:
        """Run `find` in a thread: each batch is written down there, and counted in the event loop."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            for batch in find(self._new_batch()):
                if self._stopping.is_set():
                    return
                self._slide_list.write(batch.slides)
                self._listener.found(batch.slides, batch.others)
                unstable.extend(batch.unstable)
                batch.slides.clear()
                batch.others.clear()
                batch.unstable.clear()
                loop.call_soon_threadsafe(self._take, batch)

        await in_thread(work)

    def _new_batch(self) -> FoundBatch:
        return FoundBatch(self._clock.local().timestamp(), choices=self._slide_list.choices)

    def _sorted(self, number: int, found: Slide | LeftOut, now: float) -> Slide | LeftOut | UnstableSlide:
        """Tell what may still be being written from the rest, and note what may claim other files. Blocks."""
        stability = self._stability
        if stability is None:
            return found
        digest = 0
        if isinstance(found, Slide):
            is_recent = stability.is_recent(newest_mtime_ns(found), now)
        else:  # a file that is no slide is no matter, however recent
            around = self._local[number].snapshot_incomplete(found) if found.why.is_problem else None
            is_recent = around is not None and stability.is_recent(around.newest_mtime_ns, now)
            digest = 0 if around is None else around.digest
        if not is_recent:
            return found
        unstable = UnstableSlide(number, found, digest)
        self._claimants.add(unstable)
        return unstable

    def _without_collision(self, number: int, thing: Slide | LeftOut) -> Slide | LeftOut:
        """Leave a slide out if another source has a file of its name: one would overwrite the other."""
        if self._collisions is not None and isinstance(thing, Slide):
            other = self._collisions.claim((key, number) for key in collision_keys(thing))
            if other is not None:
                words = f"{self._scanners[other].source} has a file of this name too; push them apart"
                thing = LeftOut(thing.path, Why.BAD_NAME, words, files=len(thing.files))
        return thing if self.names is None else self.names.add(thing)

    def _is_of_shard(self, found: Slide | LeftOut) -> bool:
        return self._shard is None or self._shard.has(found.path)

    def _unless_of_another_shard(self, thing: Slide | LeftOut | UnstableSlide) -> Slide | LeftOut | UnstableSlide:
        """Leave a slide out whose main file came after its folder, and has put it into another shard.

        That shard sends it if it was there when its run came by; nobody knows that here.
        """
        found = thing.found if isinstance(thing, UnstableSlide) else thing
        if self._is_of_shard(found):
            return thing
        files = len(found.files) if isinstance(found, Slide) else found.files
        words = "its main file has come meanwhile, and belongs to another shard; push again"
        return LeftOut(found.path, Why.UNFINISHED, words, files=files)

    def _take(self, batch: FoundBatch) -> None:
        """Count a batch, in the event loop."""
        self.counts.merge(batch.counts)
        if batch.waiting > 0:
            self._seen = self._clock.monotonic()
        self._waiting += batch.waiting
        self._slide_list.expect(batch.expected, batch.expected_bytes, batch.expected_excluded)
        self._slide_list.admit(batch.counts.slides, batch.counts.bytes)
        for thing in batch.left_out:
            self._listener.left_out(thing)

    async def watch_unstable(self, idle: Callable[[], bool], deadline: float | None) -> None:
        """Bring in what was unstable, once it no longer changes.

        What still changes is looked at again as long as sites have other work (`idle` says when they have none), and
        for one period more; then it is left out. At `deadline` (of clock.monotonic()) nothing is waited for any more.
        """
        said: tuple[int, bool] | None = None
        try:
            while self._waiting and self._stability is not None and self.error is None:
                idle_before = idle()
                ready = self._seen + self._stability.watch_seconds
                if said != (self._waiting, idle_before):
                    said = self._waiting, idle_before
                    self._listener.waiting(self._waiting, max(0.0, ready - self._clock.monotonic()))
                if deadline is not None and deadline < ready:
                    self._give_up("there was no time left to see whether it is finished")
                    return
                await self._sleep_until(ready)
                admitted = self._slide_list.admitted
                await self._look()
                if self._slide_list.admitted == admitted and idle_before and idle():
                    self._give_up()
        except TemporaryFileError as error:
            self.error = str(error)
        except Exception as error:
            self._failed(error)
        finally:
            self._slide_list.finish()

    def _failed(self, error: Exception) -> None:
        """Record a bug of ours: what was found until now is sent, and the run says that it is not all."""
        log.debug("looking through the source ended in %s: %s", where(error), type(error).__name__)
        self.error = f"not every folder was looked through: {error_text(error)}"

    async def _sleep_until(self, when: float) -> None:
        if (seconds := when - self._clock.monotonic()) > 0:
            await self._clock.sleep(seconds)

    async def _look(self) -> None:
        """Look once at everything that waits. What stands still goes to the sites, the rest waits on."""
        before, after = self._unstable, unstable_list()

        def everything(batch: FoundBatch) -> Iterator[FoundBatch]:
            for unstable in before:
                batch.replaces(unstable)
                thing = look_at(self._local[unstable.source], unstable, self._claimants)
                thing = self._without_collision(unstable.source, thing) if isinstance(thing, Slide) else thing
                if thing is None:
                    batch.pass_over()
                else:
                    batch.add(self._unless_of_another_shard(thing))
                if batch.full:
                    yield batch
                    batch = self._new_batch()
            yield batch

        try:
            await self._hand_over(everything, after)
        finally:
            self._unstable = after
            before.close()
        self._seen = self._clock.monotonic()

    def _give_up(self, reason: str = "") -> None:
        """Leave what still changes to the next run."""
        for unstable in self._unstable:
            unfinished = unstable.unfinished(reason)
            self.counts.add(unfinished)
            self._listener.left_out(unfinished)
        self._waiting = 0
        self._slide_list.expect_no_more()
