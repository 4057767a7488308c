"""Run a command of the site book to its end beside everything else, with a time limit; nothing of it stays."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...daemon_thread import in_thread
from ...system.commands import end_process_group, executable_command, last_line


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended: its exit code, None where it was ended after the time limit; the last line it printed."""

    code: int | None
    last_line: str


async def run_to_end(words: Sequence[str], environ: Mapping[str, str], seconds: float) -> CommandEnd:
    """Run a command without a shell and without input, for so many seconds at most. Raises OSError, ValueError.

    It has a session and a process group of its own; whatever is left of that in the end is killed, also where the
    caller is cancelled.
    """
    # A file, no pipe: whoever inherits a pipe and stays would be waited for.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: ASYNC220  (vfork: some milliseconds)
            executable_command(tuple(words), environ.get("PATH")),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environ),
            start_new_session=True,
        )
        code: list[int] = []
        try:
            await in_thread(lambda: code.append(process.wait(seconds)))
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_process_group(process)
        return CommandEnd(code[0] if code else None, last_line(output))
