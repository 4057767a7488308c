"""One run at a time per site target and what is below it: two would write over each other.

Runs of different shards of the same N have no slide in common: they may hold one target at the same time.

The operating system holds the locks, so they end with the process however it dies; a file beside each says who has it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import TargetBusyError, UsageError
from ..slides.shard import Shard
from ..system.private_folder import make_private_folder
from ..system.windows_names import lies_within

BEGINNING_SECONDS = 30.0
"""How long to wait for other runs that are just taking their locks."""


@contextmanager
def hold_targets(
    folder: Path, places: Iterable[tuple[str, str]], shard: Shard | None = None
) -> Iterator[dict[str, TargetBusyError]]:
    """Hold the locks of `places`, pairs of a site's name and its place (base URL and target), for a shard or for all.

    Gives, by their names, the sites whose locks another run has, also those of a place above or below: the errors name
    the holder. Other shards of the same count are in nobody's way. Raises TargetBusyError where no site is left.
    """
    wanted = sorted(places, key=lambda pair: pair[1])
    busy: dict[str, TargetBusyError] = {}
    with ExitStack() as stack:
        if wanted:
            beginning = "another run is just beginning; nothing was sent"
            with _locked(folder, folder / "all.lock", BEGINNING_SECONDS, beginning):
                for name, place in wanted:
                    try:
                        with ExitStack() as one:
                            one.enter_context(_hold_one(folder, name, place, shard))
                            _refuse_nested(folder, name, place, {place for _, place in wanted})
                            stack.push(one.pop_all())
                    except TargetBusyError as error:
                        busy[name] = error
        if wanted and len(busy) == len(wanted):
            raise TargetBusyError(f"{next(iter(busy.values()))}; nothing was sent, start again when that has ended")
        yield busy


def lock_name(place: str) -> str:
    """Return how the files of a place are called in the folder of the locks, without their ending."""
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@contextmanager
def _hold_one(folder: Path, name: str, place: str, shard: Shard | None) -> Iterator[None]:
    base = lock_name(place)
    own = base if shard is None else f"{base}-{shard.folder}"
    note = folder / f"{own}.json"
    with _locked(folder, folder / f"{own}.lock", 0, f"{name}: another run holds this site's target", note):
        _refuse_other_shards(folder, name, base, shard)
        try:
            _write_note(note, place, shard)
            yield
        finally:
            with suppress(OSError):
                note.unlink()


def _refuse_other_shards(folder: Path, name: str, base: str, shard: Shard | None) -> None:
    """Raise TargetBusyError where a run has the same target that is not for another shard of the same count."""
    for lock in folder.glob(f"{base}*.lock"):
        other = Shard.of_folder(lock.stem.removeprefix(f"{base}-"))
        if other == shard or (shard is not None and other is not None and other.count == shard.count):
            continue
        whose = "all slides" if other is None else f"shards of {other.count}"
        with _locked(
            folder, lock, 0, f"{name}: another run holds this site's target for {whose}", lock.with_suffix(".json")
        ):
            pass  # of a run that has ended


@contextmanager
def _locked(folder: Path, file: Path, seconds: float, busy: str, note: Path | None = None) -> Iterator[None]:
    lock = FileLock(file, timeout=seconds, mode=0o600)
    try:
        make_private_folder(folder.parent)
        make_private_folder(folder)
        _try_to_lock(folder)
        lock.acquire()
    except Timeout:
        holder = f" ({_holder(note)})" if note is not None else ""
        raise TargetBusyError(f"{busy}{holder}") from None
    except OSError as error:
        raise UsageError(f"cannot lock in {folder} ({error}); name another folder with --state-dir") from None
    try:
        yield
    finally:
        lock.release()


def _try_to_lock(folder: Path) -> None:
    """Raise OSError where the file system has no locks, such as Lustre's unless it is mounted with `flock`.

    Else FileLock would make do with files that stand for locks, and one that a dead process has left stays for ever.
    """
    if sys.platform == "win32":
        return
    import fcntl

    with tempfile.TemporaryFile(dir=folder) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _refuse_nested(folder: Path, name: str, place: str, own: Container[str]) -> None:
    for note in folder.glob("*.json"):
        other = _noted(note).get("place")
        if isinstance(other, str) and other not in own and (lies_within(place, other) or lies_within(other, place)):
            busy = f"{name}: another run holds a target above or below this site's"
            with _locked(folder, note.with_suffix(".lock"), 0, busy, note):
                pass  # of a run that was killed


def _write_note(note: Path, place: str, shard: Shard | None) -> None:
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    who = {"pid": os.getpid(), "host": platform.node(), "since": now, "place": place}
    if shard is not None:
        who["shard"] = str(shard)
    with suppress(OSError, KeyError, ImportError):  # no user name: a container, or Windows without USERNAME
        who["user"] = getpass.getuser()
    with suppress(OSError):
        note.touch(mode=0o600)
        note.write_text(json.dumps(who), encoding="utf-8")


def _noted(note: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        who = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(who, dict):
            return who
    return {}


def _holder(note: Path) -> str:
    who = _noted(note)
    try:
        shard = f"shard {who['shard']}, " if "shard" in who else ""
        return f"{shard}process {who['pid']} of {who.get('user', '?')} on {who['host']}, since {who['since']}"
    except KeyError:
        return "it does not say who"
