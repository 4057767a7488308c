"""FileSystem root-directories: one multipart/form-data POST per file; nothing finer exists in the protocol."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import PurePosixPath

from ..pmacore import PmaCoreError, ServerError, TransferBroken, UploadDoubtful
from ..pmacore.http import SLOWEST_STORAGE, Body
from ..slides.model import SlideFile
from .base import SlideUpload
from .transport.body import UploadBody
from .upload_ids import HeldId

MIB = 1024**2
LONGEST_LOOK = 30.0
"""Seconds, and what storing takes at SLOWEST_STORAGE: so long a large file is looked for before it is sent again."""


class FileSystemUploader:
    """A broken request starts its file again; complete files stay at the server."""

    def __init__(self, upload: SlideUpload) -> None:
        self._upload = upload
        self._held = upload.held or HeldId(str(upload.announcement.id), upload.slide)

    def check(self) -> None:
        """Nothing to look at: every file goes to PMA.core itself."""

    async def send(self, file: SlideFile) -> None:
        s, context, held = self._upload, self._upload.context, self._held
        await s.before_visible(file)
        # Of a file that is being replaced, a server may say that it is complete before it is ours.
        older = s.over and file.size > MIB and await self._is_there(file)

        async def post(body: UploadBody) -> None:
            s.sent.begun = True
            boundary = secrets.token_hex(16)
            head, tail = form_frame(PurePosixPath(file.path).name, boundary)

            async def content() -> AsyncIterator[bytes]:
                yield head
                async for piece in body.carry(context.source.read(s.slide, file)):
                    yield piece
                yield tail

            length = len(head) + file.size + len(tail)
            form = Body(content, length, f"multipart/form-data; boundary={boundary}")
            request = partial(context.core.post_file, s.announcement.id, file.path, form, held.session)
            try:
                await held.post(request, body, context.scheduler.clock)
            except (TransferBroken, ServerError) as error:
                if isinstance(error, ServerError) and not error.by_proxy:
                    raise
                if older or not body.may_arrive or not await self._arrives(file):
                    raise

        # The main file goes last: what is before one that is longer had better not wait.
        deferrable = s.slide.main.size <= file.size
        await context.scheduler.run(post, file.size, deferrable=deferrable, resumable=False)
        s.sent.bytes += file.size

    async def _arrives(self, file: SlideFile) -> bool:
        """Whether a file has arrived although its request was not answered, or does so in a while.

        A proxy may give up long before the server has stored the file. What is looked for takes no longer than to send
        it again over a quick line.
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
        """Whether the server says that it has the whole file. Raises PmaCoreError."""
        s, core = self._upload, self._upload.context.core
        status = await core.upload_status(s.announcement.id)
        if not self._held.vouched(core.logins):
            raise UploadDoubtful("the session in which the upload was announced has ended")
        return status.complete.get(file.path, False)


def form_frame(filename: str, boundary: str) -> tuple[bytes, bytes]:
    """What stands before and after the file's bytes in a form with one part named `file`.

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
