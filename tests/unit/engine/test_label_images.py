"""Which sources were pushed to which sites before, so that nobody is warned of labels again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pmarep.engine.label_images import RECENT_RUNS, LabelLooks
from pmarep.source import SharedReader
from pmarep.state.journal import Journal
from pmarep.state.journal_bounds import MAX_RUNS
from pmarep.state.records import Run


class AskedJournal(Journal):
    """Remembers how many runs it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[int] = []

    async def runs(self, count: int) -> list[Run]:
        self.asked.append(count)
        return await super().runs(count)

    async def add(self, source: str, sites: dict[str, tuple[int, int]], **more: Any) -> None:
        """Add a run that has ended; `sites`: how many slides were sent and skipped."""
        at = {name: {"sent": sent, "skipped": skipped, "failed": 1} for name, (sent, skipped) in sites.items()}
        await self.record_run_finished(
            await self.record_run_started([source]), {"exit_code": 0, "sites": at, "verify_only": False, **more}
        )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[AskedJournal]:
    with closing(AskedJournal(tmp_path)) as journal:
        yield journal


@pytest.fixture
def looks(journal: AskedJournal) -> Iterator[LabelLooks]:
    with closing(SharedReader()) as reader:
        yield LabelLooks(reader, journal)


async def test_the_last_runs_are_read_once_for_all_sites(journal: AskedJournal, looks: LabelLooks) -> None:
    await journal.add("/cases", {"a": (1, 0), "b": (0, 1)})
    assert await looks.are_pushed_again(["/cases"], "a")
    assert await looks.are_pushed_again(["/cases"], "b")
    assert journal.asked == [RECENT_RUNS]


async def test_a_run_of_long_ago_counts_too(journal: AskedJournal, looks: LabelLooks) -> None:
    await journal.add("/cases", {"a": (1, 0)})
    await journal.add("/more", {"a": (1, 0)})
    for _ in range(RECENT_RUNS):
        await journal.add("/others", {"a": (1, 0), "b": (1, 0)})
    assert await looks.are_pushed_again(["/cases", "/more"], "a")
    assert not await looks.are_pushed_again(["/cases", "/others"], "b")
    assert journal.asked == [RECENT_RUNS, MAX_RUNS]


async def test_runs_that_sent_no_slide_do_not_count(journal: AskedJournal, looks: LabelLooks) -> None:
    await journal.add("/cases", {"a": (0, 0), "b": (1, 0)})
    await journal.add("/cases", {"a": (0, 1)}, verify_only=True)
    await journal.record_run_started(["/cases"])
    assert not await looks.are_pushed_again(["/cases"], "a")
