"""Run a command of the site book to its end beside everything else, with a time limit; nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...daemon_thread import in_thread
from ...system.commands import NO_WINDOW, end_process_group, executable_for_names, last_line

_NTSTATUS_ERROR, _NTSTATUS_LAST = 0xC0000000, 0xCFFFFFFF
"""Exit codes of processes that Windows has ended: 0xC000013A by Ctrl-C, 0xC0000005 for a crash."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended: its exit code, None where it was ended after the time limit; the last line it printed."""

    code: int | None
    last_line: str

    @property
    def ended_by(self) -> str:
        """Return what ended the command, such as `signal 9`; empty where it has ended by itself or was not done."""
        if self.code is None or 0 <= self.code < _NTSTATUS_ERROR or self.code > _NTSTATUS_LAST:
            return ""
        return f"signal {-self.code}" if self.code < 0 else f"Windows (0x{self.code:08X})"


async def run_to_end(words: Sequence[str], environ: Mapping[str, str], seconds: float) -> CommandEnd:
    """Run a command without a shell and without input, for so many seconds at most. Raises OSError, ValueError.

    It has a session and a process group of its own; whatever is left of that in the end is killed, also where the
    caller is cancelled.
    """
    # A file, no pipe: whoever inherits a pipe and stays would be waited for.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: ASYNC220  (vfork: some milliseconds)
            executable_for_names(tuple(words), environ.get("PATH")),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environ),
            start_new_session=True,
            creationflags=NO_WINDOW if sys.platform == "win32" else 0,
        )
        code: list[int] = []
        try:
            await in_thread(lambda: code.append(process.wait(seconds)))
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_process_group(process)
        return CommandEnd(code[0] if code else None, last_line(output))
