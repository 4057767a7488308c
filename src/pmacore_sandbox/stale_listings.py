"""Fault `StaleListings`: changes answers so that what is new does not show yet."""

from __future__ import annotations

import time
from typing import Any


class FolderAges:
    """The times at which clients made folders, since the start of the server."""

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def record(self, path: object) -> None:
        """Note that a folder has just been made."""
        self._made.setdefault(str(path).upper(), time.monotonic())

    def hide_recent(self, name: str, answer: Any, seconds: float) -> Any:
        """Return an answer of `getdirectories` or `getfilenames` without folders and sizes of the last `seconds`."""
        if name == "getdirectories":
            return [path for path in answer if not self._is_new(path, seconds)]
        if name == "getfilenames":
            return [file | {"Size": 0} if _age(file["LastModified"]) < seconds else file for file in answer]
        return answer

    def _is_new(self, path: str, seconds: float) -> bool:
        made = self._made.get(path.upper())
        return made is not None and time.monotonic() - made < seconds


def _age(date: str) -> float:
    """Return the seconds since `/Date(ms)/`."""
    return time.time() - int(date.removeprefix("/Date(").removesuffix(")/")) / 1000
