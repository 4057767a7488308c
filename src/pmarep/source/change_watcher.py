"""Notice changes below folders on local disks as soon as they are made."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchfiles import Change

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
"""Without a change, until those before it are told: a scanner that writes is one change, not thousands."""

_LOOKS_MS = 500  # how often watchfiles asks whether it is to end


class ChangeWatcher:
    """Calls `changed` from a thread of its own after changes below `folders`, until it is closed.

    Changes are told after a pause between them, at the latest `longest` seconds after the first. `ours`: files that
    pmarep writes, and folders whose content it writes; they are not told of. `failed` is called, with a reason, where
    folders cannot be watched (the system has too few watches, a folder is gone): nothing is told of after that.
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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watching; what changed last may not be told any more."""
        self._stop.set()
        self._thread.join(timeout=2 * _LOOKS_MS / 1000)

    def _watch(self) -> None:
        import watchfiles

        # Its own log lines have the names of what changed.
        logging.getLogger("watchfiles.main").setLevel(logging.WARNING)
        try:
            for _ in watchfiles.watch(
                *self._folders,
                watch_filter=self._is_of_source,
                step=round(PAUSE_SECONDS * 1000),
                debounce=round(max(self._longest, PAUSE_SECONDS) * 1000),
                stop_event=self._stop,
                rust_timeout=_LOOKS_MS,
                raise_interrupt=False,
                force_polling=False,
            ):
                self._changed()
        except Exception as error:  # its errors have no common class
            self._failed(getattr(error, "strerror", None) or str(error).partition(".")[0] or type(error).__name__)
        else:
            if not self._stop.is_set():
                self._failed("the watching ended")

    def _is_of_source(self, _change: Change, path: str) -> bool:
        changed = Path(path)
        return not any(changed == mine or mine in changed.parents or _is_beside(changed, mine) for mine in self._ours)


def _is_beside(changed: Path, mine: Path) -> bool:
    """Return whether a file is one that was written beside ours, to replace it, or that it rotated to."""
    return changed.parent == mine.parent and changed.name.startswith((f".{mine.name}.", f"{mine.name}."))
