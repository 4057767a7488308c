"""Where the annotations of a slide come from: a side file that lies beside it, or a PMA.core that has the slide."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary

from ..pmacore import Annotation, PmaCore
from ..slides import Slide
from .side_file import read_side_file, side_file_of

KEPT_ANNOTATIONS, KEPT_SLIDES = 20_000, 2_000


@dataclass(frozen=True, slots=True)
class SourceAnnotations:
    """The annotations of one slide at the source, and the fingerprint of that slide, which costs a request perhaps.

    `fingerprint` raises PmarepError.
    """

    annotations: Sequence[Annotation]
    fingerprint: Callable[[], Awaitable[str]]


class AnnotationSource(Protocol):
    """Knows the annotations of the slides of a run."""

    async def of(self, slide: Slide) -> SourceAnnotations | None:
        """Return the annotations of a slide; None where nobody has kept any. Raises PmarepError."""


class SideFiles:
    """The side files that lie beside the slides of this machine, as `pmarep annotations export` writes them."""

    async def of(self, slide: Slide) -> SourceAnnotations | None:
        """Read the side file of a slide. Raises SideFileError for one that cannot be used."""
        file = side_file_of(slide.local(slide.main))
        found = await asyncio.to_thread(read_side_file, file)
        return None if found is None else SourceAnnotations(found.annotations, found.fingerprint_of_slide)


class RemoteAnnotations:
    """The annotations of slides that lie at places; `cores`: by the names of sites.

    The last ones are kept: several sites ask for the same slide at about the same time.
    """

    def __init__(self, cores: Mapping[str, PmaCore]) -> None:
        self._cores = cores
        self._kept: OrderedDict[str, SourceAnnotations | None] = OrderedDict()
        self._kept_annotations = 0
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, slide: Slide) -> SourceAnnotations | None:
        """Ask the slide's server, once for all who ask at the same time. Raises PmarepError."""
        place = f"{slide.folder_name}/{slide.main.source_name}"
        lock = self._asking.setdefault(place, asyncio.Lock())
        async with lock:
            if place in self._kept:
                return self._kept[place]
            found = await self._ask(place)
            self._keep(place, found)
            return found

    async def _ask(self, place: str) -> SourceAnnotations | None:
        name, _, path = place.partition(":/")
        core = self._cores[name]
        found = await core.annotations(path)
        return SourceAnnotations(found, partial(core.fingerprint, path)) if found else None

    def _keep(self, place: str, found: SourceAnnotations | None) -> None:
        self._kept[place] = found
        self._kept_annotations += _count(found)
        while self._kept_annotations > KEPT_ANNOTATIONS or len(self._kept) > KEPT_SLIDES:
            _, old = self._kept.popitem(last=False)
            self._kept_annotations -= _count(old)


def _count(found: SourceAnnotations | None) -> int:
    return 0 if found is None else len(found.annotations)
