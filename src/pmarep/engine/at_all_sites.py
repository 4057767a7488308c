"""List the source files that are verified at every site of a run, for people who must free a scanner's disk.

Whoever deletes by this list has no copy here any more, so it says less rather than more. A slide's files are in it if,
in this run, each of the sites that were asked for

- has taken them from us and was looked at as closely as `--verify` says, or
- was looked at now, and had taken these very files (by names, sizes, inodes and times here) from us before, and nobody
  has written to them there since, as the site says; where either is not known, that is no proof; or
- has given back every byte of them (`deep`), whoever had put them there,

and if all of them are now what they were when the run found them, and none of them is, by a link or by another source,
also a file of a slide that is not at every site. Nothing is deleted here.
"""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ..errors import SourceError
from ..slides import Slide
from ..source import SharedReader
from ..system.private_file import replace_private_file
from .discovery.slide_list import SlideList

AT_ONCE = 32
"""Slides whose files are looked at together."""


class VerifiedAtAllSites:
    """The slides that are verified at each site, by their numbers: 8 bytes for each slide and site.

    They are a hash of the identity of the files (inodes, times) that the site has, and 0 where it is not verified.
    """

    def __init__(self, file: Path, sites: Sequence[str]) -> None:
        self._file = file
        self._sites = {name: array("q") for name in sites}
        self.slides = 0
        """How many slides are in the list."""

    def note(self, site: str, number: int, proof: str | None) -> None:
        """Note the identity of the files that are verified to be at a site, or that none are; the last word counts."""
        known = self._sites[site]
        if number >= len(known):
            known.extend([0] * (number + 1 - len(known)))
        known[number] = 0 if proof is None else _hash_of(proof)

    async def write(self, slide_list: SlideList, reader: SharedReader) -> None:
        """Write the list, in one step. Raises OSError; the file is empty then, as at the beginning."""
        elsewhere = await asyncio.to_thread(self._files_of_others, slide_list)
        listed: dict[bytes, None] = {}
        async for slide in self._unchanged(slide_list, reader):
            paths = [slide.local(file) for file in slide.files]
            real = await asyncio.to_thread(_real_paths, paths)
            if not any(hash(path) in elsewhere for path in real):
                self.slides += 1
                listed.update(dict.fromkeys(await asyncio.to_thread(_paths_without_links, paths)))
        content = b"".join(path + b"\0" for path in listed)
        await asyncio.to_thread(replace_private_file, self._file, content)

    def _is_verified(self, number: int) -> bool:
        if not self._sites:  # all of none would be true
            return False
        return all(number < len(known) and known[number] != 0 for known in self._sites.values())

    def _files_of_others(self, slide_list: SlideList) -> set[int]:
        """Return the hashes of the real paths of all files of slides that are not at every site."""
        found: set[int] = set()
        for number in range(slide_list.admitted):
            if not self._is_verified(number):
                slide = slide_list.found(number)
                found.update(map(hash, _real_paths([slide.local(file) for file in slide.files])))
        return found

    async def _unchanged(self, slide_list: SlideList, reader: SharedReader) -> AsyncIterator[Slide]:
        """Yield the slides that are at every site and whose files are what they were when they were found."""
        numbers = [number for number in range(slide_list.admitted) if self._is_verified(number)]
        for start in range(0, len(numbers), AT_ONCE):
            slides = [slide_list.found(number) for number in numbers[start : start + AT_ONCE]]
            looks = await asyncio.gather(*(reader.check_slide(slide) for slide in slides), return_exceptions=True)
            for slide, look in zip(slides, looks, strict=True):
                if isinstance(look, str):
                    if all(known[slide.number] == _hash_of(look) for known in self._sites.values()):
                        yield slide
                elif not isinstance(look, SourceError):
                    raise look


def _hash_of(proof: str) -> int:
    return hash(proof) or 1


def _paths_without_links(paths: Sequence[Path]) -> list[bytes]:
    """Return absolute paths whose folders are no links: what a link leads to may be another folder later."""
    folders = {path.parent: os.path.realpath(path.parent) for path in paths}
    return [os.fsencode(Path(folders[path.parent], path.name)) for path in paths]


def _real_paths(paths: Sequence[Path]) -> list[str]:
    return [os.path.realpath(path) for path in paths]
