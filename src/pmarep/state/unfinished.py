"""Count what of an unfinished slide is at its site, by its entry in the journal alone.

Light on purpose: `pmarep status` needs no more than this, and neither the engine nor a model of the server's answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .records import Entry

MIB = 1024**2
SMALLEST_BLOCK, LARGEST_BLOCK = 8 * MIB, 64 * MIB
WANTED_BLOCKS = 1000

_AZURE = 2  # StorageKind.AZURE, as an announcement in the journal has it


def block_size(size: int) -> int:
    """Return the bytes per block of a file: 8 MiB up to 8 GB, then more for about 1,000 blocks, at most 64 MiB."""
    # The journal knows blocks by their numbers only, so this must not depend on anything else, nor change.
    wanted = -(-size // WANTED_BLOCKS)
    return min(max(-(-wanted // MIB) * MIB, SMALLEST_BLOCK), LARGEST_BLOCK)


def kept_and_left(entry: Entry) -> tuple[int, int] | None:
    """Count the bytes of an unfinished slide that its site has, and those still to be sent.

    None where the journal does not know the sizes: of a slide that is not being sent, or that an older pmarep had
    begun.
    """
    if entry.sizes is None:
        return None
    kept = acknowledged_bytes(entry.sizes, entry)
    return kept, sum(entry.sizes.values()) - kept


def acknowledged_bytes(sizes: Mapping[str, int], entry: Entry) -> int:
    """Count the bytes of whole files, and of parts of the others; `sizes` are the bytes of each file.

    0 without an announcement, or with one that cannot be read: then the slide is announced again.
    """
    if entry.upload is None:
        return 0
    try:
        lengths = dict(_part_lengths(json.loads(entry.upload), sizes, entry))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0
    whole = sum(size for path, size in sizes.items() if path in entry.files)
    return whole + sum(lengths.get((path, number), 0) for path, tags in entry.parts.items() for number in tags)


def _part_lengths(
    announcement: Mapping[str, Any], sizes: Mapping[str, int], entry: Entry
) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield file and number of each part or block, with its bytes."""
    for file in announcement.get("multipartfiles") or ():
        for part in file["parts"]:
            yield (file["filepath"], part["partnumber"]), part["rangeend"] - part["rangestart"] + 1
    if announcement.get("uploadtype") == _AZURE:
        for path, size in sizes.items():
            block = block_size(size)
            for number in entry.parts.get(path, {}):
                yield (path, number), min(block, size - number * block)
