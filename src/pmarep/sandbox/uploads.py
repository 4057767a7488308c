"""Announced uploads: what may be sent, what has been sent, and which upload brought a slide.

An upload stays known for the life of the data folder, also after a restart; with `forget` its Id is unknown afterwards
(a client has to announce again), but what it brought is judged by it all the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from .ledger import Ledger
from .names import NotFound, Parts, Refusal, fold_parts, split_path
from .storage import Storage

Key = tuple[str, Parts]  # root-directory and path in it, folded


@dataclass
class AnnouncedFile:
    """One file of an announcement; `path` is relative to the announced folder."""

    path: str
    length: int
    is_main: bool
    complete: bool = False

    @property
    def parts(self) -> Parts:
        return tuple(self.path.split("/"))


@dataclass
class Upload:
    id: int
    root: str
    folder: Parts
    files: dict[str, AnnouncedFile] = field(repr=False)
    forgotten: bool = False

    @property
    def main(self) -> AnnouncedFile:
        return next(file for file in self.files.values() if file.is_main)

    @property
    def complete(self) -> bool:
        return all(file.complete for file in self.files.values())

    def key(self, file: AnnouncedFile) -> Key:
        return key_of(self.root, self.folder + file.parts)

    def path(self, file: AnnouncedFile) -> Parts:
        return self.folder + file.parts


def key_of(root: str, path: Parts) -> Key:
    return root.upper(), fold_parts(path)


def check_files(announced: object, storage: Storage) -> list[AnnouncedFile]:
    """The `Files` of an announcement; keys in either case (protocol.md, "Upload", 1). Raises Refusal."""
    if not isinstance(announced, list) or not announced:
        raise Refusal("Files is missing or empty")
    files: list[AnnouncedFile] = []
    seen: set[Parts] = set()
    for item in announced:
        file = _check_file(item, storage)
        folded = fold_parts(file.parts)
        if folded in seen:
            raise Refusal(f"The file {file.path!r} is announced twice; names match ignoring case")
        seen.add(folded)
        files.append(file)
    for file in files:
        for depth in range(1, len(file.parts)):
            if fold_parts(file.parts[:depth]) in seen:
                raise Refusal(f"{'/'.join(file.parts[:depth])!r} is announced as a file and as a folder")
    mains = [file for file in files if file.is_main]
    if len(mains) != 1:
        raise Refusal(f"An upload has exactly one main file; this announcement has {len(mains)}")
    if len(mains[0].parts) > 1:
        raise Refusal(f"The main file {mains[0].path!r} has to lie in the announced Path itself")
    return files


def _check_file(item: object, storage: Storage) -> AnnouncedFile:
    if not isinstance(item, dict):
        raise Refusal("Each of Files is an object with Path, Length and IsMain")
    values: dict[str, Any] = {str(key).lower(): value for key, value in item.items()}
    path, length, is_main = values.get("path"), values.get("length"), values.get("ismain")
    for part in split_path(path, "The path of a file"):
        storage.check_name(part)
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise Refusal(f"The Length of {path!r} is not a number of bytes")
    if not isinstance(is_main, bool):
        raise Refusal(f"IsMain of {path!r} is not true or false")
    return AnnouncedFile(str(path), length, is_main)


class Uploads:
    """All uploads of one server."""

    def __init__(self, ledger: Ledger, *, forget: bool = False) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._by_id: dict[int, Upload] = {}
        self._brought_by: dict[Key, Upload] = {}
        for fact in ledger.facts():
            self._replay(fact)
        if forget:
            self.forget_all()

    def _replay(self, fact: dict[str, Any]) -> None:
        if "announced" in fact:
            files = {path: AnnouncedFile(path, length, main) for path, length, main in fact["files"]}
            upload = Upload(fact["announced"], fact["root"], tuple(fact["folder"]), files)
            self._by_id[upload.id] = upload
        elif "complete" in fact and fact["complete"] in self._by_id:
            self._complete(self._by_id[fact["complete"]], fact["path"])
        elif "deleted" in fact:
            self._drop(key_of(fact["deleted"], tuple(fact["path"])))

    def announce(self, root: str, folder: Parts, files: list[AnnouncedFile]) -> Upload:
        with self._lock:
            # Ids go on after a restart: an Id that a server forgot must not come to mean another upload.
            upload = Upload(max(self._by_id, default=0) + 1, root, folder, {file.path: file for file in files})
            self._by_id[upload.id] = upload
        announced = [(file.path, file.length, file.is_main) for file in files]
        self._ledger.write({"announced": upload.id, "root": root, "folder": folder, "files": announced})
        return upload

    def get(self, text: str) -> Upload:
        upload = self._by_id.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 16 else None
        if upload is None or upload.forgotten:
            raise NotFound(f"There is no upload with the Id {text}")
        return upload

    def complete(self, upload: Upload, path: str) -> None:
        """Remember that a file has arrived."""
        with self._lock:
            self._complete(upload, path)
        self._ledger.write({"complete": upload.id, "path": path})

    def _complete(self, upload: Upload, path: str) -> None:
        """An announcement alone changes nothing: the official client makes one per upload that it never uses."""
        upload.files[path].complete = True
        self._brought_by[upload.key(upload.files[path])] = upload
        self._brought_by[upload.key(upload.main)] = upload

    def that_brought(self, root: str, path: Parts) -> Upload | None:
        """The upload that a stored file, or the main file of a slide on its way, last came with."""
        return self._brought_by.get(key_of(root, path))

    def is_part_of_another(self, root: str, path: Parts) -> bool:
        """Whether a stored file came as a companion of some slide's main file."""
        key = key_of(root, path)
        upload = self._brought_by.get(key)
        return upload is not None and key != upload.key(upload.main)

    def deleted(self, root: str, path: Parts) -> None:
        with self._lock:
            self._drop(key_of(root, path))
        self._ledger.write({"deleted": root, "path": path})

    def _drop(self, key: Key) -> None:
        upload = self._brought_by.pop(key, None)
        if upload is not None:
            for file in upload.files.values():
                if upload.key(file) == key:
                    file.complete = False

    def forget_all(self) -> None:
        with self._lock:
            for upload in self._by_id.values():
                upload.forgotten = True
