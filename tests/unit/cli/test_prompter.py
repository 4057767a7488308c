"""Questions at the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import pytest
import typer

from pmarep.cli.sites.prompter import TerminalPrompter


@pytest.mark.skipif(sys.platform == "win32", reason="there, asyncio leaves Ctrl-C alone")
@pytest.mark.parametrize("kind", ["yes", "text", "hidden"])
def test_ctrl_c_ends_a_question_within_a_run_at_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    answered = []

    def ask(*_args: object, **_options: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        answered.append(True)  # by a person who thinks that it has ended
        return True

    monkeypatch.setattr(typer, "confirm", ask)
    monkeypatch.setattr(typer, "prompt", ask)
    prompter = TerminalPrompter()
    questions: dict[str, Callable[[], object]] = {
        "yes": lambda: prompter.yes("Delete?", default=False),
        "text": lambda: prompter.text("Name"),
        "hidden": lambda: prompter.hidden("Password"),
    }

    async def main() -> None:
        questions[kind]()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert answered == []
    assert signal.getsignal(signal.SIGINT) is before
