"""Work that hangs: it is waited for so long, and no longer; and not asked again before it is back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.slides import slide_at

from pmarep.errors import SourceAway, SourceError
from pmarep.slides import Slide
from pmarep.source import SharedReader, SiteReader, stall_detection
from pmarep.source.stall_detection import FolderProbe, Heartbeat, wait_while_moving
from pmarep.uploaders import Digests

SHORT = 0.15  # seconds
PATIENCE = 30.0
AWAY = "its disk or network drive does not answer"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_at_most(SHORT, monkeypatch)


def wait_at_most(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall_detection, "PROBE_SECONDS", seconds)
    monkeypatch.setattr(stall_detection, "READ_SECONDS", seconds)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    path = tmp_path / "a.svs"
    path.write_bytes(b"x" * 100)
    return slide_at(path)


async def test_quick_results_and_errors_are_returned() -> None:
    loop = asyncio.get_running_loop()
    assert await wait_while_moving(loop.run_in_executor(None, lambda: 7), "x", PATIENCE) == 7
    with pytest.raises(SourceError, match="gone"):
        await wait_while_moving(loop.run_in_executor(None, _fail), "x", PATIENCE)


def _fail() -> None:
    raise SourceError("gone")


async def test_work_that_hangs_is_given_up(gate: threading.Event) -> None:
    work = asyncio.get_running_loop().run_in_executor(None, gate.wait)
    with pytest.raises(SourceAway, match=rf"^cannot read the disk: {AWAY} \(nothing came for 1s\)$"):
        await asyncio.wait_for(wait_while_moving(work, "the disk", SHORT), PATIENCE)
    gate.set()


async def test_work_with_a_heartbeat_may_take_longer() -> None:
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    heartbeat = Heartbeat()

    async def beat() -> None:
        for _ in range(20):
            heartbeat.beat()
            await asyncio.sleep(SHORT / 5)
        work.set_result(7)

    beating = asyncio.create_task(beat())
    assert await wait_while_moving(work, "x", SHORT, lambda: heartbeat.beats) == 7
    await beating


async def test_at_most_one_probe_hangs_for_each_folder(
    gate: threading.Event, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, begun = FolderProbe(), []

    def begin(heartbeat: Heartbeat) -> asyncio.Future[bool]:
        begun.append(heartbeat)
        return asyncio.get_running_loop().run_in_executor(threads, gate.wait)

    for _ in range(5):
        with pytest.raises(SourceAway, match=AWAY):
            await asyncio.wait_for(probe.run(Path("nas"), begin), PATIENCE)
    assert len(begun) == 1
    with pytest.raises(SourceAway):
        await asyncio.wait_for(probe.run(Path("other"), begin), PATIENCE)
    assert len(begun) == 2
    wait_at_most(PATIENCE, monkeypatch)
    gate.set()
    assert await asyncio.wait_for(probe.run(Path("nas"), begin), PATIENCE) is True


async def test_reads_and_digests_of_a_drive_that_hangs(
    slide: Slide, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def hang(path: Path, *more: object, **keys: object) -> object:
        gate.wait()
        return real(path, *more, **keys)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", hang)
    reader = SharedReader(slow=SHORT)
    source, digests = SiteReader(reader), Digests(reader)
    try:
        for work in (_read(source, slide), digests.md5(slide, slide.main, 0, 100), digests.sha256(slide, slide.main)):
            with pytest.raises(SourceAway, match=AWAY):
                await asyncio.wait_for(work, PATIENCE)
        wait_at_most(PATIENCE, monkeypatch)
        gate.set()
        assert await asyncio.wait_for(_read(source, slide), PATIENCE) == b"x" * 100
        assert len(await asyncio.wait_for(digests.sha256(slide, slide.main), PATIENCE)) == 32
    finally:
        source.close()
        digests.close()
        reader.close()


async def _read(source: SiteReader, slide: Slide) -> bytes:
    return b"".join([chunk async for chunk in source.read(slide, slide.main)])
