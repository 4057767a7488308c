"""rclone, to compare with: `rclone sync` of a folder to WebDAV servers of its own. Linux; `apt install rclone`.

Each server and each client is a process of its own, on loopback. WebDAV has no times of change here, so that sizes are
compared, which is what pmarep does with a site's listings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from _harness import Run, measure_at_once

_ENVIRONMENT = {**os.environ, "RCLONE_CONFIG": "", "NO_PROXY": "*"}  # no configuration file


def version() -> str | None:
    """Return the installed version (`v1.60.1`), or None without rclone."""
    if shutil.which("rclone") is None:
        return None
    output = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True, env=_ENVIRONMENT)
    return output.stdout.split()[1]


class WebDav:
    """`rclone serve webdav` of a folder while the block runs; `cpu` (seconds) is known when it has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""
        self.cpu = 0.0

    def __enter__(self) -> Self:
        command = ["rclone", "serve", "webdav", str(self._folder), "--addr", "127.0.0.1:0"]
        self._process = subprocess.Popen(command, env=_ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"http://[\d.:]+", line):
                self.url = found[0]
                return self
        sys.exit("rclone serve webdav did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime


def copy_tree(source: Path, copy: Path) -> None:
    """Copy a tree by hard links."""
    shutil.copytree(source, copy, copy_function=os.link)


def sync(source: Path, copies: Sequence[Path]) -> tuple[list[Run], float]:
    """Sync `source` to a server of each copy, all at once. Return the clients' runs and the servers' CPU seconds."""
    with ExitStack() as stack:
        servers = [stack.enter_context(WebDav(copy)) for copy in copies]
        commands = {
            server.url: ["rclone", "sync", str(source), ":webdav:", "--webdav-url", server.url, "--size-only"]
            for server in servers
        }
        runs = measure_at_once(commands, dict.fromkeys(commands, _ENVIRONMENT))
    if any(run.code for run in runs.values()):
        sys.exit("rclone sync failed")
    return list(runs.values()), sum(server.cpu for server in servers)
