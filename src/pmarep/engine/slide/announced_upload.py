"""The upload that a server has given an id: which of its files and parts are at the site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ...pmacore import Announcement, ProtocolError, StorageKind
from ...slides import Slide
from ...state.records import Entry
from ...uploaders import UploadIdLease
from ...uploaders.azure import block_size


@dataclass(frozen=True, slots=True)
class AnnouncedUpload:
    """An announcement, the files that are at the site whole, and the acknowledged parts of the others.

    `counted`: of these files the bytes are in `TransferCounts` already.
    """

    announcement: Announcement
    held: UploadIdLease
    done: frozenset[str]
    parts: dict[str, dict[int, str]]
    counted: frozenset[str] = frozenset()


def announcement_in(upload: str) -> Announcement | None:
    """Read an announcement of the journal; None for one that cannot be used: then the slide is announced again."""
    try:
        return Announcement.read(json.loads(upload), "an announcement in the journal")
    except (ProtocolError, ValueError, RecursionError):
        return None


def is_of_another(
    slide: Slide, announcement: Announcement, entry: Entry, complete: dict[str, bool], there: str | None
) -> bool:
    """Return whether an upload has brought its main file, but neither by us nor to our path.

    A restored server gives ids out again, also to other machines; our files would overwrite their slide.
    """
    by_us = slide.main.path in entry.files or (there is not None and not entry.replaces)
    return announcement.kind is StorageKind.FILESYSTEM and complete[slide.main.path] and not by_us


def files_whole(entry: Entry, complete: dict[str, bool]) -> frozenset[str]:
    """Return the files that both sides know to be there: a server alone may mean an older file of this name."""
    return frozenset(path for path, there in complete.items() if there and path in entry.files)


def kept_of(slide: Slide, entry: Entry | None) -> int:
    """Count the bytes of an unfinished slide that the journal says a site has; none where no upload is known."""
    announcement = None if entry is None or entry.upload is None else announcement_in(entry.upload)
    return 0 if entry is None or announcement is None else bytes_at_site(slide, entry, announcement)


def kept_and_left(entry: Entry) -> tuple[int, int] | None:
    """Count the bytes of an unfinished slide that its site has, and those still to be sent, by the journal alone.

    None where it does not know the sizes: of a slide that is not being sent, or that an older pmarep had begun.
    """
    if entry.sizes is None:
        return None
    announcement = None if entry.upload is None else announcement_in(entry.upload)
    kept = 0 if announcement is None else _acknowledged_bytes(entry.sizes, entry, announcement)
    return kept, sum(entry.sizes.values()) - kept


def sizes_of(slide: Slide) -> dict[str, int]:
    """Return the bytes of each file of a slide."""
    return {file.path: file.size for file in slide.files}


def bytes_at_site(slide: Slide, entry: Entry, announcement: Announcement) -> int:
    """Count the bytes that an earlier run had sent of a slide."""
    return _acknowledged_bytes(sizes_of(slide), entry, announcement)


def _acknowledged_bytes(sizes: Mapping[str, int], entry: Entry, announcement: Announcement) -> int:
    """Count the bytes of whole files, and of parts of the others."""
    lengths = {
        (file.path, part.number): part.end - part.start + 1 for file in announcement.multipart for part in file.parts
    }
    if announcement.kind is StorageKind.AZURE:
        for path, size in sizes.items():
            block = block_size(size)
            for number in entry.parts.get(path, {}):
                lengths[path, number] = min(block, size - number * block)
    whole = sum(size for path, size in sizes.items() if path in entry.files)
    return whole + sum(lengths.get((path, number), 0) for path, tags in entry.parts.items() for number in tags)
