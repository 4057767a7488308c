"""Announced uploads: what may be sent, what has been sent, and which upload brought a slide.

An upload stays known for the life of the data folder, also after a restart; with `forget` its Id is unknown afterwards
(a client has to announce again), but what it brought is judged by it all the same. With `reuse_ids` a restarted server
also counts its Ids from 1 again.

To S3 and Azure clients write without this server seeing it, so there the storage is asked: a file is complete when it
lies there with the announced length and was written since the announcement (`AnnouncedFile.before` knows what was there
by then). Announcing an unfinished upload again goes on with it where the storage does: `Uploads.unfinished`.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from .paths import NotFoundRefusal, Parts, Refusal, fold_parts, split_path, strip_ending
from .roots.base import RootDirectory
from .state_log import StateLog

Key = tuple[str, Parts]  # root-directory and path in it, folded where case does not matter


@dataclass
class AnnouncedFile:
    """One file of an announcement; `path` is relative to the announced folder.

    `before`: the storage's mark of what lay there when it was announced, or None. `multipart`: S3's id of its parts.
    """

    path: str
    length: int
    is_main: bool
    complete: bool = False
    before: str | None = None
    multipart: str | None = None

    @property
    def parts(self) -> Parts:
        """Where it comes to lie. Dots and blanks at the end are in no path here but where they are dropped."""
        return tuple(map(strip_ending, self.path.split("/")))


@dataclass
class Upload:
    id: int
    root: str
    folder: Parts
    files: dict[str, AnnouncedFile] = field(repr=False)
    exact: bool = False  # names match exactly, not ignoring case
    forgotten: bool = False
    finished: bool = False  # a client has asked, and was told that all files are complete

    @property
    def main(self) -> AnnouncedFile:
        return next(file for file in self.files.values() if file.is_main)

    @property
    def missing(self) -> list[AnnouncedFile]:
        return [file for file in self.files.values() if not file.complete]

    @property
    def complete(self) -> bool:
        return not self.missing

    def key(self, file: AnnouncedFile) -> Key:
        return _key(self.root, self.path(file), exact=self.exact)

    def path(self, file: AnnouncedFile) -> Parts:
        return self.folder + file.parts


def _key(root: str, path: Parts, *, exact: bool) -> Key:
    return root.upper(), path if exact else fold_parts(path)


def check_files(announced: object, storage: RootDirectory) -> list[AnnouncedFile]:
    """The `Files` of an announcement; keys in either case, since clients differ in that. Raises Refusal."""
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


def _check_file(item: object, storage: RootDirectory) -> AnnouncedFile:
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


def check_parts(given: object) -> list[tuple[int, str]]:
    """The `Parts` of CompleteMultipart: number and ETag, ascending. Raises Refusal."""
    if not isinstance(given, list) or not given:
        raise Refusal("Parts is missing or empty")
    parts: list[tuple[int, str]] = []
    for item in given:
        values = {str(key).lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
        number, tag = values.get("partnumber"), values.get("etag")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(tag, str) or not tag:
            raise Refusal("Each of Parts is an object with PartNumber and ETag")
        if '"' in tag:
            raise Refusal("An ETag comes without its quotes")
        if parts and number <= parts[-1][0]:
            raise Refusal("Parts has to be in ascending order of PartNumber")
        parts.append((number, tag))
    return parts


class UploadRegistry:
    """All uploads of one server."""

    def __init__(
        self, ledger: StateLog, *, exact_roots: Container[str] = (), forget: bool = False, reuse_ids: bool = False
    ) -> None:
        self._ledger = ledger
        self._exact_roots = exact_roots  # their names in upper case
        self._lock = threading.Lock()
        self._by_id: dict[int, Upload] = {}
        self._brought_by: dict[Key, Upload] = {}
        for fact in ledger.facts():
            self._replay(fact)
        if forget or reuse_ids:
            self.forget_all()
        self._last_id = 0 if reuse_ids else max(self._by_id, default=0)

    def _replay(self, fact: dict[str, Any]) -> None:
        if "announced" in fact:
            files = {
                path: AnnouncedFile(path, length, main, before=before) for path, length, main, before in fact["files"]
            }
            upload = self._new(fact["announced"], fact["root"], tuple(fact["folder"]), files)
            self._by_id.pop(upload.id, None)
            self._by_id[upload.id] = upload
        elif "multipart" in fact and fact["multipart"] in self._by_id:
            self._by_id[fact["multipart"]].files[fact["path"]].multipart = fact["id"]
        elif "finished" in fact and fact["finished"] in self._by_id:
            self._by_id[fact["finished"]].finished = True
        elif "complete" in fact and fact["complete"] in self._by_id:
            upload = self._by_id[fact["complete"]]
            if fact["path"] in upload.files:  # else it came late, to an id that had been given out again
                self._complete(upload, fact["path"])
        elif "deleted" in fact:
            self._drop(self._key(fact["deleted"], tuple(fact["path"])))

    def announce(self, root: str, folder: Parts, files: list[AnnouncedFile]) -> Upload:
        with self._lock:
            self._last_id += 1
            upload = self._new(self._last_id, root, folder, {file.path: file for file in files})
            self._by_id.pop(upload.id, None)  # the latest comes last
            self._by_id[upload.id] = upload
        announced = [(file.path, file.length, file.is_main, file.before) for file in files]
        self._ledger.write({"announced": upload.id, "root": root, "folder": folder, "files": announced})
        return upload

    def unfinished(self, root: str, folder: Parts, files: list[AnnouncedFile]) -> Upload | None:
        """The latest upload with the same main file, if it is of the same files and has not been finished."""
        wanted = {file.path: file.length for file in files}
        main = next(self._key(root, folder + file.parts) for file in files if file.is_main)
        with self._lock:
            same_main = (upload for upload in reversed(self._by_id.values()) if upload.key(upload.main) == main)
            latest = next(same_main, None)
        if latest is None or latest.finished or latest.folder != folder:
            return None
        return latest if wanted == {file.path: file.length for file in latest.files.values()} else None

    def finish(self, upload: Upload) -> None:
        if not upload.finished:
            upload.finished = True
            self._ledger.write({"finished": upload.id})

    def put_in_parts(self, upload: Upload, path: str, multipart: str) -> None:
        """Remember under which id S3 waits for the parts of a file."""
        upload.files[path].multipart = multipart
        self._ledger.write({"multipart": upload.id, "path": path, "id": multipart})

    def of_multipart(self, root: str, path: Parts, multipart: str) -> tuple[Upload, AnnouncedFile]:
        """The announced file to which a multipart upload belongs."""
        key = self._key(root, path)
        with self._lock:
            for upload in self._by_id.values():
                for file in upload.files.values():
                    if file.multipart == multipart and upload.key(file) == key and not upload.forgotten:
                        return upload, file
        raise NotFoundRefusal("There is no such multipart upload of this file")

    def pending(self, root: str, folder: Parts) -> list[Upload]:
        """The incomplete uploads that could have brought something in a folder, in order of announcement."""
        key = self._key(root, folder)
        with self._lock:
            uploads = [upload for upload in self._by_id.values() if not upload.complete]
        starts = ((upload, self._key(upload.root, upload.folder)) for upload in uploads)
        return [upload for upload, (where, start) in starts if where == key[0] and start == key[1][: len(start)]]

    def get(self, text: str) -> Upload:
        upload = self._by_id.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 16 else None
        if upload is None or upload.forgotten:
            raise NotFoundRefusal(f"There is no upload with the Id {text}")
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
        return self._brought_by.get(self._key(root, path))

    def is_part_of_another(self, root: str, path: Parts) -> bool:
        """Whether a stored file came as a companion of some slide's main file."""
        key = self._key(root, path)
        upload = self._brought_by.get(key)
        return upload is not None and key != upload.key(upload.main)

    def deleted(self, root: str, path: Parts) -> None:
        with self._lock:
            self._drop(self._key(root, path))
        self._ledger.write({"deleted": root, "path": path})

    def _new(self, id: int, root: str, folder: Parts, files: dict[str, AnnouncedFile]) -> Upload:
        return Upload(id, root, folder, files, exact=root.upper() in self._exact_roots)

    def _key(self, root: str, path: Parts) -> Key:
        return _key(root, path, exact=root.upper() in self._exact_roots)

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
