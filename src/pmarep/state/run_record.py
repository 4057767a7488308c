"""Write the record of a run while it goes on: what its report is made of, also where it is killed.

One file for each run, in `runs/` of the state folder: JSON lines, packed by gzip. They are the events of `--json` with
four more, which only records have:

- `run`, the first line: what was asked for, of which sites;
- `slides`: slides that were found, the first of them with number `first`; `slides` is a list of name, format, bytes and
  number of files, then the main file's name on this disk where that is another. `below` is the folder's path from its
  source, with a "/" at the end, `folder` the folder itself. Of a pull `folder` is where they go on this disk, `site`
  the site that they come from and `at` the virtual path of the folder there;
- `slides_known`: ranges of numbers of slides with the same outcome, of which nothing had to be done at a site; also
  those that its keys in the site book leave out (`excluded`, with the reason as `error`);
- `slide_unfinished`: how much of a slide is at a site that ended in the middle of it: `bytes` of this run,
  `resumed_bytes` of earlier ones.

`progress` is there less and less often (see `_Thinner`). How records are listed and read: run_records.py.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from ..events import (
    AnnotationsFinished,
    Event,
    Notice,
    Progress,
    RunStarted,
    SiteState,
    SlideDeleted,
    SlideExtra,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    Summary,
    VerifiedBy,
)
from ..slides.formats import format_of
from ..slides.model import Slide
from ..system.private_folder import make_private_folder
from .run_records import SUFFIX, VERSION, lock_of, make_room

EXCLUDED = "excluded"
"""The status of a slide that a site's keys in the site book leave out."""

NONE_EXCLUDED: Mapping[tuple[str, str], Sequence[int]] = MappingProxyType({})

FLUSH_SECONDS = 0.1
"""Until a line is in the file: what a kill may cost."""

MAX_BYTES = 128 * 1024 * 1024
"""Of one record, packed: about three million slides and sites. What comes later is left out, but for the summary."""

OFTENEST, RAREST = 1.0, 30.0  # seconds between two lines of progress of a site
PER_DOUBLING = 200  # of the run's duration: so many lines of progress of a site, about

LOCK_SECONDS = 10.0  # for a lock that is ours: somebody may just be looking whether it is held

_FULL = "the record of this run is full: what became of slides after this is not in it"

_EVENTS = {
    Notice,
    RunStarted,
    SiteState,
    SlideDeleted,
    SlideExtra,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SourceProblem,
    Summary,
}
"""Recorded as they are heard. Outcomes of slides are added by whoever knows more than the event says."""


class RunRecord:
    """The record of one run. `failed` is called once, in the event loop, with the reason where it cannot be written.

    Raises OSError when it is made. Its methods are for the event loop, but for `add_slides`.
    """

    def __init__(
        self, folder: Path, number: int, started: datetime, about: Mapping[str, Any], failed: Callable[[str], None]
    ) -> None:
        make_private_folder(folder)
        make_room(folder)
        self.path = folder / f"{started:%Y%m%dT%H%M%SZ}-{number}{SUFFIX}"
        self._writer = _PackedFile(self.path)
        self._failed = failed
        self._broken = self._closing = False
        self._lines: deque[str] = deque()  # appended to in two threads, taken in a third
        self._scheduled = False  # what is in `_lines` will be written without being asked for
        self._slides = 0
        self._thinners: dict[str, _Thinner] = {}
        self._add({"event": "run", "time": _text(started), "record": VERSION, "number": number, **about})

    def hear(self, event: Event) -> None:
        """Record an event of the run, if it is of those that are recorded as they are."""
        if type(event) in _EVENTS or (isinstance(event, AnnotationsFinished) and event.error is not None):
            self.add_event(event)
        elif isinstance(event, Progress):
            thinner = self._thinners.setdefault(event.site, _Thinner(event.time))
            if thinner.takes(event):
                self.add_event(event)

    def add_event(self, event: Event) -> None:
        """Record an event."""
        self._add(event.to_dict())

    def add_known(
        self, site: str, numbers: Sequence[int], status: SlideStatus, verified_by: VerifiedBy, time: datetime
    ) -> None:
        """Record the same outcome of many slides at a site, by their numbers."""
        self._add(
            {
                "event": "slides_known",
                "time": _text(time),
                "site": site,
                "status": status,
                "verified_by": verified_by,
                "slides": list(_ranges(numbers)),
            }
        )

    def add_unfinished(self, site: str, slide: str, sent: int, resumed: int) -> None:
        """Record how many bytes of a slide are at a site, by this run and by earlier ones, where it has no outcome."""
        line = {"event": "slide_unfinished", "time": _text(datetime.now(UTC)), "site": site, "slide": slide}
        self._add({**line, "bytes": sent, "resumed_bytes": resumed})

    def add_slides(
        self, slides: Sequence[Slide], excluded: Mapping[tuple[str, str], Sequence[int]] = NONE_EXCLUDED
    ) -> None:
        """Record slides that were found, in the order of their numbers. For the thread that finds them.

        `excluded`: by site and reason, the indices of those that its keys in the site book leave out.
        """
        first = self._slides
        for (folder, below), group in itertools.groupby(slides, key=_folder_of):
            rows = [_row(slide, len(below)) for slide in group]
            name = folder if isinstance(folder, str) else str(folder.absolute())
            line = {"event": "slides", "first": self._slides, "below": below, "folder": name}
            self._slides += len(rows)
            if self._takes_no("slides"):
                return
            self._lines.append(_json({**line, "slides": rows}))
        now = _text(datetime.now(UTC))
        for (site, reason), indices in excluded.items():
            numbers = [first + index for index in indices]
            outcome = {"site": site, "status": EXCLUDED, "error": reason, "slides": list(_ranges(numbers))}
            self._lines.append(_json({"event": "slides_known", "time": now, **outcome}))

    def add_names(self, slides: Sequence[Slide], named: Mapping[tuple[str, ...], Mapping[int, str]]) -> None:
        """Record other names at sites of the slides that were recorded last: by sites, paths by their indices."""
        first = self._slides - len(slides)
        for sites, names in named.items():
            if names and not self._takes_no("slides"):
                rows = [(first + index, to) for index, to in names.items()]
                self._lines.append(_json({"event": "slides_named", "sites": list(sites), "slides": rows}))

    def add_slide_to_pull(self, site: str, slide: str, at: str, folder: Path, size: int, files: int) -> None:
        """Record a slide that was found at a site. `slide`: its path in `folder`; `at`: its virtual path."""
        below, slash, name = slide.rpartition("/")
        kind = format_of(name)
        line = {"event": "slides", "first": self._slides, "below": below + slash, "folder": str(folder / below)}
        row = [name, "" if kind is None else kind.name, size, files]
        self._slides += 1
        self._add({**line, "site": site, "at": at.rpartition("/")[0], "slides": [row]})

    async def close(self) -> None:
        """Write what is left; then nothing is recorded any more. Calls `failed` where that is not possible."""
        if self._closing:
            return
        self._closing = True
        try:
            if not self._broken:
                writing = self._begin_to_write(last=True)
                await asyncio.wait({writing})
                self._written(writing)
        finally:
            self._writer.close()

    def _takes_no(self, event: str) -> bool:
        return self._broken or self._closing or (self._writer.full and event != "summary")

    def _add(self, line: Mapping[str, Any]) -> None:
        if self._takes_no(line["event"]):
            return
        self._lines.append(_json(line))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write)

    def _write(self) -> None:
        if not self._closing:
            self._begin_to_write().add_done_callback(self._written)

    def _begin_to_write(self, *, last: bool = False) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._writer.thread, self._writer.write, self._lines, last)

    def _written(self, done: asyncio.Future[None]) -> None:
        self._scheduled = False
        if not done.cancelled() and (error := done.exception()) is not None:
            self._fail(error)
        elif self._lines and not self._closing:
            self._scheduled = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write)

    def _fail(self, error: BaseException) -> None:
        if not self._broken:
            self._broken = True
            self._lines.clear()
            words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            self._failed(f"cannot write the record of this run, {self.path}: {words}; the run goes on without")


class _PackedFile:
    """A file of packed lines, locked as long as it is open; written in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(lock_of(path), timeout=LOCK_SECONDS, mode=0o600)
        try:
            self._lock.acquire()
            # File names may be patients' names: nobody else reads them.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except Timeout as error:
            raise OSError(errno.EAGAIN, str(error)) from None
        except OSError:
            self._release()
            raise
        self._file: BinaryIO = open(handle, "wb", buffering=0)  # noqa: PTH123, SIM115  (of a descriptor)
        self._packer = zlib.compressobj(level=1, wbits=31)  # 31: with the header of gzip
        self._bytes = 0
        self.full = False
        """Nothing is to be written any more but the summary."""
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="record")

    def write(self, lines: deque[str], last: bool = False) -> None:
        """Pack, write and remove the lines that there are. Raises OSError. In `thread`."""
        taken = [lines.popleft() for _ in range(len(lines))]
        data = self._packer.compress("".join(f"{line}\n" for line in taken).encode())
        left = memoryview(data + self._packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH))
        self._bytes += len(left)
        while left:
            left = left[self._file.write(left) :]
        if self._bytes > MAX_BYTES and not self.full:
            self.full = True
            lines.append(_json(Notice(text=_FULL).to_dict()))

    def close(self) -> None:
        """Close the file; a thread that hangs is not waited for."""
        self.thread.shutdown(wait=False, cancel_futures=True)
        self._file.close()
        self._release()

    def _release(self) -> None:
        self._lock.release()
        with suppress(OSError):
            lock_of(self._path).unlink()


class _Thinner:
    """Chooses the lines of a site's progress that are recorded: fewer and fewer, the longer the run takes.

    About PER_DOUBLING of them each time that its duration has doubled, until they are RAREST apart.
    """

    def __init__(self, started: datetime) -> None:
        self._started = started
        self._last: datetime | None = None

    def takes(self, event: Progress) -> bool:
        """Return whether this line is recorded."""
        pause = min(max(OFTENEST, (event.time - self._started).total_seconds() / PER_DOUBLING), RAREST)
        # Half a second of tolerance: events do not come to the millisecond.
        if self._last is not None and (event.time - self._last).total_seconds() < pause - OFTENEST / 2:
            return False
        self._last = event.time
        return True


def _folder_of(slide: Slide) -> tuple[Path | str, str]:
    below, slash, _ = slide.path.rpartition("/")
    return slide.folder, below + slash


def _row(slide: Slide, below: int) -> list[str | int]:
    files = slide.files
    name, main = slide.path[below:], files[-1]
    row: list[str | int] = [name, slide.format, main.size if len(files) == 1 else slide.size, len(files)]
    local = main.source_name
    return row if local == name else [*row, local]


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the first and last number of each run of consecutive ones."""
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


_json = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: a name may hold what is no text
