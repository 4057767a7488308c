"""Runs moto's S3 server and Azurite, each as a child process on a free loopback port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pmarep.errors import PmarepError

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's one account and its published key."""

_MOTO = """
from moto import server
server.DomainDispatcherApplication.get_backend_for_host = lambda *_: "s3"
server.main()
"""
"""moto looks for the service of each request among the folders of its sources: half of what a request costs."""

START_TIMEOUT = 60.0
"""Seconds that an emulator may take to start; it takes one or two."""


class EmulatorMissing(PmarepError):
    """An emulator, or what it needs, is not installed."""


@contextmanager
def moto(*, min_part_size: int | None = None, folder: Path | None = None) -> Iterator[str]:
    """Run moto's S3 server, which checks no signatures, and yield its URL. Raises EmulatorMissing.

    `min_part_size`: bytes of all parts but the last; S3's own rule is 5 MiB. `folder`: for a temporary folder in it.
    """
    if not all(map(find_spec, ("moto", "flask", "flask_cors"))):
        raise EmulatorMissing("moto's S3 server is not installed; get it with: pip install 'moto[s3,server]'")
    command = [sys.executable, "-P", "-c", _MOTO, "-H", "127.0.0.1", "-p", "0"]
    part_size = {} if min_part_size is None else {"S3_UPLOAD_PART_MIN_SIZE": str(min_part_size)}
    with _folder("moto-", folder) as own:
        environment = {**part_size, "TMPDIR": str(own), "TEMP": str(own), "TMP": str(own)}
        with _running("moto", command, environment, own, r"Running on (http://127\.0\.0\.1:\d+)") as url:
            yield url


@contextmanager
def azurite(*, folder: Path | None = None) -> Iterator[str]:
    """Run Azurite, and yield the URL of its account's blob service. Raises EmulatorMissing. `folder` as for moto."""
    command = _azurite()
    with _folder("azurite-", folder) as own:
        command += ["--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(own)]
        command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        with _running("Azurite", command, {}, own, r"successfully listens on (http://127\.0\.0\.1:\d+)") as url:
            yield f"{url}/{ACCOUNT}"


def _azurite() -> list[str]:
    """Return the command that starts Azurite, without options. Raises EmulatorMissing."""
    node = shutil.which("node")
    if node is None:
        raise EmulatorMissing("Azurite needs Node.js, which is not here; install it, then: make demo KIND=azure")
    on_path = shutil.which("azurite-blob")
    here, project = Path.cwd(), Path(__file__).parents[3]
    places = [here / ".node", project / ".node", here]
    if on_path is not None:
        places.append(Path(on_path).parent)  # on Windows: what lies there is a script, which could not be killed
    for place in places:
        script = place / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        if script.exists():
            return [node, str(script)]
    if on_path is None:
        raise EmulatorMissing("Azurite is not installed; get it with: make demo KIND=azure, or: npm install azurite")
    return [on_path]


@contextmanager
def _folder(prefix: str, within: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix, dir=within) as folder:
        yield Path(folder)


@contextmanager
def _running(
    name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, ready: str
) -> Iterator[str]:
    """Start a server, wait for the line that says where it listens, and kill it at the end.

    Its output goes to a file: a pipe that nobody reads would fill up and block it. It has a process group of its own,
    because a terminal's Ctrl-C goes to a whole group: we stop first, then it.
    """
    log = folder / "output.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            process_group=0,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        ) as process,
    ):
        try:
            yield _wait_for(name, process, log, ready)
        finally:
            process.kill()


def _wait_for(name: str, process: subprocess.Popen[bytes], log: Path, ready: str) -> str:
    end = time.monotonic() + START_TIMEOUT
    while True:
        over = process.poll() is not None or time.monotonic() > end
        text = log.read_text(encoding="utf-8", errors="replace")
        if match := re.search(ready, text):
            return match[1]
        if over:
            last = text.strip().rpartition("\n")[2].strip()
            raise PmarepError(f"{name} did not start ({last or 'it said nothing'}); is it installed as a whole?")
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
