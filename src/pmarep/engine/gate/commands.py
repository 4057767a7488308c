"""`GateCommands`: runs `require` and `prepare` for slides, a few at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import PmarepError
from ...pmacore.redact import redact_output
from ...sites.validators import OUT, SLIDE
from ...slides import Slide
from ...slides.folder import os_error_text
from ...system.commands import without_passwords
from ...text import printable
from ...units import format_duration
from .command_run import CommandEnd, run_to_end

log = logging.getLogger(__name__)

AT_ONCE = max(2, min(4, (os.cpu_count() or 1) // 2))
"""Commands of each key that go on at the same time: most need a processor and a disk."""


class CommandError(PmarepError):
    """A command could not be started, or was not done in time."""


class GateCommands:
    """Runs commands. `environ`: what they are given, without our passwords; `timeout`: seconds for each."""

    def __init__(self, environ: Mapping[str, str], timeout: float) -> None:
        self._environ = without_passwords(environ)
        self._timeout = timeout
        self._turns = {key: asyncio.Semaphore(AT_ONCE) for key in ("require", "prepare")}  # nobody waits for slow ones

    async def run(self, key: str, words: Sequence[str], slide: Slide, out: Path | None = None) -> CommandEnd:
        """Run the command of a key of the site book for a slide to its end. Raises CommandError.

        The last line is without secrets and fit to be printed.
        """
        filled = [_filled(word, slide, out) for word in words]
        async with self._turns[key]:
            log.info("%s: running %s (%s)", slide.path, key, filled[0])
            try:
                end = await run_to_end(filled, self._environ, self._timeout)
            except (OSError, ValueError) as error:
                why = os_error_text(error) if isinstance(error, OSError) else str(error)
                raise CommandError(f"{key} ({program(words)}) could not be started: {why}; nothing was sent") from None
        log.info("%s: %s ended with %s", slide.path, key, end.code)
        end = replace(end, last_line=redact_output(end.last_line, filled))
        if end.code is None:
            limit = format_duration(self._timeout)
            text = f"{key} ({program(words)}) was not done in {limit} and was ended; timeout in [gate] gives it longer"
            raise CommandError(f"{text}{said_by(end)}")
        return end


def said_by(end: CommandEnd) -> str:
    """Return `: its last line`; empty where it said nothing."""
    return f": {end.last_line}" if end.last_line else ""


def program(words: Sequence[str]) -> str:
    """Return the program of a command: the other words may hold secrets."""
    return printable(words[0])[:300]


def hash_of(words: Sequence[str]) -> str:
    """Return a hash of a command's text."""
    return hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()


def _filled(word: str, slide: Slide, out: Path | None) -> str:
    """Return a word of a command for a slide. Nothing in a path is replaced again."""
    values = {SLIDE: str(slide.local(slide.main).absolute()), OUT: "" if out is None else str(out)}
    parts = []
    while word:
        at, name = min(((word.find(name), name) for name in values if name in word), default=(-1, ""))
        if at < 0:
            break
        parts += [word[:at], values[name]]
        word = word[at + len(name) :]
    return "".join([*parts, word])
