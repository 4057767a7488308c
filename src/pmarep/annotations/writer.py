"""Bring annotations to one slide at one site: add what is missing, delete nothing, double nothing.

PMA.core has no idempotency key, so a save that may have been carried out is never asked again: after any failure the
annotations are read, and only what is still missing is added.
"""

from __future__ import annotations

import json
import logging
from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass

from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..pmacore import Annotation, NotFound, PermissionDenied, PmaCore, Refused
from .comparison import is_same, missing_from

log = logging.getLogger(__name__)

MOST_ANNOTATIONS = 200
"""Annotations in one save at most: what a server is done with long before anybody gives its answer up."""

MOST_BYTES = 512 * 1024
"""Bytes of JSON in one save, about; a larger annotation goes alone. ASP.NET's limits begin at 2 MiB."""

SETTLE_SECONDS = 2.0
"""After a save without an answer, the server may still be at it: the annotations are read until two readings so far
apart agree, or as far as the save has taken, ..."""

LONGEST_SETTLE = 60.0
"""... and so far at most."""

MOST_READINGS = 10

FRUITLESS_SAVES = 4
"""Saves in a row that fail and save nothing, until the rest waits for the next run."""

REFUSED_SLIDES = 3
"""Slides in a row of which all annotations are refused, until no other is tried at this server."""

REFUSED_ALONE = 5
"""Annotations in a row that are refused each for itself, until the server is believed to refuse all."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a slide's annotations at a site; numbers are annotations.

    `added` by us, `there` before, `missing` still, and why (`error`). With an error `missing` may be 0: it is not known
    then, or a server keeps them otherwise than they were sent. `may_pass`: the server may be well again later. `now`:
    what was there in the end, where it was read.
    """

    added: int = 0
    there: int = 0
    missing: int = 0
    error: str | None = None
    may_pass: bool = False
    now: Sequence[Annotation] = ()


class AnnotationWriter:
    """Writes annotations at one PMA.core; nothing more at one that refuses all, or does not keep them as they are."""

    def __init__(self, core: PmaCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._refused = 0  # slides in a row
        self._why_not: str | None = None

    async def add(self, path: str, wanted: Sequence[Annotation], there: Sequence[Annotation]) -> Brought:
        """Add to a slide what is wanted and not `there`, as it was just read. Raises nothing but CancelledError."""
        missing = await to_thread(missing_from, wanted, there)
        already = len(wanted) - len(missing)
        if not missing:
            return Brought(there=already, now=there)
        if self._why_not is not None:
            return Brought(there=already, missing=len(missing), error=self._why_not)
        additions = _Additions(self._core, self._clock, path, wanted, missing)
        brought = await additions.run()
        self._refused = self._refused + 1 if additions.all_refused and not brought.added else 0
        if self._refused >= REFUSED_SLIDES:
            self._why_not = f"not tried, since the server has refused {REFUSED_SLIDES} slides before: {brought.error}"
        if additions.altered:
            self._why_not = f"not tried, since what was added to {path} is not there as it was sent; compare it there"
        return brought


class _Additions:
    """The additions to one slide. `left`: what is wanted and not there."""

    def __init__(
        self, core: PmaCore, clock: Clock, path: str, wanted: Sequence[Annotation], left: list[Annotation]
    ) -> None:
        self._core = core
        self._clock = clock
        self._path = path
        self._wanted = wanted
        self._already = len(wanted) - len(left)
        self._saved: dict[int, Annotation] = {}  # what we sent, by the id that the server has given it
        self._refused: list[Annotation] = []
        self._left = left
        self._error: PmarepError | None = None
        self.all_refused = False
        self.altered = 0
        """How many the server keeps otherwise than they were sent."""

    async def run(self) -> Brought:
        try:
            await self._save_all()
            there = await self._core.annotations(self._path)
        except PmarepError as error:
            added = len(self._saved)
            missing = len(self._wanted) - self._already - added
            return Brought(added, self._already, missing, str(error), may_pass=error.remedy is Remedy.RETRY)
        return await to_thread(self._result, there)

    def _result(self, there: Sequence[Annotation]) -> Brought:
        missing = len(missing_from(self._wanted, there))
        if missing:
            now = {one.id: one for one in there}
            self.altered = sum(number in now and not is_same(one, now[number]) for number, one in self._saved.items())
        missing = max(missing - self.altered, 0)
        self.all_refused = bool(self._refused) and not self._saved
        error, may_pass = None, False
        if self.altered:
            error = (
                f"the server keeps {self.altered} of them otherwise than they were sent, so that the next run would "
                "add them again; compare them there first"
            )
        elif missing and self._error is not None:
            error, may_pass = str(self._error), self._error.remedy is Remedy.RETRY
        elif missing:
            error = "the server has not kept all of them, though it has said so; run it again"
        added = max(len(self._wanted) - self._already - missing, 0)
        return Brought(added, self._already, missing, error, may_pass, there)

    async def _save_all(self) -> None:
        """Save in batches; after a failure in smaller ones, to find what it is that a server does not take."""
        size, fruitless, alone = MOST_ANNOTATIONS, 0, 0
        while self._left:
            batch = _batch(self._left, size)
            began = self._clock.monotonic()
            try:
                ids = await self._core.save_annotations(self._path, batch)
            except PmarepError as error:
                log.info("%s: saving %d annotations: %s", self._path, len(batch), error)
                self._error = error
                if error.remedy is Remedy.STOP_SITE or isinstance(error, PermissionDenied | NotFound):
                    self._refused += batch
                    return
                took = None if isinstance(error, Refused) else self._clock.monotonic() - began
                if await self._read_again(len(batch), took):
                    fruitless = alone = 0
                elif took is not None:
                    fruitless += 1
                    await self._clock.sleep(SETTLE_SECONDS * fruitless)
                elif len(batch) == 1:
                    self._refused += batch
                    self._left = self._left[1:]
                    alone += 1
                if fruitless >= FRUITLESS_SAVES or alone >= REFUSED_ALONE:
                    return
                size = max(len(batch) // 2, 1)
                continue
            self._saved.update(zip(ids, batch, strict=True))
            self._left = self._left[len(batch) :]
            size, fruitless, alone = min(size * 2, MOST_ANNOTATIONS), 0, 0

    async def _read_again(self, sent: int, took: float | None) -> bool:
        """Read what is there after a save of so many has failed; return whether some of them are. Raises PmarepError.

        `took`: seconds until it failed; None where the server has said no, so that it is not still at it.
        """
        before, earlier = len(self._left), -1
        for _ in range(MOST_READINGS):
            if took is not None:
                await self._clock.sleep(min(max(took, SETTLE_SECONDS), LONGEST_SETTLE))
            there = await self._core.annotations(self._path)
            self._left = await to_thread(self._missing, there)
            if took is None or len(self._left) in (earlier, before - sent):
                break
            earlier = len(self._left)
        return len(self._left) < before

    def _missing(self, there: Sequence[Annotation]) -> list[Annotation]:
        """Return what is wanted and not there. What the server has an id for is, however it keeps it."""
        done = {id(one) for one in (*self._saved.values(), *self._refused)}
        wanted = [one for one in self._wanted if id(one) not in done]
        return missing_from(wanted, [one for one in there if one.id not in self._saved])


def _batch(left: Sequence[Annotation], size: int) -> list[Annotation]:
    """Return the next annotations for one save: so many at most, and not too many bytes."""
    batch: list[Annotation] = []
    room = MOST_BYTES
    for one in left[:size]:
        room -= len(json.dumps(one.fields()))
        if batch and room < 0:
            break
        batch.append(one)
    return batch
