"""Upload to FileSystem root-directories: one multipart/form-data POST per file, since the protocol has no parts."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import PurePosixPath

from ..pmacore import PmaCoreError, ServerError, TransferBroken, UploadDoubtful
from ..pmacore.http import SLOWEST_STORAGE, Body
from ..slides.model import SlideFile
from .base import SlideUpload
from .transport.body import UploadBody
from .upload_ids import UploadIdLease

MIB = 1024**2
LONGEST_LOOK = 30.0
"""Seconds, besides what storing takes at SLOWEST_STORAGE, that a large file is looked for before it is sent again."""


class FileSystemUploader:
    """Sends files whole: a request that breaks off starts its file again, and complete files stay at the server."""

    def __init__(self, upload: SlideUpload) -> None:
        self._upload = upload
        self._held = upload.held or UploadIdLease(str(upload.announcement.id), upload.slide)

    def check(self) -> None:
        """Accept every announcement: all files go to PMA.core itself."""

    async def send(self, file: SlideFile) -> None:
        """Post a file; where the answer is lost, look whether it has arrived before it is sent again."""
        s, context, held = self._upload, self._upload.context, self._held
        await s.check_before_visible(file)
        # Of a file that is being replaced, a server may say that it is complete before it is ours. A small one is not
        # asked about but sent again.
        older = s.over and (file.size <= MIB or await self._is_there(file))

        attempts = context.scheduler.attempts(file.size, resumable=False)
        while True:
            async with context.scheduler.attempt(attempts, file.size) as body:
                s.sent.begun = True
                try:
                    async with held.posting(body, context.scheduler.clock):
                        await context.core.post_file(s.announcement.id, file.path, self._form(file, body), held.session)
                except (TransferBroken, ServerError) as error:
                    if isinstance(error, ServerError) and not error.by_proxy:
                        raise
                    if older or not body.may_arrive or not await self._arrives(file):
                        raise
                break
            await attempts.pause()
        s.sent.bytes += file.size
        await s.file_sent(file)

    def _form(self, file: SlideFile, body: UploadBody) -> Body:
        """Return the form with a file, whose bytes `body` counts as they leave."""
        boundary = secrets.token_hex(16)
        head, tail = form_frame(PurePosixPath(file.path).name, boundary)

        async def content() -> AsyncGenerator[bytes, None]:
            yield head
            async with aclosing(body.stream(self._upload.context.source.read(self._upload.slide, file))) as pieces:
                async for piece in pieces:
                    yield piece
            yield tail

        return Body(content, len(head) + file.size + len(tail), f"multipart/form-data; boundary={boundary}")

    async def _arrives(self, file: SlideFile) -> bool:
        """Return whether a file has arrived, or arrives in a while, although its request was not answered.

        A proxy may give up long before the server has stored the file. Looking takes no longer than sending it again
        over a fast line would.
        """
        clock, pause = self._upload.context.scheduler.clock, 0.1
        end = clock.monotonic() + min(file.size / MIB, LONGEST_LOOK + file.size / SLOWEST_STORAGE)
        while True:
            try:
                if await self._is_there(file):
                    return True
            except UploadDoubtful:
                raise
            except PmaCoreError:
                return False
            if clock.monotonic() + pause > end:
                return False
            await clock.sleep(pause)
            pause = min(2 * pause, 5.0)

    async def _is_there(self, file: SlideFile) -> bool:
        """Return whether the server says that it has the whole file. Raises PmaCoreError."""
        s, core = self._upload, self._upload.context.core
        status = await core.upload_status(s.announcement.id)
        if not self._held.is_confirmed(core.logins):
            raise UploadDoubtful("the session in which the upload was announced has ended")
        return status.complete.get(file.path, False)


def form_frame(filename: str, boundary: str) -> tuple[bytes, bytes]:
    """Return the bytes before and after the file's own in a form with one part named `file`.

    The name goes as UTF-8 with quotes and line breaks percent-encoded, as browsers write it (HTML, "multipart/form-data
    encoding algorithm"); the server takes the path from the query anyway.
    """
    name = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()
