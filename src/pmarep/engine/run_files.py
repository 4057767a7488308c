"""The files that a run writes for people, beside the journal: its record, and the list of --at-all-sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..errors import PmarepError, UsageError
from ..events import Event, Listener, Notice, Summary
from ..sites import Site
from ..sites.name_map import NameMap, SiteNames
from ..slides import Slide
from ..source import SharedReader
from ..state.file_list import empty_list
from ..state.run_record import RunRecord
from ..units import count_of
from .at_all_sites import VerifiedAtAllSites
from .discovery.slide_list import SlideList
from .options import Options, Verify
from .run_description import describe_run


def begin_record(
    folder: Path, number: int, about: Mapping[str, Any], clock: Clock, listener: Listener
) -> RunRecord | None:
    """Begin the record of a run, in a folder for records; say where that is not possible, and return None."""
    started = clock.local().astimezone(UTC)
    try:
        return RunRecord(folder, number, started, about, lambda why: listener(Notice(text=why)))
    except OSError as error:
        words = error.strerror or type(error).__name__
        listener(Notice(text=f"cannot write a record of this run in {folder}: {words}; the run goes on without"))
        return None


class RunFiles:
    """Owns the record and the list of a run. Where one of them cannot be written, slides are sent all the same.

    `failed`: a file that somebody asked for could not be written. Raises UsageError, when it is made, where that is
    known before, or where options exclude each other.
    """

    def __init__(self, options: Options, sites: Sequence[Site], clock: Clock, listener: Listener) -> None:
        self._options = options
        self._sites = sites
        self._clock = clock
        self._listener = listener
        self.record: RunRecord | None = None
        self.at_all_sites: VerifiedAtAllSites | None = None
        self.failed = False
        if options.at_all_sites is not None:
            empty_list(options.at_all_sites)
            if options.dry_run or options.verify is Verify.NONE:
                without = "--dry-run" if options.dry_run else "--verify none"
                raise UsageError(f"--at-all-sites lists what was verified at every site; leave out {without}")
            self.at_all_sites = VerifiedAtAllSites(options.at_all_sites, [site.name for site in sites])

    def begin(self, folder: Path, number: int) -> None:
        """Begin the record of the run, in a folder for records."""
        about = describe_run(self._options, self._sites)
        self.record = begin_record(folder, number, about, self._clock, self._listener)

    def hear(self, event: Event) -> None:
        """Record an event."""
        if self.record is not None:
            self.record.hear(event)

    def add_slides(self, slides: Sequence[Slide], excluded: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Record slides that were found, in the thread that finds them.

        `excluded`: by site and reason, the indices of those that it does not take.
        """
        if self.record is not None:
            self.record.add_slides(slides, excluded)
            if self._options.names is not None:
                self.record.add_names(slides, _named(self._options.names, self._sites, slides))

    async def write_list(self, slide_list: SlideList, reader: SharedReader) -> None:
        """Write the list of files that are verified at every site, if it is asked for."""
        if self.at_all_sites is None:
            return
        file = self._options.at_all_sites
        try:
            await self.at_all_sites.write(slide_list, reader)
        except (OSError, PmarepError) as error:
            self.failed = True
            words = error.strerror if isinstance(error, OSError) else error
            self._listener(Notice(text=f"cannot write the list {file}: {words}; it is empty"))
        else:
            slides = self.at_all_sites.slides
            which = count_of(slides, "slide is", "slides are")
            self._listener(Notice(text=f"{which} verified at every site: their files are in {file}", passing=True))

    async def close(self, summary: Summary | None = None) -> None:
        """Write what is left of the record, and how the run has ended. Says where that fails."""
        if self.record is not None:
            if summary is not None:
                self.record.add_event(summary)
            await self.record.close()


def _named(names: NameMap, sites: Sequence[Site], slides: Sequence[Slide]) -> dict[tuple[str, ...], dict[int, str]]:
    """Return the paths that slides have at sites by a map, by their indices, for sites with the same names together."""
    alike: dict[SiteNames, list[str]] = {}
    for site in sites:
        alike.setdefault(names.of(site.name), []).append(site.name)
    return {
        tuple(members): {
            index: row.to for index, slide in enumerate(slides) if (row := found.row(slide.path)) is not None
        }
        for found, members in alike.items()
    }
