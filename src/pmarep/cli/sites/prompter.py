"""Questions to a person at the terminal; tests answer them from a script."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

from ...text import printable
from ..output_streams import echo
from ..signal_handlers import termination_signals


class Prompter(Protocol):
    """Asks a person: for a text, for a hidden one such as a password, for yes or no."""

    def text(self, question: str, default: str | None = None) -> str: ...
    def hidden(self, question: str) -> str: ...
    def yes(self, question: str, default: bool) -> bool: ...
    def say(self, words: str) -> None: ...


class TerminalPrompter:
    """Asks at the terminal; Ctrl-C and Ctrl-D end the command."""

    def text(self, question: str, default: str | None = None) -> str:
        with _interruptible(), _line_ended():
            return str(typer.prompt(printable(question), default=default, show_default=bool(default))).strip()

    def hidden(self, question: str) -> str:
        with _interruptible():
            return str(typer.prompt(printable(question), default="", show_default=False, hide_input=True))

    def yes(self, question: str, default: bool) -> bool:
        with _interruptible(), _line_ended():
            return typer.confirm(printable(question), default=default)

    def say(self, words: str) -> None:
        echo(words)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C, and what ends programs, end a question also in an event loop, which takes them for later."""
    if threading.current_thread() is not threading.main_thread():  # which no signal reaches
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in termination_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _line_ended() -> Iterator[None]:
    """End the line of a question that Ctrl-C or Ctrl-D has ended; after hidden ones typer does."""
    try:
        yield
    except typer.Abort:
        echo()
        raise


def prompt_until_valid(ask: Prompter, question: str, check: Callable[[str], str], default: str | None = None) -> str:
    """Ask until `check` accepts an answer and return it; say what is wrong with the others."""
    while True:
        try:
            return check(ask.text(question, default))
        except ValueError as error:
            ask.say(f"  {error}")


def is_interactive(no_input: bool) -> bool:
    """Return whether a person can see a question and answer it."""
    return not no_input and sys.stdin.isatty() and sys.stdout.isatty()
