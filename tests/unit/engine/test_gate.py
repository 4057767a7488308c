"""The gate before upload: who holds the results of `prepare`, and what its commands may say."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from support.corpus import tiny_tiff
from support.fork_server import PATIENCE

from pmarep.engine.gate.commands import GateCommands
from pmarep.engine.gate.site_gate import GateRun, SiteGate
from pmarep.engine.options import Options
from pmarep.errors import UsageError
from pmarep.sites import Site
from pmarep.slides import Slide, find_slides
from pmarep.source import LocalFiles, SharedReader
from pmarep.source.prepared import NoRoomError, NotPrepared, PreparedSlide, Result
from pmarep.state.records import signature

COPY = "import shutil, sys; shutil.copy(*sys.argv[1:])"


def site(name: str, code: str = COPY) -> Site:
    prepare = (sys.executable, "-I", "-S", "-c", code, "{slide}", "{out}")
    return Site(name=name, url="http://pma.example/", username="u", target=f"Slides/{name}", prepare=prepare)


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "x.svs").write_bytes(tiny_tiff(100))
    [slide] = find_slides(tmp_path / "cases")
    assert isinstance(slide, Slide)
    return slide


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[GateRun]:
    reader = SharedReader(files=LocalFiles())
    run = GateRun(Options(sources=(tmp_path / "cases",)), [site("a"), site("b")], reader, tmp_path / "state")
    yield run
    await run.close()
    reader.close()


async def test_a_site_sends_nothing_that_only_another_one_holds(run: GateRun, slide: Slide) -> None:
    """The other one may let go of it first; then it may be removed in the middle of the upload."""
    a, b = SiteGate(site("a"), run), SiteGate(site("b"), run)
    async with a.held(slide) as prepared:
        a.check_held(prepared)
        [known] = await b.known([slide])
        assert known == prepared
        assert isinstance(known, PreparedSlide)
        for other in (known, slide):
            with pytest.raises(NotPrepared):
                b.check_held(other)
        async with b.held(slide) as own:
            b.check_held(own)
            with pytest.raises(NotPrepared):
                b.check_held(slide)
    with pytest.raises(NotPrepared):
        a.check_held(prepared)


@pytest.mark.parametrize(("cache", "fits"), [("cache", False), (".cache/deep", True), ("../cache", True)])
async def test_a_cache_in_a_source_is_refused(
    run: GateRun, slide: Slide, tmp_path: Path, cache: str, fits: bool
) -> None:
    """A walk would find what is in it."""
    options = Options(sources=(tmp_path / "cases",), gate_cache=tmp_path / "cases" / cache)
    with nullcontext() if fits else pytest.raises(UsageError, match="it would be pushed; name another cache"):
        await GateRun(options, [site("a")], run._source, tmp_path / "state").close()


async def test_who_is_cancelled_holds_nothing(run: GateRun, slide: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the result would stay as long as the run, and others would wait for its room for ever."""
    a, preparation = SiteGate(site("a"), run), run.preparation
    assert preparation is not None
    assert preparation._cache is not None
    async with a.held(slide):
        pass
    looking, going_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def look(_result: Result) -> bool:
        loop.call_soon_threadsafe(looking.set)
        return going_on.wait(PATIENCE)

    monkeypatch.setattr(preparation, "_is_whole", look)
    waiting = asyncio.create_task(a.held(slide).__aenter__())
    await looking.wait()
    waiting.cancel()
    await asyncio.gather(waiting, *preparation._tasks, return_exceptions=True)
    going_on.set()
    assert not preparation._cache._held


async def test_a_result_that_was_edited_in_the_cache_is_made_again(run: GateRun, slide: Slide, tmp_path: Path) -> None:
    """Though its size and time are the same. Each run reads it once."""
    async with SiteGate(site("a"), run).held(slide) as prepared:
        made = prepared.local(prepared.main)
    clean, info = made.read_bytes(), made.stat()
    made.write_bytes(clean[:-7] + b"PATIENT")
    os.utime(made, ns=(info.st_atime_ns, info.st_mtime_ns))
    later = GateRun(Options(sources=(tmp_path / "cases",)), [site("a")], run._source, tmp_path / "state")
    async with SiteGate(site("a"), later).held(slide) as again:
        assert again.local(again.main) != made
        assert again.local(again.main).read_bytes() == clean
    await later.close()


async def test_a_cache_that_was_removed_in_the_run_fails_the_slide(run: GateRun, slide: Slide, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state" / "prepared")
    with pytest.raises(NoRoomError, match="what prepare makes cannot be kept: "):
        await SiteGate(site("a"), run).held(slide).__aenter__()


async def test_the_words_of_a_command_are_in_no_reason(run: GateRun, slide: Slide) -> None:
    """Programs repeat what they were given and do not understand."""
    code = "import sys; sys.exit('no such options: ' + ' '.join(sys.argv[2:]))"
    words = (sys.executable, "-I", "-S", "-c", code, "{slide}", "--token=t0k", "--api-key", "k3y", "https://a.b/hook")
    assert await run.refusal(slide, words) == "no such options: --token=*** --api-key *** https://a.b/***"


async def test_the_same_file_in_another_folder_is_another_question(run: GateRun, slide: Slide, tmp_path: Path) -> None:
    """Names, sizes and times may be the same; the folder may be the case."""
    shutil.copytree(tmp_path / "cases", tmp_path / "b")
    other = replace(slide, folder=tmp_path / "b")
    words = (sys.executable, "-I", "-S", "-c", "import sys; sys.exit('/b/' in sys.argv[1] and 'no')", "{slide}")
    assert signature(other) == signature(slide)
    assert await run.refusal(slide, words) is None
    assert await run.refusal(other, words) == "no"


async def test_no_command_gets_our_passwords(run: GateRun, slide: Slide) -> None:
    commands = GateCommands({"PMAREP_PASSWORD_TOKYO": "secret", "HOME": "/h"}, 60)
    code = "import os; print(sorted(n for n in os.environ if n in ('HOME', 'PMAREP_PASSWORD_TOKYO')))"
    end = await commands.run("require", (sys.executable, "-I", "-S", "-c", code, "{slide}"), slide)
    assert (end.code, end.last_line) == (0, "['HOME']")
