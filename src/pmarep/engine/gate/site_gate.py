"""`SiteGate`: the gate before one site. `GateRun`: what the gates of a run share."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from ...errors import SourceError, UsageError
from ...sites import Site
from ...sites.name_map import OWN_NAMES, SiteNames
from ...slides import Slide
from ...slides.renaming import AnySlide, RenameError
from ...source import CACHE_BYTES, SharedReader
from ...source.prepared import KnownResults, NotPrepared, PreparedSlide, ResultCache, source_of
from ...state.records import signature
from ...system.private_folder import make_private_folder
from ..options import Options
from .commands import CommandError, GateCommands, hash_of, program, said_by
from .preparation import Preparation

REMEMBERED = 10_000
"""Answers of `require` that are kept: the sites are at about the same slides."""

CACHE_FOLDER = "prepared"
"""Of the state folder, where the site book names no other."""


class GateRun:
    """Runs commands for all sites of a run: `require` once for each slide and command, `prepare` once for each result.

    `preparation` is None where no site has `prepare`. Raises UsageError where its cache cannot be used.
    """

    def __init__(self, options: Options, sites: Sequence[Site], source: SharedReader, state_dir: Path) -> None:
        self._commands = GateCommands(os.environ, options.gate_timeout)
        self._source = source
        self._answers: OrderedDict[str, asyncio.Task[str | None]] = OrderedDict()
        self.preparation: Preparation | None = None
        if any(site.prepare for site in sites):
            folder = (options.gate_cache or state_dir / CACHE_FOLDER).absolute()
            _check_outside(folder, options)
            cache = None
            if not options.dry_run:
                make_private_folder(state_dir)
                cache = ResultCache(folder, options.gate_cache_size)
            known = KnownResults(folder / "results.sqlite", read_only=options.dry_run)
            memory = CACHE_BYTES if all(site.prepare for site in sites) else CACHE_BYTES // 2
            self.preparation = Preparation(self._commands, source, folder, known, cache, memory)

    async def close(self) -> None:
        """End the commands that run."""
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)
        if self.preparation is not None:
            await self.preparation.close()

    async def refusal(self, slide: Slide, words: Sequence[str]) -> str | None:
        """Return why `require` leaves a slide out, None where it lets it pass. Raises PmarepError."""
        key = f"{hash_of(words)} {signature(slide)} {slide.folder_name}"
        if key not in self._answers:
            self._answers[key] = task = asyncio.create_task(self._ask(slide, words))
            task.add_done_callback(lambda done: self._answered(key, done))
            while len(self._answers) > REMEMBERED and next(iter(self._answers.values())).done():
                self._answers.popitem(last=False)
        # Whoever waits may be cancelled; the answer is for all.
        return await asyncio.shield(self._answers[key])

    def _answered(self, key: str, task: asyncio.Task[str | None]) -> None:
        """Forget what is no answer: the source may be away just now."""
        if task.cancelled() or (task.exception() is not None and not isinstance(task.exception(), CommandError)):
            self._answers.pop(key, None)

    async def _ask(self, slide: Slide, words: Sequence[str]) -> str | None:
        await self._source.check_slide(slide)
        end = await self._commands.run("require", words, slide)
        await self._source.check_slide(slide)
        if not end.code:
            return None
        if end.ended_by:
            raise CommandError(f"require ({program(words)}) was ended by {end.ended_by}; nothing was sent")
        return said_by(end).removeprefix(": ") or f"require ({program(words)}) ended with exit code {end.code}"


def _check_outside(folder: Path, options: Options) -> None:
    """Raise UsageError where a walk would find results, and half of them, as slides of a source.

    It looks into no hidden folder, such as ~/.local.
    """
    real = Path(os.path.realpath(folder))
    for source in map(Path, map(os.path.realpath, options.paths)):
        if real.is_relative_to(source) and not any(part[0] == "." for part in real.relative_to(source).parts):
            raise UsageError(f"{folder} is in {source}, where it would be pushed; name another cache in [gate]")


class SiteGate:
    """The gate before one site: asks `require`, and gives what `prepare` makes instead of the slides of the source.

    Commands see each slide under its own name, the site under that of `names`.
    """

    def __init__(self, site: Site, run: GateRun | None, names: SiteNames = OWN_NAMES) -> None:
        self._names = names
        self._require = site.require or ()
        self._prepare = site.prepare or ()
        self._run = run
        self._preparation = run.preparation if run is not None and self._prepare else None
        self._waits: dict[str, str] = {}  # the keys of commands by the paths of slides that wait for them
        self._held: dict[str, PreparedSlide] = {}  # by their paths

    @property
    def prepares(self) -> bool:
        """Return whether the site gets nothing but what `prepare` makes."""
        return bool(self._prepare)

    @property
    def active(self) -> bool:
        """Return whether the site has a gate at all."""
        return bool(self._require or self._prepare)

    @property
    def preparation(self) -> Preparation | None:
        """The results, where the site has `prepare`."""
        return self._preparation

    async def known(self, slides: Sequence[Slide]) -> list[PreparedSlide | None]:
        """Return what the site would be sent, as far as that is known without running anything."""
        found = await self._needed.known([source_of(slide) for slide in slides], self._prepare)
        return [None if result is None else self._named_result(result) for result in found]

    def named(self, slide: AnySlide) -> AnySlide:
        """Return a slide as it is called at the site. Raises SourceError where it cannot have that name."""
        try:
            return self._names.named(slide)
        except RenameError as error:
            raise SourceError(f"what prepare has made of it cannot have its name at the site: {error}") from None

    def _named_result(self, result: PreparedSlide) -> PreparedSlide | None:
        """Return a result under its name at the site; None where it cannot have that, which an attempt finds out."""
        try:
            return self.named(result)
        except SourceError:
            return None

    @asynccontextmanager
    async def held(self, slide: Slide) -> AsyncIterator[PreparedSlide]:
        """Hold what `prepare` makes of a slide of the source. Raises PmarepError."""
        async with AsyncExitStack() as held:
            with self._waiting(slide, "prepare"):
                made = await held.enter_async_context(self._needed.held(source_of(slide), self._prepare))
            prepared = self.named(made)
            self._held[slide.path] = prepared
            try:
                yield prepared
            finally:
                del self._held[slide.path]

    def check_held(self, slide: Slide) -> None:
        """Raise NotPrepared where the site has `prepare`, and this is not a result whose files it holds itself.

        Another site may let go of them while this one still sends.
        """
        if self.prepares and self._held.get(slide.path) is not slide:
            raise NotPrepared("prepare has to be run first")

    async def refusal(self, slide: Slide) -> str | None:
        """Return why a slide of the source may not go to the site; None where it may. Raises PmarepError."""
        if not self._require or self._run is None:
            return None
        with self._waiting(slide, "require"):
            return await self._run.refusal(source_of(slide), self._require)

    def command_of(self, path: str) -> str | None:
        """Return the key of the command that a slide, named by its path, waits for; None where it does not."""
        return self._waits.get(path)

    @contextmanager
    def _waiting(self, slide: Slide, key: str) -> Iterator[None]:
        self._waits[slide.path] = key
        try:
            yield
        finally:
            del self._waits[slide.path]

    def would_run(self) -> str:
        """Say what a run would do before it sends a slide; empty where that is nothing."""
        said = [f"require ({program(self._require)})"] if self._require else []
        said += [f"prepare ({program(self._prepare)})"] if self._prepare else []
        return f"{' and '.join(said)} would be run first" if said else ""

    @property
    def _needed(self) -> Preparation:
        if self._preparation is None:
            raise NotPrepared("prepare cannot be run here")
        return self._preparation
