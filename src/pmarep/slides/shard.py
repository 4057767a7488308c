"""Divide the slides of a source among several runs, so that each slide belongs to exactly one of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from ..errors import UsageError

MOST = 1_000_000
"""Shards. No scheduler counts further."""

_FOLDER = re.compile(r"shard-(\d{1,7})-of-(\d{1,7})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of all slides; `number` is from 1 to `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `K/N`. Raises UsageError.

        0/N is N/N, so that schedulers may count their tasks from 0 to N-1 as well as from 1 to N.
        """
        found = re.fullmatch(r"\s*(\d{1,12})/(\d{1,12})\s*", text, re.ASCII)
        if found is None:
            raise UsageError(f"{text!r} is not K/N, such as 3/8; where variables are in it, are they set?")
        number, count = int(found[1]), int(found[2])
        if not 1 <= count <= MOST:
            raise UsageError(f"{text!r} is not K/N: N is from 1 to {MOST:,}")
        if number > count:
            spans = f"0-{count - 1} or 1-{count}"
            raise UsageError(f"there is no shard {number} of {count}; the tasks of an array have to be {spans}")
        return cls(number or count, count)

    @classmethod
    def of_folder(cls, name: str) -> Shard | None:
        """Return the shard whose state folder has this name; None where it is another folder."""
        found = _FOLDER.fullmatch(name)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]))

    @property
    def folder(self) -> str:
        """The name of its folder below the state folder."""
        return f"shard-{self.number}-of-{self.count}"

    def has(self, path: str) -> bool:
        """Return whether the slide with this path from its source belongs to the shard."""
        return shard_hash(path) % self.count == self.number % self.count


def shard_hash(path: str) -> int:
    """Return the SHA-256 of a path, as a number: composed letters (NFC), each in lower case on its own.

    So a disk that stores composed letters and one that stores decomposed ones, or that changes case, give the same.
    """
    # Letter by letter: lower() of a whole text makes the last sigma of a word another letter than one within it.
    key = path.lower() if path.isascii() else "".join(map(str.lower, unicodedata.normalize("NFC", path)))
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), "big")
