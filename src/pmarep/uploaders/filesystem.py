"""FileSystem root-directories: one multipart/form-data POST per file; nothing finer exists in the protocol."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

from ..pmacore.http import Body
from ..slides.model import SlideFile
from .base import Shipment
from .delivery import Delivery


class FileSystemUploader:
    """A broken request starts its file again; complete files stay at the server."""

    def __init__(self, shipment: Shipment) -> None:
        self._shipment = shipment

    def check(self) -> None:
        """Nothing to look at: every file goes to PMA.core itself."""

    async def send(self, file: SlideFile) -> None:
        s, means = self._shipment, self._shipment.means

        async def post(delivery: Delivery) -> None:
            s.sent.begun = True
            boundary = secrets.token_hex(16)
            head, tail = form_frame(PurePosixPath(file.path).name, boundary)

            async def content() -> AsyncIterator[bytes]:
                yield head
                async for piece in delivery.carry(means.source.read(s.slide, file)):
                    yield piece
                yield tail

            length = len(head) + file.size + len(tail)
            body = Body(content, length, f"multipart/form-data; boundary={boundary}")
            await means.core.post_file(s.announcement.id, file.path, body)

        # The main file goes last: what is before one that is longer had better not wait.
        may_wait = s.slide.main.size <= file.size
        await means.link.deliver(post, file.size, may_wait=may_wait, whole=True)
        s.sent.bytes += file.size


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
