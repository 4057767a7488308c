"""The upload that a server has given an id: which of its files and parts are at the site."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ...pmacore import Announcement, ProtocolError, StorageKind
from ...slides import Slide
from ...state.records import Entry
from ...state.unfinished import acknowledged_bytes
from ...uploaders import UploadIdLease


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
    usable = entry is not None and entry.upload is not None and announcement_in(entry.upload) is not None
    return bytes_at_site(slide, entry) if entry is not None and usable else 0


def sizes_of(slide: Slide) -> dict[str, int]:
    """Return the bytes of each file of a slide."""
    return {file.path: file.size for file in slide.files}


def bytes_at_site(slide: Slide, entry: Entry) -> int:
    """Count the bytes that an earlier run had sent of a slide."""
    return acknowledged_bytes(sizes_of(slide), entry)
