"""The record of a run, where several write to it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pmarep.engine.audit import AuditLog, Auditor


class Watched:
    """A lock of a file. `most`: how many have wanted it at once."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self.wanted: list[None] = []
        self.most = 0

    def __enter__(self) -> None:
        self.wanted.append(None)
        self.most = max(self.most, len(self.wanted))
        self._lock.__enter__()
        time.sleep(0.001)

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(None, None, None)
        self.wanted.pop()


async def test_threads_do_not_wait_for_the_files_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for other runs, and who waits for it looks 20 times a second."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        audit = AuditLog(tmp_path / "audit.jsonl", Auditor.here())
    watched = Watched(audit._turn)
    audit._turn = watched
    try:
        await asyncio.gather(*(audit.record({"slide": str(number)}, on_disk=False) for number in range(40)))
    finally:
        audit.close()
    assert watched.most == 1
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert sorted(int(json.loads(line)["slide"]) for line in lines) == list(range(40))
    assert (tmp_path / "audit.jsonl.lock").exists()
