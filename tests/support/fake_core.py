"""A PMA.core in memory, for tests of what lies there: folders, slides and their files, as its client gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Any

from pmarep.pmacore import NotFound, Refused, RemoteFile


class FakeCore:
    """Folders with their slides and slides with their files, by virtual path; an error in their place is raised.

    `most`: requests at once; `asked_for`: requests in all; `deletions`: the slides that were to be deleted.
    """

    url = "https://tokyo.example/"

    def __init__(
        self, folders: dict[str, Any], files: dict[str, Any] | None = None, not_readable: Container[str] = ()
    ) -> None:
        self.folders = folders
        self.files = files or {}
        self.not_readable = not_readable
        self.no_login: Exception | None = None
        self.no_fingerprint: Exception | None = None
        self.refuses: dict[str, Any] = {}
        self.deletions: list[str] = []
        self.asked = self.most = self.asked_for = 0

    async def _answer(self, found: Any) -> Any:
        self.asked += 1
        self.asked_for += 1
        self.most = max(self.most, self.asked)
        await asyncio.sleep(0)
        self.asked -= 1
        if isinstance(found, Exception):
            raise found
        return found

    async def login(self) -> None:
        await self._answer(self.no_login)

    async def root_directories(self) -> Any:
        return await self._answer([path for path in self.folders if "/" not in path])

    async def directories(self, path: str) -> Any:
        return await self._answer([one for one in self.folders if one.rpartition("/")[0] == path])

    async def slides(self, path: str) -> Any:
        found = self.folders.get(path, NotFound("there is no such folder"))
        return await self._answer(found if isinstance(found, Exception) else list(found))

    async def slide_files(self, path: str) -> Any:
        return await self._answer(self.files.get(path, [file(path)]))

    async def delete_slide(self, path: str) -> None:
        """Delete a slide as `refuses` says: an error that is raised; "keeps": nothing happens; "lost": both."""
        how = self.refuses.get(path)
        self.deletions.append(path)
        if not how or how == "lost":
            for slides in self.folders.values():
                if path in slides:
                    slides.remove(path)
            self.files[path] = NotFound("there is no such slide")
        await self._answer(Refused("there is no such slide") if how == "lost" else how if how != "keeps" else None)

    async def image_info(self, path: str) -> Any:
        return await self._answer(Refused("cannot be opened") if path in self.not_readable else {})

    async def fingerprint(self, path: str) -> Any:
        return await self._answer(self.no_fingerprint or f"of {path}")


def file(path: str, size: int = 7) -> RemoteFile:
    return RemoteFile.read({"Path": path, "Size": size}, "GetFilenames")
