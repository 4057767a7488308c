"""moto's S3 server and Azurite, each a process of its own on a free loopback port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AZURITE = Path(__file__).parent.parent / ".node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's one account and its published key."""

SMALLEST_PART = 64 * 1024
"""Bytes. S3 itself wants 5 MiB of all parts but the last; moto lets us say."""


class NoEmulator(Exception):
    """It is not installed; says why."""


@contextmanager
def moto() -> Iterator[str]:
    """The address of an S3 server that checks no signatures."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = {"S3_UPLOAD_PART_MIN_SIZE": str(SMALLEST_PART), "PYTHONUNBUFFERED": "1"}
    with _running(command, environment, r"Running on (http://127\.0\.0\.1:\d+)") as url:
        yield url


@contextmanager
def azurite() -> Iterator[str]:
    """The address of the blob service of Azurite's account. Raises NoEmulator."""
    node = shutil.which("node")
    if node is None:
        raise NoEmulator("node is not installed, which Azurite needs")
    if not AZURITE.exists():
        how = "`make test` tries to, with npm" if shutil.which("npm") else "that needs npm, which is not here"
        raise NoEmulator(f"Azurite is not installed; {how}")
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        command = [node, str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", folder]
        options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        with _running([*command, *options], {}, r"successfully listens on (http://127\.0\.0\.1:\d+)") as url:
            yield f"{url}/{ACCOUNT}"


@contextmanager
def _running(command: list[str], environment: dict[str, str], ready: str) -> Iterator[str]:
    """Start a server, wait for the line that says where it listens, and kill it at the end.

    Its output goes to a file: a pipe that nobody reads would fill up and block it.
    """
    with (
        tempfile.TemporaryFile("w+b") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            yield _wait_for(process, output.fileno(), ready)
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen[bytes], output: int, ready: str) -> str:
    while True:
        ended = process.poll() is not None
        said = os.pread(output, 1 << 16, 0).decode(errors="replace")
        if match := re.search(ready, said):
            return match[1]
        if ended:
            raise RuntimeError(f"{command_name(process)} did not start: {said}")
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue


def command_name(process: subprocess.Popen[bytes]) -> str:
    arguments = process.args
    return " ".join(arguments[:3]) if isinstance(arguments, list) else str(arguments)
