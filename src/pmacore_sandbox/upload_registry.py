"""The registry of announced uploads: what may be sent, what has arrived, and which upload a stored slide came with.

An upload stays known for the life of the data folder, also after a restart; with `forget` its Id is unknown afterwards
(a client has to announce again), but the files it brought still belong to it. With `reuse_ids` a restarted server also
counts its Ids from 1 again.

To S3 and Azure clients write without this server seeing it, so there the storage is asked: a file is complete when it
lies there with the announced length and was written since the announcement (`AnnouncedFile.previous_marker` tells).
Where the root-directory resumes uploads, announcing an unfinished one again continues it: `find_unfinished`.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from typing import Any

from .models import AnnouncedFile, PathKey, Upload, path_key
from .paths import Parts
from .refusals import NotFoundRefusal
from .state_log import StateLog


class UploadRegistry:
    """All uploads of one server. Callable from any thread.

    `exact_roots`: the root-directories whose names distinguish case, in upper case.
    """

    def __init__(
        self, log: StateLog, *, exact_roots: Container[str] = (), forget: bool = False, reuse_ids: bool = False
    ) -> None:
        self._log = log
        self._exact_roots = exact_roots
        self._lock = threading.Lock()
        self._by_id: dict[int, Upload] = {}
        self._by_file: dict[PathKey, Upload] = {}  # the upload that last brought each stored file
        for record in log.records():
            self._replay(record)
        if forget or reuse_ids:
            self.forget_all()
        self._last_id = 0 if reuse_ids else max(self._by_id, default=0)

    def _replay(self, record: dict[str, Any]) -> None:
        if "announced" in record:
            files = {
                path: AnnouncedFile(path, length, main, previous_marker=marker)
                for path, length, main, marker in record["files"]
            }
            upload = self._new(record["announced"], record["root"], tuple(record["folder"]), files)
            self._by_id.pop(upload.id, None)
            self._by_id[upload.id] = upload
        elif "multipart" in record and record["multipart"] in self._by_id:
            self._by_id[record["multipart"]].files[record["path"]].multipart_id = record["id"]
        elif "finished" in record and record["finished"] in self._by_id:
            self._by_id[record["finished"]].finished = True
        elif "complete" in record and record["complete"] in self._by_id:
            upload = self._by_id[record["complete"]]
            if record["path"] in upload.files:  # else it came late, to an id that had been given out again
                self._complete(upload, record["path"])
        elif "deleted" in record:
            self._drop(self._key(record["deleted"], tuple(record["path"])))

    def announce(self, root: str, folder: Parts, files: list[AnnouncedFile]) -> Upload:
        """Register a new upload under the next Id."""
        with self._lock:
            self._last_id += 1
            upload = self._new(self._last_id, root, folder, {file.path: file for file in files})
            self._by_id.pop(upload.id, None)  # the latest comes last
            self._by_id[upload.id] = upload
        announced = [(file.path, file.length, file.is_main, file.previous_marker) for file in files]
        self._log.append({"announced": upload.id, "root": root, "folder": folder, "files": announced})
        return upload

    def get(self, text: str) -> Upload:
        """Return the upload with an Id. Raises NotFoundRefusal."""
        upload = self._by_id.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 16 else None
        if upload is None or upload.forgotten:
            raise NotFoundRefusal(f"There is no upload with the Id {text}")
        return upload

    def find_unfinished(self, root: str, folder: Parts, files: list[AnnouncedFile]) -> Upload | None:
        """Return the latest upload with the same main file, if it is of the same files and has not been finished."""
        wanted = {file.path: file.length for file in files}
        main = next(self._key(root, folder + file.parts) for file in files if file.is_main)
        with self._lock:
            same_main = (upload for upload in reversed(self._by_id.values()) if upload.key(upload.main) == main)
            latest = next(same_main, None)
        if latest is None or latest.finished or latest.folder != folder:
            return None
        return latest if wanted == {file.path: file.length for file in latest.files.values()} else None

    def finish(self, upload: Upload) -> None:
        """Mark an upload as one that a client knows to be complete."""
        if not upload.finished:
            upload.finished = True
            self._log.append({"finished": upload.id})

    def record_multipart(self, upload: Upload, path: str, multipart_id: str) -> None:
        """Remember the id of the S3 multipart upload of a file."""
        upload.files[path].multipart_id = multipart_id
        self._log.append({"multipart": upload.id, "path": path, "id": multipart_id})

    def find_multipart(self, root: str, path: Parts, multipart_id: str) -> tuple[Upload, AnnouncedFile]:
        """Return the announced file of an S3 multipart upload, and its upload. Raises NotFoundRefusal."""
        key = self._key(root, path)
        with self._lock:
            for upload in self._by_id.values():
                for file in upload.files.values():
                    if file.multipart_id == multipart_id and upload.key(file) == key and not upload.forgotten:
                        return upload, file
        raise NotFoundRefusal("There is no such multipart upload of this file")

    def pending(self, root: str, folder: Parts) -> list[Upload]:
        """Return the incomplete uploads whose files can lie in or below a folder, in order of announcement."""
        key = self._key(root, folder)
        with self._lock:
            uploads = [upload for upload in self._by_id.values() if not upload.complete]
        starts = ((upload, self._key(upload.root, upload.folder)) for upload in uploads)
        return [upload for upload, (where, start) in starts if where == key[0] and start == key[1][: len(start)]]

    def record_arrival(self, upload: Upload, path: str) -> None:
        """Mark a file of an upload as complete."""
        with self._lock:
            self._complete(upload, path)
        self._log.append({"complete": upload.id, "path": path})

    def _complete(self, upload: Upload, path: str) -> None:
        # An announcement alone changes nothing: the official client makes one per upload that it never uses.
        upload.files[path].complete = True
        self._by_file[upload.key(upload.files[path])] = upload
        self._by_file[upload.key(upload.main)] = upload

    def uploaded_by(self, root: str, path: Parts) -> Upload | None:
        """Return the upload that last brought a stored file, or any file of the slide with this main file."""
        return self._by_file.get(self._key(root, path))

    def is_companion(self, root: str, path: Parts) -> bool:
        """Return whether a stored file was uploaded as a companion of some slide's main file."""
        key = self._key(root, path)
        upload = self._by_file.get(key)
        return upload is not None and key != upload.key(upload.main)

    def record_deletion(self, root: str, path: Parts) -> None:
        """Forget which upload brought a file that has been deleted."""
        with self._lock:
            self._drop(self._key(root, path))
        self._log.append({"deleted": root, "path": path})

    def forget_all(self) -> None:
        """Make the Ids of all uploads unknown."""
        with self._lock:
            for upload in self._by_id.values():
                upload.forgotten = True

    def _new(self, id: int, root: str, folder: Parts, files: dict[str, AnnouncedFile]) -> Upload:
        return Upload(id, root, folder, files, exact=root.upper() in self._exact_roots)

    def _key(self, root: str, path: Parts) -> PathKey:
        return path_key(root, path, exact=root.upper() in self._exact_roots)

    def _drop(self, key: PathKey) -> None:
        upload = self._by_file.pop(key, None)
        if upload is not None:
            for file in upload.files.values():
                if upload.key(file) == key:
                    file.complete = False
