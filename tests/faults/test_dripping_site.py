"""A site that says a byte now and then: never silent for long, and yet away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support import in_process
from support.clocks import FastClock
from support.corpus import tree
from support.hostile_server import HostileServer, RawAnswer
from support.network import Network

from pmarep.clock import Clock
from pmarep.engine.site import stall_monitor
from pmarep.events import SiteState, State
from pmarep.pmacore import TransferBroken, session_client
from pmarep.pmacore.errors import TooSlow
from pmarep.retry import MIN_RETRY_PERIOD, Retry
from pmarep.sites import Site

EACH = ["GetVersionInfo", "authenticate", "GetRootDirectories", "GetFiles", "GetImageInfo", "transfer/Upload"]


def drips() -> RawAnswer:
    async def content() -> AsyncGenerator[bytes, None]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n["
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    return RawAnswer(content)


@pytest.mark.parametrize("calls", [EACH, EACH[-1:], EACH[2:3]])
async def test_it_does_not_outlive_the_patience(tmp_path: Path, network: Network, calls: list[str]) -> None:
    tree(tmp_path / "cases", "a.svs")
    site = HostileServer(network)
    site.says = {call: drips() for call in calls}
    there = Site(name="evil", url=site.url, username="seeder", target="Slides/in", timeout=0.5, connect_timeout=0.5)
    async with asyncio.timeout(60):
        report = await in_process.push(
            tmp_path / "cases", [there], tmp_path / "state", "none", clock=FastClock(), patience=120.0
        )
    assert report.error("evil")
    states = [event for event in report.events if isinstance(event, SiteState)]
    # A busy machine does not come to other answers in time either.
    said = [report.error("evil"), *(event.reason or "" for event in states)]
    assert any("does not come to the end of an answer" in words for words in said), said
    assert any(event.state is State.PAUSED for event in states) or calls == EACH[-1:]


class Slow:
    """Time goes on by 75 s with each attempt, as with an answer that is never complete."""

    now = 0.0
    attempts = 0

    async def __call__(self) -> None:
        self.attempts += 1
        self.now += 75.0
        raise TransferBroken("too slow")

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("longest", "attempts"), [(0.0, 1), (10.0, 1), (100.0, 2), (3600.0, 5)])
async def test_a_request_is_tried_again_as_long_as_a_site_may_be_away(longest: float, attempts: int) -> None:
    slow = Slow()
    with pytest.raises(TransferBroken):
        await Retry(sleep=slow.sleep, max_seconds=longest, monotonic=slow.monotonic)(slow)
    assert slow.attempts == attempts
    assert MIN_RETRY_PERIOD < 75


@pytest.mark.parametrize("calls", [EACH, EACH[-1:], EACH[2:3]])
async def test_nor_a_patience_that_is_shorter_than_silence_may_be(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    """At the usual time-outs of a site, which are minutes where each call uses them up."""
    monkeypatch.setattr(stall_monitor, "SHORTEST_ANSWER", 0.2)
    monkeypatch.setattr(session_client, "PROBE_SECONDS", 0.2)
    tree(tmp_path / "cases", "a.svs")
    site = HostileServer(network)
    site.says = {call: drips() for call in calls}
    there = Site(name="evil", url=site.url, username="seeder", target="Slides/in")
    async with asyncio.timeout(60):
        report = await in_process.push(
            tmp_path / "cases", [there], tmp_path / "state", "none", clock=Clock(), patience=0.2
        )
    assert "does not come to the end of an answer" in report.error("evil")


@pytest.mark.parametrize(("longest", "attempts"), [(10.0, 1), (11.0, 2), (3600.0, 5)])
async def test_answers_that_were_given_up_are_not_asked_for_again_for_longer(longest: float, attempts: int) -> None:
    calls = 0

    async def hangs() -> None:
        nonlocal calls
        calls += 1
        raise TooSlow("too slow", 10.0)

    async def nothing(_: float) -> None:
        pass

    with pytest.raises(TooSlow):
        await Retry(sleep=nothing, max_seconds=longest, monotonic=lambda: 0.0)(hangs)
    assert calls == attempts
