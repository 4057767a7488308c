"""A server whose listings are late: what fault `StaleListings` makes of an honest answer."""

from __future__ import annotations

import time
from typing import Any


class FolderAges:
    """The folders that clients have made since the start, and when."""

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def made(self, path: object) -> None:
        self._made.setdefault(str(path).upper(), time.monotonic())

    def hide(self, name: str, answer: Any, seconds: float) -> Any:
        """Answer a call (`getdirectories`, `getfilenames`) as if the last `seconds` had not been."""
        if name == "getdirectories":
            return [path for path in answer if not self._is_new(path, seconds)]
        if name == "getfilenames":
            return [file | {"Size": 0} if _age(file["LastModified"]) < seconds else file for file in answer]
        return answer

    def _is_new(self, path: str, seconds: float) -> bool:
        made = self._made.get(path.upper())
        return made is not None and time.monotonic() - made < seconds


def _age(date: str) -> float:
    """Seconds since `/Date(ms)/`."""
    return time.time() - int(date.removeprefix("/Date(").removesuffix(")/")) / 1000
