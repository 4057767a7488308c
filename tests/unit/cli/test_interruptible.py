"""Commands that a signal ends where they wait, or at a question: they still log out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import typer

from pmarep.cli.interruptible import run_interruptible
from pmarep.cli.sites.prompter import TerminalPrompter


@asynccontextmanager
async def session(ended: list[str]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.sleep(0)  # as a request does
        ended.append("logged out")


class Terminal:
    """Gets a signal while somebody waits for an answer, and then the answer."""

    def __init__(self, number: int) -> None:
        self._number = number

    def readline(self) -> str:
        signal.raise_signal(self._number)
        return "y\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_waits(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    async def work() -> None:
        async with session(ended):
            signal.raise_signal(number)
            await asyncio.Event().wait()

    with pytest.raises(typer.Exit) as end:
        run_interruptible(work(), lambda: "interrupted; so much was done")
    assert (end.value.exit_code, ended) == (130, ["logged out"])
    assert capsys.readouterr().err == "pmarep: interrupted; so much was done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_question(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def work() -> None:
        async with session(ended):
            TerminalPrompter().yes("Delete?", default=False)

    monkeypatch.setattr("sys.stdin", Terminal(number))
    with pytest.raises(typer.Abort):
        run_interruptible(work())
    assert ended == ["logged out"]
