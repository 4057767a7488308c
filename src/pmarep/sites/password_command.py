"""Run a site's `password_command`, with a time limit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from ..system.commands import END_SECONDS, kill_tree


def run_command(
    command: list[str] | str, *, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a command without input. Raises OSError, ValueError, and TimeoutExpired after `timeout` seconds.

    Not `subprocess.run`: after the time-out, on Windows that waits for whoever still holds the command's pipes. The
    command stays in our session and process group, since out of them it could not ask on the terminal (pinentry-tty).
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(env)
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException:
        _end(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        kill_tree(process.pid)
    with suppress(OSError, subprocess.TimeoutExpired):  # such as sudo, which is another user's
        process.kill()
        process.wait(END_SECONDS)
    if sys.platform != "win32":  # there, a thread that still reads would have to be waited for
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
