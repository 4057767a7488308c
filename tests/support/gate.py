"""Sites with `require` and `prepare`, slides with a patient's name, and what left the machine.

def test_it(gate: Gate, sandbox: Sandbox, wire: Wire) -> None:
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    clean = gate.slide("a.svs")
    ...
    assert gate.runs() == ["a.svs"]
    assert leaked(sandbox.data) == []
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from starlette.types import Message

from pmacore_sandbox.middleware import InterceptedRequest
from support.corpus import tiny_tiff
from support.fork_server import LatePatch
from support.push_cli import PushCli, contents
from support.waiting import until

PATIENT = b"PATIENT: Jane Doe, born 1970-01-01"

TWO_AT_ONCE = LatePatch("from pmarep.engine.gate import commands; commands.AT_ONCE = 2")
"""A patch for commands: as on a machine of few processors."""

STRIP = """
import pathlib, sys
slide, out, ran = map(pathlib.Path, sys.argv[1:4])
with ran.open("a") as log:
    log.write(slide.name + "\\n")
for file in [slide, *(slide.with_suffix("").rglob("*") if slide.with_suffix("").is_dir() else [])]:
    copy = out / file.relative_to(slide.parent)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if file.is_file():
        copy.write_bytes(file.read_bytes().replace(%r, b''))
""" % (b"\0" + PATIENT)
"""Copies a slide without the name in it."""

MASK = STRIP.replace(f"replace({bytes(1) + PATIENT!r}, b'')", f"replace({PATIENT!r}, {b'x' * len(PATIENT)!r})")
"""Copies it with other letters in the place of the name, so that sizes tell nothing."""

ASK = """
import pathlib, sys
slide, ran = map(pathlib.Path, sys.argv[1:3])
with ran.open("a") as log:
    log.write(slide.name + "\\n")
print("looking")
if slide.name.startswith("secret"):
    sys.exit("no consent for " + slide.stem)
"""


class Gate:
    """Sites with commands; how often these have run."""

    def __init__(self, cli: PushCli, folder: Path) -> None:
        self.cli = cli
        self.folder = folder
        self.ran = folder / "ran"

    def command(self, code: str, *words: str) -> list[str]:
        script = self.folder / f"command-{abs(hash(code))}.py"
        script.write_text(code, encoding="utf-8")
        return [sys.executable, "-I", "-S", str(script), *words]

    def prepare(self, code: str = STRIP) -> list[str]:
        return self.command(code, "{slide}", "{out}", str(self.ran))

    def require(self, code: str = ASK) -> list[str]:
        return self.command(code, "{slide}", str(self.ran))

    def runs(self) -> list[str]:
        return sorted(self.ran.read_text().split()) if self.ran.exists() else []

    def journaled(self) -> int:
        """Pieces that the journal knows to be acknowledged."""
        with closing(sqlite3.connect(self.cli.state / "journal.sqlite", timeout=30)) as journal:
            return sum(journal.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("part", "file"))

    def wait_for_commands(self) -> None:
        """Wait for the end of those that a killed run has left (on Linux)."""
        until(lambda: not any(map(self._is_of_these, Path("/proc").glob("[0-9]*/cmdline"))))

    def _is_of_these(self, process: Path) -> bool:
        with suppress(OSError):  # it has just ended
            return str(self.folder / "command-").encode() in process.read_bytes()
        return False

    def slide(self, name: str, size: int = 2000) -> bytes:
        """Write a slide with a patient's name; return it as it may leave."""
        path = self.cli.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = tiny_tiff(size)
        path.write_bytes(content + b"\0" + PATIENT)
        return content


def leaked(*folders: Path) -> list[str]:
    """Files below folders that hold the patient's name."""
    return [name for folder in folders for name, content in contents(folder).items() if PATIENT in content]


class Wire:
    """Looks for the patient's name in every byte that servers of this process receive, also of what is never whole."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leaks: set[str] = set()
        receive, last = InterceptedRequest.receive, WeakKeyDictionary[InterceptedRequest, bytes]()

        async def looking(request: InterceptedRequest) -> Message:
            message = await receive(request)
            seen = last.get(request, b"") + message.get("body", b"")
            if PATIENT in seen:
                self.leaks.add(request.path)
            last[request] = seen[-len(PATIENT) :]
            return message

        monkeypatch.setattr(InterceptedRequest, "receive", looking)
