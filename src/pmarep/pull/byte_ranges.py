"""Which bytes of a file are here, and the record on disk that the next run believes."""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

_TAIL = 64 * 1024
"""Bytes of a record that are read. A line has some 20 for each range, and there are about as many as downloads."""


class ByteRanges:
    """Ranges of bytes of a file, as (start, end) with the end not among them; none overlaps or touches another."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    @property
    def size(self) -> int:
        """Bytes in all of them."""
        return sum(end - start for start, end in self._ranges)

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self._ranges[-1][1] if self._ranges else 0

    def add(self, start: int, end: int) -> None:
        """Add the bytes of a range, be it that some are there already."""
        if start >= end:
            return
        first = last = bisect_left(self._ranges, start, key=lambda one: one[1])
        while last < len(self._ranges) and self._ranges[last][0] <= end:
            start, end = min(start, self._ranges[last][0]), max(end, self._ranges[last][1])
            last += 1
        self._ranges = [*self._ranges[:first], (start, end), *self._ranges[last:]]  # others may be reading the old list

    def gaps(self, size: int) -> list[tuple[int, int]]:
        """Return what is missing of a file of `size` bytes."""
        edges = [(0, 0), *self._ranges, (size, size)]
        return [(before, after) for (_, before), (after, _) in pairwise(edges) if before < after]


class RangeRecord:
    """The ranges of a file that are forced to the disk: a file with a line for each time, of which the last counts.

    A line says all of them, in JSON. It is written after its bytes are on the disk; one that power failure has cut
    short is none. All calls block.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_there = True  # as far as is known

    def read(self) -> ByteRanges:
        """Return what the last line says. Raises nothing."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
                lines = stream.read().splitlines()
        except OSError as error:
            self._is_there = not isinstance(error, FileNotFoundError)
            return ByteRanges()
        return next((found for line in reversed(lines) if (found := _parsed(line)) is not None), ByteRanges())

    def append(self, ranges: ByteRanges) -> None:
        """Write a line and force it to the disk. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        stream = os.open(self._path, flags, 0o600)
        self._is_there = True
        try:
            os.write(stream, b"\n" + json.dumps(list(ranges)).encode() + b"\n")
            os.fsync(stream)
        finally:
            os.close(stream)

    def remove(self) -> None:
        """Remove the file, if there is one. Raises nothing."""
        if self._is_there:
            with suppress(OSError):
                self._path.unlink()
        self._is_there = False


def _parsed(line: bytes) -> ByteRanges | None:
    """Return the ranges of a line; None where it says none that could be."""
    try:
        pairs = [(start, end) for start, end in json.loads(line)]
    except (ValueError, TypeError, RecursionError):
        return None
    numbers = [number for pair in pairs for number in pair]
    if not all(type(number) is int for number in numbers) or any(a >= b for a, b in pairwise([-1, *numbers])):
        return None
    return ByteRanges(pairs)
