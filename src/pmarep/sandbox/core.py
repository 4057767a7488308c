"""What the server has: root-directories, sessions, uploads. And what one call may ask of it."""

from __future__ import annotations

import hmac
from typing import Any

from .filesystem import FileSystemStorage
from .ledger import Digests, Ledger
from .names import NotFound, Parts, Refusal, SessionRefused, join, split_path
from .sessions import Sessions
from .settings import Settings
from .slides import Slides, json_date
from .storage import Storage
from .uploads import Uploads


class Core:
    """One PMA.core, without HTTP. Its methods block and are called from worker threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        own = settings.data / ".sandbox"
        incoming = own / "incoming"
        for left in incoming.glob("*.part"):  # of a sandbox that was killed
            left.unlink()
        self._ledger = Ledger(own / "ledger.jsonl")
        digests = Digests(self._ledger, settings.data)
        self.sessions = Sessions(settings.session_seconds)
        self.uploads = Uploads(self._ledger, forget=settings.forget_uploads)
        self._roots: dict[str, Storage] = {
            root.upper(): FileSystemStorage(root, settings.data / root, incoming, digests, discard=settings.discard)
            for root in settings.roots
        }

    def close(self) -> None:
        self._ledger.close()

    def locate(self, path: object) -> tuple[Storage, Parts]:
        """The root-directory of a virtual path, and the path in it. Root-directory names match ignoring case."""
        root, *below = split_path(path, "The path")
        storage = self._roots.get(root.upper())
        if storage is None:
            raise NotFound(f"There is no root-directory {root!r}")
        return storage, tuple(below)

    def slides(self, storage: Storage) -> Slides:
        return Slides(storage, self.uploads)

    def log_in(self, user: object, password: object) -> dict[str, Any]:
        """The answer to authenticate: a wrong password is no error, but `Success: false` with a Reason."""
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
        if not isinstance(session, str) or not self.sessions.is_open(session):
            raise SessionRefused
        self.sessions.close(session)
        return True

    def root_directories(self) -> list[str]:
        return list(self.settings.roots)

    def directories(self, path: object) -> list[str]:
        storage, folder = self.locate(path)
        return [join(storage.name, *sub) for sub in storage.folders(folder)]

    def files(self, path: object) -> list[str]:
        storage, folder = self.locate(path)
        return [join(storage.name, *main) for main in self.slides(storage).in_folder(folder)]

    def filenames(self, path: object) -> list[dict[str, Any]]:
        storage, slide = self.locate(path)
        return [
            {"Path": join(storage.name, *file.path), "Size": file.size, "LastModified": json_date(file)}
            for file in self.slides(storage).files_of(slide)
        ]

    def image_info(self, path: object) -> dict[str, Any]:
        storage, slide = self.locate(path)
        return self.slides(storage).image_info(slide)

    def fingerprint(self, path: object) -> str:
        storage, slide = self.locate(path)
        return self.slides(storage).fingerprint(slide)

    def create_directory(self, path: object) -> bool:
        storage, folder = self.locate(path)
        storage.make_folder(folder)
        return True

    def delete_slide(self, path: object) -> bool:
        storage, slide = self.locate(path)
        files = self.slides(storage).files_of(slide)
        storage.delete(files)
        for file in files:
            self.uploads.deleted(storage.name, file.path)
        return True

    def upload_status(self, text: str) -> dict[str, Any]:
        """A file counts as complete when it has arrived and still lies there."""
        upload = self.uploads.get(text)
        storage, _ = self.locate(upload.root)
        files = []
        for file in upload.files.values():
            stored = storage.find(upload.path(file)) if file.complete else None
            files.append({"Path": file.path, "Complete": stored is not None and stored.size == file.length})
        return {"Id": upload.id, "Files": files}

    def find_for_download(self, image: object, path: object) -> tuple[Storage, Any]:
        """A file of a slide; `path` is relative to the slide's folder and has to name one of its files."""
        storage, slide = self.locate(image)
        wanted = slide[:-1] + split_path(path, "The path")
        found = storage.find(wanted)
        if found is None or found not in self.slides(storage).files_of(slide):
            raise Refusal(f"The slide has no file {path!r}", status=404)
        return storage, found
