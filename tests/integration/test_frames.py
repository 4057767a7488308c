"""No more functions of ours stand behind the first byte of a slide than benchmarks/frames.py allows."""

from __future__ import annotations

import importlib.util
from contextlib import nullcontext
from pathlib import Path

import pytest

from pmarep.demo import storage

FRAMES = Path(__file__).parents[2] / "benchmarks" / "frames.py"


@pytest.mark.parametrize("kind", ["filesystem", "s3"])  # to Azure it is the same way as to S3
def test_a_slide_has_no_longer_way_to_the_wire_than_before(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "s3":
        url = request.getfixturevalue("moto_url")
        monkeypatch.setattr(storage, "moto", lambda **_: nullcontext(url))
    found = importlib.util.spec_from_file_location("frames", FRAMES)
    assert found is not None
    assert found.loader is not None
    benchmark = importlib.util.module_from_spec(found)
    found.loader.exec_module(benchmark)
    frames, tasks = benchmark.run(kind)
    shown = capsys.readouterr().out
    most_frames, most_tasks = benchmark.CEILINGS[kind]
    assert 1 < tasks <= most_tasks, shown
    assert tasks < frames <= most_frames, shown
    assert f"{frames} frames in {tasks} tasks" in shown
