"""One run at a time per site target: two would write over each other.

The operating system holds the locks, so they end with the process however it dies; a file beside each says who has it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import TargetBusyError, UsageError
from .private import make_private


@contextmanager
def hold(folder: Path, places: Iterable[tuple[str, str]]) -> Any:
    """Hold the locks of `places`, pairs of a site's name and its place (base URL and target).

    Raises TargetBusyError that names the holder; then none is held.
    """
    with ExitStack() as stack:
        for name, place in sorted(places, key=lambda pair: pair[1]):
            stack.enter_context(_hold_one(folder, name, place))
        yield


@contextmanager
def _hold_one(folder: Path, name: str, place: str) -> Any:
    base = folder / hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    lock, note = FileLock(base.with_suffix(".lock"), timeout=0, mode=0o600), base.with_suffix(".json")
    try:
        make_private(folder.parent)
        make_private(folder)
        lock.acquire()
    except Timeout:
        raise TargetBusyError(
            f"{name}: another run holds this site's target ({_holder(note)}); nothing was sent"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot lock in {folder} ({error}); name another folder with --state-dir") from None
    try:
        _write_note(note)
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def _write_note(note: Path) -> None:
    who = {"pid": os.getpid(), "host": platform.node(), "since": datetime.now().astimezone().isoformat(" ", "seconds")}
    with suppress(OSError, KeyError, ImportError):  # no user name: a container, or Windows without USERNAME
        who["user"] = getpass.getuser()
    with suppress(OSError):
        note.touch(mode=0o600)
        note.write_text(json.dumps(who), encoding="utf-8")


def _holder(note: Path) -> str:
    try:
        who = json.loads(note.read_text(encoding="utf-8"))
        return f"process {who['pid']} of {who.get('user', '?')} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say who"
