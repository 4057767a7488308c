"""Where the annotations of a slide come from: a side file that lies beside it, or a PMA.core that has the slide."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..pmacore import Annotation, PmaCore
from ..slides import Slide
from .side_file import read_side_file, side_file_of


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
    """The annotations at a PMA.core that has the slides; `where`: a slide's virtual path there."""

    def __init__(self, core: PmaCore, where: Callable[[Slide], str]) -> None:
        self._core = core
        self._where = where

    async def of(self, slide: Slide) -> SourceAnnotations | None:
        """Ask the server. Raises PmarepError."""
        path = self._where(slide)
        found = await self._core.annotations(path)
        return SourceAnnotations(found, lambda: self._core.fingerprint(path)) if found else None
