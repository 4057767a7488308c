"""Notice changes below folders on local disks as soon as they are made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..slides.file_names import is_system_name

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
"""Without a change, until those before it are told: a scanner that writes is one change, not thousands."""

_LOOKS_MS = 500  # how often it is looked whether to end, and whether the folders are the same ones still


class ChangeWatcher:
    """Calls `changed` from a thread of its own after changes below `folders`, until it is closed.

    Changes are told after a pause between them, at the latest `longest` seconds after the first. That a folder goes, or
    another one is in its place, as where a drive is unmounted or mounted, is a change, and the new one is watched.
    `ours`: files that pmarep writes, and folders whose content it writes; they are not told of, and neither is what
    lies in folders that a walk does not look into. `failed` is called, with a reason, where folders cannot be watched
    (the system has too few watches): nothing is told of after that.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        longest: float,
        ours: Collection[Path],
        changed: Callable[[], object],
        failed: Callable[[str], object],
    ) -> None:
        self._folders = [folder.resolve() for folder in folders]
        self._longest = longest
        self._ours = [path.resolve() for path in ours]
        self._changed = changed
        self._failed = failed
        self._known = self._identities()  # as was told last: a folder that comes while it is told has come since
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watching; what changed last may not be told any more."""
        self._stop.set()
        self._thread.join(timeout=2 * _LOOKS_MS / 1000)

    def _watch(self) -> None:
        # Its own log lines have the names of what changed.
        logging.getLogger("watchfiles.main").setLevel(logging.WARNING)
        try:
            while not self._stop.is_set():
                self._watch_until_replaced()
        except Exception as error:  # its errors have no common class
            self._failed(getattr(error, "strerror", None) or str(error).partition(".")[0] or type(error).__name__)

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(folder) for folder in self._folders]

    def _watch_until_replaced(self) -> None:
        """Tell of changes until the watcher is closed, or a folder has gone, come, or been replaced."""
        import watchfiles

        first = last = None  # times of changes that were not told yet
        for changes in watchfiles.watch(
            *(folder for folder in self._folders if _identity(folder) is not None),
            watch_filter=None,
            step=_LOOKS_MS,
            stop_event=self._stop,
            rust_timeout=_LOOKS_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=False,
            ignore_permission_denied=True,  # lost+found: what cannot be read is no source
        ):
            now = time.monotonic()
            if any(self._is_of_source(Path(path)) for _, path in changes):
                first, last = now if first is None else first, now
            found = self._identities()
            paused = last is not None and now - last >= PAUSE_SECONDS
            if found != self._known or paused or (first is not None and now - first >= self._longest):
                first = last = None
                self._changed()
            if found != self._known:
                self._known = found
                return

    def _is_of_source(self, changed: Path) -> bool:
        if any(changed == mine or mine in changed.parents or _is_beside(changed, mine) for mine in self._ours):
            return False
        below = [changed.relative_to(folder).parts for folder in self._folders if changed.is_relative_to(folder)]
        return not below or any(not any(map(is_system_name, parts[:-1])) for parts in below)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one at the same path; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_beside(changed: Path, mine: Path) -> bool:
    """Return whether a file was written beside ours: to replace it, its lock, or one that it rotated to."""
    after = changed.name.removeprefix(f"{mine.name}.")
    return changed.parent == mine.parent and (
        after == "lock" or after.isdecimal() or changed.name.startswith(f".{mine.name}.")
    )
