"""What the journal records: states of slides, entries, runs, and the signature of a slide's files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import PmarepError, Remedy
from ..slides.model import Slide
from .schema import DamagedDatabaseError

SENDING, BROKEN, SENT, SEEN, DIFFERS, UNREADABLE = STATES = (
    "sending",
    "broken",
    "sent",
    "seen",
    "differs",
    "unreadable",
)

MAX_CACHED_FILES = 10_000
"""Signatures of slides of so many files are kept for other sites: as many as the list of slides keeps slides of."""

MAX_PATHS_PER_QUERY = 500
"""In one question: SQLite takes 32,766 values (SQLITE_MAX_VARIABLE_NUMBER), before 3.32 it took 999."""


class JournalError(PmarepError):
    """The journal failed in the middle of a run: nothing can be relied on any more, so sending ends."""

    remedy = Remedy.STOP_RUN


@dataclass(frozen=True, slots=True)
class RemotePath:
    """The key of a slide in the journal: the server's base URL, and the virtual path of the slide's main file."""

    server: str
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that the journal has recorded about a slide at a server.

    `replaces`: when sending began, another slide was there, to be overwritten. `stamp`: what the site said of the files
    that `state` is about, or of those to be overwritten; None where it said too little to know them again.
    `upload` is the server's announcement as JSON, a secret; `files` and `parts` (number and ETag, by file) are the
    acknowledged ones of an unfinished upload. `source`: the identities of its files here (SiteReader.check). `sizes`:
    the bytes of each of them; None where an older pmarep has begun it.
    """

    state: str
    signature: str
    replaces: bool
    upload: str | None
    files: frozenset[str]
    parts: dict[str, dict[int, str]]
    source: str | None = None
    stamp: str | None = None
    sizes: dict[str, int] | None = None


class KnownState(NamedTuple):
    """The state of a slide at a server, in short. `signature` is of the files that are (being) sent."""

    state: str
    signature: str


class CheckSummary(NamedTuple):
    """The number of slides, when one was last checked (None: never), the first was sent (seconds since the epoch)."""

    slides: int
    newest: float | None
    first: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `started` in seconds since the epoch; `summary` is None where it was killed or still goes on."""

    number: int
    started: float
    sources: list[str]
    summary: dict[str, Any] | None


def signature(slide: Slide) -> str:
    """Return a hash of the names, sizes and mtimes of a slide's files: it changes whenever one of them does.

    Of a slide at a site, that has times of its own, it begins with the site's name.
    """
    text = json.dumps(sorted((f.path, f.size, f.mtime_ns) for f in slide.files))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{slide.folder.partition(':')[0]}:{digest}" if isinstance(slide.folder, str) else digest


def are_of_one_source(one: str, other: str) -> bool:
    """Return whether two signatures can be compared: the same slide has other times at each source."""
    return one.rpartition(":")[0] == other.rpartition(":")[0]


class SignatureCache:
    """Signatures of slides, each computed once for all sites that come to it at about the same time.

    `MAX_CACHED_FILES` bounds it.
    """

    def __init__(self) -> None:
        self._signatures: dict[int, tuple[Slide, str]] = {}  # by id(slide): it is nobody else's while it is in here
        self._files = 0

    def __len__(self) -> int:
        return len(self._signatures)

    def get(self, slide: Slide) -> str:
        """Return the signature of a slide."""
        known = self._signatures.get(id(slide))
        if known is None:
            known = self._signatures[id(slide)] = slide, signature(slide)
            self._files += len(slide.files)
            while self._files > MAX_CACHED_FILES and len(self._signatures) > 1:
                oldest, _ = self._signatures.pop(next(iter(self._signatures)))
                self._files -= len(oldest.files)
        return known[1]


def check_entry(entry: Entry) -> None:
    """Raise DamagedDatabaseError for an entry that pmarep has never written."""
    tags = [part for parts in entry.parts.values() for part in parts.items()]
    if (
        entry.state not in STATES
        or not isinstance(entry.signature, str)
        or not all(isinstance(number, int) and isinstance(tag, str) for number, tag in tags)
    ):
        raise DamagedDatabaseError("a slide in it cannot be read")
    if entry.upload is not None:
        try:
            json.loads(entry.upload)
        except (TypeError, ValueError, RecursionError):  # without its words: it is a secret
            raise DamagedDatabaseError("an upload in it cannot be read") from None


def read_sizes(text: str | None) -> dict[str, int] | None:
    """Read the sizes of an unfinished upload's files from a row. Raises DamagedDatabaseError."""
    if text is None:
        return None
    try:
        sizes = json.loads(text)
        if all(isinstance(size, int) for size in sizes.values()):
            return dict(sizes)
    except (TypeError, ValueError, RecursionError, AttributeError):
        pass
    raise DamagedDatabaseError("the sizes of a slide in it cannot be read")


def read_run(number: int, started: float, sources: str, summary: str | None) -> Run:
    """Build a Run from a row. Raises DamagedDatabaseError."""
    try:
        run = Run(number, float(started), json.loads(sources), json.loads(summary) if summary else None)
        good = all(isinstance(source, str) for source in run.sources) and (
            run.summary is None
            or (
                isinstance(run.summary["exit_code"], int)
                and all(site.keys() >= {"sent", "skipped", "failed"} for site in run.summary["sites"].values())
            )
        )
    except (TypeError, ValueError, RecursionError, KeyError, AttributeError):
        good = False
    if not good:
        raise DamagedDatabaseError("a run in it cannot be read")
    return run
