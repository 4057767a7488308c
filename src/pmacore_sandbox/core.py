"""The state of one PMA.core (root-directories, sessions, uploads) and its calls, without HTTP."""

from __future__ import annotations

import hmac
import threading
from itertools import compress
from pathlib import Path
from typing import Any

from .annotations import Annotations
from .announcements import parse_files, parse_parts
from .buckets import AzureContainer, S3Bucket
from .digest_cache import DigestCache
from .forms import Forms
from .models import AnnouncedFile, Upload
from .paths import Parts, join, split_path, strip_ending
from .refusals import InvalidSession, NotFoundRefusal, Refusal
from .roots.base import RootDirectory
from .roots.filesystem import FileSystemRoot
from .roots.object_store import ObjectStoreRoot
from .sessions import SessionRegistry
from .settings import Settings
from .slide_lookup import SlideLookup, json_date
from .state_log import StateLog, make_private_folder
from .upload_registry import UploadRegistry


class Core:
    """One PMA.core: a method for each call. Methods block, are called from worker threads, and raise Refusal."""

    def __init__(self, settings: Settings, sessions: SessionRegistry | None = None) -> None:
        self.settings = settings
        own = settings.data / ".sandbox"
        make_private_folder(own)
        incoming = own / "incoming"
        for left in incoming.glob("*.part"):  # of a sandbox that was killed
            left.unlink()
        self._state_log = StateLog(own / "state.jsonl")
        self._digests = DigestCache(self._state_log, settings.data)
        self.sessions = SessionRegistry(settings.session_seconds) if sessions is None else sessions
        self._arrivals_lock = threading.Lock()  # or an older listing could be recorded after a newer one
        exact_roots = {root.upper() for root in settings.cloud}
        self.uploads = UploadRegistry(
            self._state_log, exact_roots=exact_roots, forget=settings.forget_uploads, reuse_ids=settings.reuse_ids
        )
        self._roots = {root.upper(): self._open_root(root, incoming) for root in settings.roots}
        self.annotations = Annotations(
            settings.database or own / "annotations.sqlite",
            settings.user,
            self._stored_path,
            self.fingerprint,
            may_write=settings.can_annotate,
            strict_geometry=settings.strict_geometry,
        )
        self.forms = Forms(settings.database or own / "forms.sqlite", settings.user, settings.forms, self._stored_path)

    def _open_root(self, root: str, incoming: Path) -> RootDirectory:
        settings = self.settings
        match settings.cloud.get(root):
            # Imported only here: boto3 and azure-storage-blob take some 0.3 seconds each.
            case S3Bucket() as backend:
                from .roots.s3 import S3ObjectStore

                return ObjectStoreRoot(root, S3ObjectStore(backend, settings.url_expiry), backend.prefix)
            case AzureContainer() as backend:
                from .roots.azure import AzureObjectStore

                return ObjectStoreRoot(root, AzureObjectStore(backend, settings.url_expiry), backend.prefix)
        strip_endings = settings.names != "refuse"
        return FileSystemRoot(
            root, settings.data / root, incoming, self._digests, discard=settings.discard, strip_endings=strip_endings
        )

    def close(self) -> None:
        """Close the state log and the annotations."""
        self._state_log.close()
        self.annotations.close()

    def locate(self, path: object) -> tuple[RootDirectory, Parts]:
        """Return the root-directory of a virtual path, and the path in it. Root-directory names match ignoring case."""
        root, *below = self._as_stored(split_path(path, "The path"))
        storage = self._roots.get(root.upper())
        if storage is None:
            raise NotFoundRefusal(f"There is no root-directory {root!r}")
        return storage, tuple(below)

    def _as_stored(self, parts: Parts) -> Parts:
        return parts if self.settings.names == "refuse" else tuple(map(strip_ending, parts))

    def _path_in_answer(self, asked: object, storage: RootDirectory, real: Parts) -> str:
        """Return how a path is spelled in the answer to a request about `asked`, a path above it or the same."""
        told = join(storage.name, *real)
        if self.settings.names != "fold":
            return told
        above = str(asked).strip("/").split("/")
        return join(*above, *told.split("/")[len(above) :])

    def announce(self, path: object, announced: object) -> tuple[Upload, RootDirectory, dict[str, Any]]:
        """Register an upload; return it, its root-directory, and where its files are to be sent."""
        storage, folder = self.locate(path)
        if not storage.has_folder(folder):
            raise NotFoundRefusal(f"The folder {join(storage.name, *folder)} does not exist")
        files = parse_files(announced, storage.check_name)
        storage.check_placeable(folder, files)
        earlier = self.uploads.find_unfinished(storage.name, folder, files) if storage.resumes_uploads else None
        for file in files:
            where = folder + file.parts
            file.previous_marker = (
                earlier.files[file.path].previous_marker if earlier else storage.version_marker(where)
            )
        upload = self.uploads.announce(storage.name, folder, files)
        destinations = storage.upload_urls(upload)
        for listed in destinations.get("MultipartFiles", ()):
            self.uploads.record_multipart(upload, listed["FilePath"], listed["UploadId"])
        return upload, storage, destinations

    def slides(self, storage: RootDirectory, folder: Parts) -> SlideLookup:
        """Return the slides of a root-directory, after recording what has arrived in `folder`."""
        self._record_arrivals(storage, folder)
        return SlideLookup(storage, self.uploads)

    def _record_arrivals(self, storage: RootDirectory, folder: Parts) -> None:
        """Mark the announced files as arrived that clients have written to the storage.

        What lies there can fit several announcements; the last one noted is held to have brought it. That is the
        newest, but one that is whole now goes before one that has only some files in common with it.
        """
        with self._arrivals_lock:
            missing = [(up, file) for up in self.uploads.pending(storage.name, folder) for file in up.missing]
            there = storage.have_arrived([(upload.path(file), file) for upload, file in missing])
            arrived: dict[int, tuple[Upload, list[AnnouncedFile]]] = {}
            for upload, file in compress(missing, there):
                arrived.setdefault(upload.id, (upload, []))[1].append(file)
            for upload, files in sorted(arrived.values(), key=lambda one: len(one[1]) == len(one[0].missing)):
                for file in files:
                    self.uploads.record_arrival(upload, file.path)

    def log_in(self, user: object, password: object) -> dict[str, Any]:
        """Answer authenticate: a wrong password is no error, but `Success: false` with a Reason."""
        right = (
            isinstance(user, str)
            and isinstance(password, str)
            and user == self.settings.user
            and hmac.compare_digest(password.encode("utf-8", "replace"), self.settings.password.encode())
        )
        return {
            "Success": right,
            "SessionId": self.sessions.open() if right else None,
            "Username": user if right else None,
            "Status": 0 if right else 1,
            "Reason": None if right else "Invalid username or password",
            "Email": f"{self.settings.user}@sandbox.invalid" if right else None,
            "FirstName": "Sand" if right else None,
            "LastName": "Box" if right else None,
        }

    def log_out(self, session: object) -> bool:
        """End a session. Raises InvalidSession."""
        if not isinstance(session, str) or not self.sessions.is_open(session):
            raise InvalidSession
        self.sessions.close(session)
        return True

    def root_directories(self) -> list[str]:
        """Answer GetRootDirectories."""
        return list(self.settings.roots)

    def directories(self, path: object) -> list[str]:
        """Answer GetDirectories: the folders in a folder."""
        storage, folder = self.locate(path)
        return [self._path_in_answer(path, storage, sub) for sub in storage.folders(folder)]

    def files(self, path: object) -> list[str]:
        """Answer GetFiles: the slides in a folder."""
        storage, folder = self.locate(path)
        return [self._path_in_answer(path, storage, main) for main in self.slides(storage, folder).main_files(folder)]

    def filenames(self, path: object) -> list[dict[str, Any]]:
        """Answer GetFilenames: the files of a slide."""
        storage, slide = self.locate(path)
        files = self.slides(storage, slide[:-1]).files_of(slide)
        upload = self.uploads.uploaded_by(storage.name, files[-1].path)
        announced = {file.parts: file.path for file in upload.files.values()} if upload else {}
        folder = str(path).rpartition("/")[0]

        def told(file: Parts) -> str:
            if self.settings.names != "fold":
                return join(storage.name, *file)
            below = file[len(slide) - 1 :]
            return str(path) if file is files[-1].path else join(folder, announced.get(below, join(*below)))

        return [{"Path": told(file.path), "Size": file.size, "LastModified": json_date(file)} for file in files]

    def image_info(self, path: object) -> dict[str, Any]:
        """Answer GetImageInfo."""
        storage, slide = self.locate(path)
        return self.slides(storage, slide[:-1]).image_info(slide)

    def fingerprint(self, path: object) -> str:
        """Answer GetFingerprint."""
        storage, slide = self.locate(path)
        return self.slides(storage, slide[:-1]).fingerprint(slide)

    def _stored_path(self, path: object) -> str:
        """Return the virtual path of a slide as it is stored. Raises NotFoundRefusal."""
        storage, slide = self.locate(path)
        return join(storage.name, *self.slides(storage, slide[:-1]).files_of(slide)[-1].path)

    def create_directory(self, path: object) -> bool:
        """Make a folder in an existing one."""
        storage, folder = self.locate(path)
        storage.make_folder(folder)
        return True

    def delete_slide(self, path: object) -> bool:
        """Delete all files of a slide."""
        storage, slide = self.locate(path)
        files = self.slides(storage, slide[:-1]).files_of(slide)
        storage.delete(files)
        for file in files:
            self.uploads.record_deletion(storage.name, file.path)
        self.annotations.forget(join(storage.name, *files[-1].path))
        self.forms.forget(join(storage.name, *files[-1].path))
        return True

    def upload_status(self, text: str) -> dict[str, Any]:
        """Answer which files of an upload are complete: those that have arrived and still lie there.

        This call also ends an upload: once it has answered that all are complete, the same files announced again are
        a new upload.
        """
        upload = self.uploads.get(text)
        storage, _ = self.locate(upload.root)
        self._record_arrivals(storage, upload.folder)
        there = storage.find_all(upload.path(file) for file in upload.files.values() if file.complete)
        files = []
        for file in upload.files.values():
            stored = there.get(upload.path(file)) if file.complete else None
            files.append({"Path": file.path, "Complete": stored is not None and stored.size == file.length})
        if all(file["Complete"] for file in files):
            self.uploads.finish(upload)
        return {"Id": upload.id, "Files": files}

    def complete_multipart(self, body: dict[str, Any]) -> dict[str, Any]:
        """Put a file of an S3 upload together from its parts; `FilePath` is its virtual path (as in `pma_python`)."""
        storage, path = self.locate(body.get("filepath"))
        upload_id = body.get("uploadid")
        if not isinstance(upload_id, str) or not upload_id:
            raise Refusal("UploadId is missing")
        parts = parse_parts(body.get("parts"))
        upload, file = self.uploads.find_multipart(storage.name, path, upload_id)
        storage.complete_multipart(path, upload_id, parts)
        self._record_arrivals(storage, upload.folder)
        return {"Path": file.path, "Complete": file.complete}

    def find_for_download(self, image: object, path: object) -> tuple[RootDirectory, Any]:
        """Return the root-directory and a file of a slide; `path` is relative to the slide's folder."""
        storage, slide = self.locate(image)
        wanted = storage.match_key(slide[:-1] + self._as_stored(split_path(path, "The path")))
        for file in self.slides(storage, slide[:-1]).files_of(slide):
            if storage.match_key(file.path) == wanted:
                return storage, file
        raise Refusal(f"The slide has no file {path!r}", status=404)
