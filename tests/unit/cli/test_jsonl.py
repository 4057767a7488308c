"""JSON lines: when they come."""

from __future__ import annotations

import asyncio
import json

import pytest

from pmarep.cli.render import JsonOutput
from pmarep.events import SlideFinished, SlideStatus


def finished(slide: str, status: SlideStatus = SlideStatus.SKIPPED) -> SlideFinished:
    return SlideFinished(site="a", slide=slide, status=status)


def slides(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["slide"] for line in capsys.readouterr().out.splitlines()]


async def test_skipped_slides_come_together_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonOutput() as output:
        output.handle(finished("1"))
        output.handle(finished("2"))
        assert slides(capsys) == []
        await asyncio.sleep(0)
        assert slides(capsys) == ["1", "2"]
        output.handle(finished("3"))
        output.handle(finished("4", SlideStatus.SENT))
        assert slides(capsys) == ["3", "4"]
        output.handle(finished("5"))
    assert slides(capsys) == ["5"]


def test_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    JsonOutput().handle(finished("1", SlideStatus.FAILED))
    assert slides(capsys) == ["1"]
