"""A PMA.core as its clients see it: one method per call of its HTTP interface.

Source of every fact: the interface that PMA.core's published clients use (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ..retry import ONCE
from .download import Download, download
from .errors import ProtocolError, Refused, ServerError
from .forms import FormCalls
from .http import Body, Request
from .models import Annotation, Announcement, FileToSend, RemoteFile, UploadStatus
from .ranges import NO_VALIDATORS, ByteRange, Validators
from .session_attempts import SESSIONS, SessionAttempts

MAX_THUMBNAIL = 256 * 1024
"""Bytes of a thumbnail that are read at most."""

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class PmaCore(FormCalls):
    """A client for one server: looks around, makes folders, downloads, uploads. Every method raises PmaCoreError."""

    # Looking around

    async def _get(self, method: str, **query: str) -> Any:
        return await self._call(lambda s: Request("GET", f"api/json/{method}", {"sessionID": s, **query}))

    async def _strings(self, method: str, **query: str) -> list[str]:
        answer = await self._get(method, **query)
        if not isinstance(answer, list) or not all(isinstance(item, str) for item in answer):
            raise ProtocolError(f"{self.url} answers {method} with something that is no list of names")
        return answer

    async def root_directories(self) -> list[str]:
        """Return the names of the root-directories that this user sees."""
        return await self._strings("GetRootDirectories")

    async def directories(self, path: str) -> list[str]:
        """Return the full virtual paths of the folders in a folder."""
        return [item.strip("/") for item in await self._strings("GetDirectories", path=path)]

    async def slides(self, path: str) -> list[str]:
        """Return the full virtual paths of the main files in a folder."""
        return [item.strip("/") for item in await self._strings("GetFiles", path=path)]

    async def slide_files(self, path: str) -> list[RemoteFile]:
        """Return all files of a slide, the main file not always first."""
        answer = await self._get("GetFilenames", pathOrUid=path)
        if not isinstance(answer, list):
            raise ProtocolError(f"{self.url} answers GetFilenames with something that is no list")
        return [RemoteFile.read(item, "GetFilenames") for item in answer]

    async def image_info(self, path: str) -> dict[str, Any]:
        """Return the server's image info of a slide. Raises Refused while it has not understood it (yet)."""
        answer = await self._get("GetImageInfo", pathOrUid=path)
        if not isinstance(answer, dict):
            raise Refused("the server cannot read it as a slide")
        return answer

    async def fingerprint(self, path: str) -> str:
        """Return a slide's fingerprint, to be compared between servers only: how it is computed is the server's own."""
        answer = await self._get("GetFingerprint", pathOrUid=path)
        if not isinstance(answer, str):
            raise ProtocolError(f"{self.url} answers GetFingerprint with something that is no text")
        return answer

    async def create_directory(self, path: str) -> None:
        """Make one folder below an existing one; where it exists already, that may be refused."""
        await self._post("CreateDirectory", path)

    async def delete_slide(self, path: str) -> None:
        """Remove a slide with all its files, by the virtual path of its main file. There is no way back."""
        await self._post("DeleteSlide", path)

    async def _post(self, method: str, path: str) -> None:
        answer = await self._call(
            lambda s: Request("POST", f"api/json/{method}", json={"sessionID": s, "path": path}),
        )
        if answer is False:
            raise Refused(f"{method} was refused: no reason given")

    # Annotations

    async def annotations(self, path: str) -> list[Annotation]:
        """Return the annotations of a slide, of all users; not those that its file format has of its own."""
        answer = await self._get("GetAnnotations", pathOrUid=path, currentUserOnly="false")
        if answer in (None, ""):  # an empty body means none
            return []
        if not isinstance(answer, list):
            raise ProtocolError(f"{self.url} answers GetAnnotations with something that is no list")
        return [Annotation.read(item, "GetAnnotations") for item in answer]

    async def save_annotations(self, path: str, added: Sequence[Annotation]) -> list[int]:
        """Add annotations to a slide as this user's; return their ids, in this order.

        Asks once, over a new connection: there is no idempotency key, so what is asked twice is there twice. After any
        error only `annotations` tells what has been saved.
        """
        json = {
            "sessionID": await self._current_session(),
            "pathOrUid": path,
            "added": [{"AnnotationID": 0, **one.fields()} for one in added],
            "updated": [],
            "deleted": [],
        }
        answer = await self._ask(Request("POST", "api/json/SaveAnnotations", json=json, new_connection=True), once=True)
        if not isinstance(answer, list) or not all(type(one) is int for one in answer) or len(answer) != len(added):
            raise ProtocolError(f"{self.url} answers SaveAnnotations with something that is no list of their ids")
        return answer

    # Download

    @asynccontextmanager
    async def download(
        self,
        slide: str,
        file: str,
        size: int | None = None,
        *,
        start: int = 0,
        end: int | None = None,
        seen: Validators = NO_VALIDATORS,
    ) -> AsyncIterator[Download]:
        """Open a download of one file of a slide, or of its bytes from `start` to before `end`.

        `slide` is the virtual path of the slide, `file` the path of the file from the slide's folder, `size` how many
        bytes it has to have, if that is known, `seen` what an earlier answer said of its version. A server may send the
        whole file where a part was asked for: `Download.start` tells. Raises RangeRefused, FileChanged.
        """
        query = {"image": slide, "path": file}
        async with self._opened("transfer/Download", query, ByteRange(start, end, size, seen)) as chunks:
            yield chunks

    async def thumbnail(self, slide: str, width: int, height: int) -> bytes:
        """Return a small image of a slide, a PNG or JPEG of at most so many pixels and MAX_THUMBNAIL bytes."""
        content = b""
        query = {"pathOrUid": slide, "w": str(width), "h": str(height)}
        async with self._opened("thumbnail", query, ByteRange()) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > MAX_THUMBNAIL:
                    raise ProtocolError(f"{self.url} gives a thumbnail of more than {MAX_THUMBNAIL} bytes")
        if not content.startswith(_IMAGES):
            raise ProtocolError(f"{self.url} gives a thumbnail that is neither PNG nor JPEG")
        return content

    @asynccontextmanager
    async def _opened(self, call: str, query: Mapping[str, str], wanted: ByteRange) -> AsyncIterator[Download]:
        """Ask for bytes, and yield them in chunks."""
        begun = known = False
        for left in range(SESSIONS - 1, -1, -1):
            session = await self._current_session()
            request = Request("GET", call, {"sessionID": session, **query}, any_answer=True)
            try:
                async with download(
                    self._http, self._storage_http, self._connection, request, self._secrets, wanted
                ) as chunks:
                    begun = True
                    yield chunks
                return
            except (Refused, ServerError) as error:
                if begun:
                    raise
                known = await self._renew_session(session, error, left, known)
        raise self._session_lost()

    # Upload

    async def announce(self, folder: str, files: Sequence[FileToSend]) -> Announcement:
        """Announce the files that are to come below a folder; exactly one of them is the main file."""
        json = {
            "Path": folder,
            "Files": [{"Path": file.path, "Length": file.length, "IsMain": file.is_main} for file in files],
        }
        answer = await self._call(lambda s: Request("POST", "transfer/Upload", {"sessionID": s}, json=json))
        return Announcement.read(answer, "transfer/Upload")

    async def post_file(self, upload: int | str, path: str, body: Body, session: int | None = None) -> None:
        """Send one file of an upload to a FileSystem root-directory. `path` as announced.

        `session`: that in which the id of the upload is known to be right, as `logins` counts them (None: any). Raises
        UploadDoubtful where that has ended.
        """
        attempts = SessionAttempts(ONCE, self._longest)  # those who count the bytes try again later
        while True:
            async with self._session_for(attempts, bytes_follow=True, only=session) as id_:
                query = {"sessionID": id_, "path": path}
                request = Request("POST", f"transfer/Upload/{upload}", query, body=body, any_answer=True)
                with self._intercepted():
                    await self._send(request)
                return

    async def complete_multipart(self, path: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Put the parts of one file together: its full virtual path, S3's id, (number, ETag) in ascending order."""
        json = {
            "FilePath": path,
            "UploadId": upload_id,
            "Parts": [{"PartNumber": number, "ETag": tag} for number, tag in parts],
        }
        url = "transfer/Upload/CompleteMultipart"
        await self._call(lambda s: Request("POST", url, {"sessionID": s}, json=json, any_answer=True, slow=True))

    async def upload_status(self, upload: int | str) -> UploadStatus:
        """Ask for the state of an upload, which is also the call that ends one. NotFound or Refused if unknown."""
        url = f"transfer/Upload/{upload}"
        answer = await self._call(lambda s: Request("GET", url, {"sessionID": s}, any_answer=True))
        return UploadStatus.read(answer if isinstance(answer, dict) else {}, "transfer/Upload")
