"""What a node says, and when."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pmarep.events import SlideStatus
from pmarep.nodes.node_run import Voice

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Heard:
    """A voice, and what has come of it."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self.voice = Voice(self._stream)

    def known(self, site: str, *numbers: int) -> None:
        self.voice.say_known(site, list(numbers), SlideStatus.SKIPPED, NOW)

    @property
    def said(self) -> list[Any]:
        """The slides of a message about known ones, with their site, or the kind of another."""
        messages = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [(m["site"], m["slides"]) if m["kind"] == "known" else m["kind"] for m in messages]


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_slides_that_are_known_go_out_together_and_before_what_comes_after(heard: Heard) -> None:
    heard.known("tokyo", 1, 2)
    heard.known("ghent", 1)
    heard.known("tokyo", 3)
    await asyncio.sleep(0)
    assert heard.said == []
    heard.voice.say({"kind": "event"})
    heard.known("tokyo", 4)
    await asyncio.sleep(0)
    assert heard.said == [("tokyo", [1, 2, 3]), ("ghent", [1]), "event", ("tokyo", [4])]


async def test_slides_that_are_known_go_out_also_if_nothing_else_is_said(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmarep.nodes.node_run.HELD_SECONDS", 0.0)
    for number in (1, 2):
        heard.known("tokyo", number)
        while len(heard.said) < number:
            await asyncio.sleep(0)
    assert heard.said == [("tokyo", [1]), ("tokyo", [2])]
