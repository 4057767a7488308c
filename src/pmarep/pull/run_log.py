"""What a pull leaves in the state folder: its line in the list of runs, and its record.

`pmarep status` and `pmarep report` are made of them. Slides come also where they cannot be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..engine.run_description import describe
from ..engine.run_files import begin_record
from ..errors import PmarepError
from ..events import Listener, Notice, Summary
from ..sites import Site
from ..sites.place import Place
from ..state.journal import Journal
from ..state.run_record import RunRecord
from .options import PullOptions


class RunLog:
    """The run of a pull in a state folder, None for none. `record` is None where there is none."""

    def __init__(self, state_dir: Path | None, listener: Listener) -> None:
        self._state_dir = state_dir
        self._listener = listener
        self._journal: Journal | None = None
        self._number = 0
        self.record: RunRecord | None = None

    async def begin(self, options: PullOptions, places: Sequence[Place], sites: Sequence[Site], clock: Clock) -> None:
        """Put the run into the list, and begin its record; say where that is not possible."""
        if self._state_dir is None or options.dry_run:
            return
        about = _describe(options, places, sites)
        try:
            self._journal = Journal(self._state_dir)
            self._number = await self._journal.record_run_started(about["sources"])
        except PmarepError as error:
            self._listener(Notice(text=f"there is no record of this run: {error}; slides come all the same"))
        else:
            self.record = begin_record(self._state_dir / "runs", self._number, about, clock, self._listener)

    async def finish(self, summary: Summary) -> None:
        """Write how the run has ended."""
        if self.record is not None:
            self.record.add_event(summary)
            await self.record.close()
        if self._journal is not None and self._number:
            with suppress(PmarepError):  # the truth about this run matters more than the list of runs
                await self._journal.record_run_finished(self._number, summary.to_dict())

    async def close(self) -> None:
        """Close what is still open, whatever has ended the run."""
        if self.record is not None:
            await self.record.close()
        if self._journal is not None:
            self._journal.close()


def _describe(options: PullOptions, places: Sequence[Place], sites: Sequence[Site]) -> dict[str, Any]:
    return describe(
        "pull",
        sites,
        {
            "sources": [place.text for place in places],
            "folder": str(options.folder.absolute()),
            "existing": options.existing.value,
            "include": list(options.include),
            "exclude": list(options.exclude),
            "config": None if options.config is None else str(options.config.absolute()),
            "arguments": list(options.arguments),
        },
    )
