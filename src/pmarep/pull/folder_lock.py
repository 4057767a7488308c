"""One pull at a time into DIR: two would mix their files. The lock ends with the process, however it dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import TargetBusyError, UsageError
from .local_folder import PARTIAL_PREFIX

NAME = f"{PARTIAL_PREFIX}pull.lock"


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of DIR, which has to be there. Raises TargetBusyError, UsageError."""
    file = folder / NAME
    lock = FileLock(file, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise TargetBusyError(f"another pull into {folder} is running; start again when that has ended") from None
    except (OSError, NotImplementedError) as error:
        raise UsageError(f"cannot lock {folder} ({error}); name a folder on another disk") from None
    try:
        yield
    finally:
        # On Windows a file that is open cannot be removed; elsewhere it has to go while it is locked, since another
        # pull may lock it as soon as it is free.
        if sys.platform != "win32":
            file.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            if sys.platform == "win32":
                file.unlink()
