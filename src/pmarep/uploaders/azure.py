"""Upload to Azure root-directories: blocks with ids that the next run finds again, then the list that commits them.

Facts (Azure's "Put Block" and "Put Block List"): all block ids of a blob have the same length; at most
50,000 blocks; uncommitted blocks stay 7 days under the blob's name, also for a new SAS; committing another list
discards them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from urllib.parse import quote

from ..aio import together
from ..pmacore import BlocksLost
from ..slides.model import SlideFile
from ..state.unfinished import SMALLEST_BLOCK, block_size
from .base import SlideUpload
from .transport.body import UploadBody
from .transport.hedging import HedgeMode

MAX_BLOCKS = 50_000
COMMITS = 3
"""Times that the blocks of a file are sent in one attempt: another writer to the same blob discards ours."""


def block_id(file: SlideFile, number: int) -> str:
    """Return the id of a block, which is the same for the same version of a file and another for another version.

    It has 12 characters before base64, as the official client's: ids of other lengths among a blob's uncommitted
    blocks would make Azure refuse ours.
    """
    version = hashlib.sha256(f"{file.path}\0{file.size}\0{file.mtime_ns}".encode()).hexdigest()[:6]
    return base64.b64encode(f"{version}{number:06d}".encode()).decode()


class AzureUploader:
    """Sends files as blocks; one that Azure has acknowledged is not sent again, not even after a new announcement."""

    def __init__(self, upload: SlideUpload) -> None:
        self._upload = upload

    def check(self) -> None:
        """Check that every file has a URL. Raises ProtocolError."""
        for file in self._upload.slide.files:
            self._upload.url_of(file)

    async def send(self, file: SlideFile) -> None:
        """Send a file whole if it is small, else in blocks, and all of them again if Azure has lost some."""
        s = self._upload
        if file.size <= SMALLEST_BLOCK:
            await s.check_before_visible(file)
            # A hedged copy that lost and came later would replace whatever is there by then.
            put = partial(self._put, file, 0, file.size, s.url_of(file), {"x-ms-blob-type": "BlockBlob"})
            await s.context.scheduler.run(put, file.size, hedge=lambda: HedgeMode.LAST_WINS)
            s.sent.bytes += file.size
            await s.file_sent(file)
            return
        for left in range(COMMITS - 1, -1, -1):
            known_before = self._bytes_known(file)
            try:
                await self._send_blocks(file)
                await s.file_sent(file)
                return
            except BlocksLost:
                # Azure has lost what the journal says, or another client has written to the blob: send all again.
                if not left:
                    raise
                s.sent.resumed -= known_before
                s.sent.bytes -= file.size - known_before
                s.context.scheduler.uncount(file.size - known_before)
                await s.forget_parts(file)
                await s.check_before_visible(file)

    def _bytes_known(self, file: SlideFile) -> int:
        known = self._upload.parts_of(file)
        return sum(length for number, _, length in _blocks(file) if number in known)

    async def _send_blocks(self, file: SlideFile) -> None:
        s, known = self._upload, set(self._upload.parts_of(file))
        blocks = list(_blocks(file))

        async def send(number: int, start: int, length: int) -> None:
            url = _with(s.url_of(file), f"comp=block&blockid={quote(block_id(file, number), safe='')}")
            # A block that arrives after the list does not belong to the blob.
            put = partial(self._put, file, start, length, url, {})
            await s.context.scheduler.run(put, length, hedge=lambda: HedgeMode.ANY_ORDER)
            await s.part_sent(file, number, "", length)

        s.sent.resumed += self._bytes_known(file)
        await together(send(*block) for block in blocks if block[0] not in known)
        await s.check_before_visible(file)
        await self._commit(file, [block_id(file, number) for number, _, _ in blocks])

    async def _commit(self, file: SlideFile, ids: list[str]) -> None:
        latest = "".join(f"<Latest>{one}</Latest>" for one in ids)
        xml = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'.encode()
        headers = {"Content-Type": "application/xml", "x-ms-blob-content-type": "application/octet-stream"}
        url = _with(self._upload.url_of(file), "comp=blocklist")

        async def put(_body: UploadBody) -> None:
            await self._upload.context.storage.put(url, xml, len(xml), headers)

        await self._upload.context.scheduler.run(put)

    async def _put(
        self, file: SlideFile, start: int, length: int, url: str, headers: Mapping[str, str], body: UploadBody
    ) -> None:
        """Send one range, a block or a whole file, once."""
        s, context = self._upload, self._upload.context

        def content() -> AsyncGenerator[bytes, None]:
            return body.stream(context.source.read(s.slide, file, start, length))

        async with (
            s.sending_range(file, start, length),
            context.digests.pinned_md5(s.slide, file, start, length) as found,
        ):
            digest = found or await context.digests.md5(s.slide, file, start, length)
            headers = {**headers, "Content-MD5": base64.b64encode(digest).decode()}
            await context.storage.put(url, content, length, headers, new_connection=body.new_connection)


def _blocks(file: SlideFile) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and length of each block."""
    size = block_size(file.size)
    for number, start in enumerate(range(0, file.size, size)):
        yield number, start, min(size, file.size - start)


def _with(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"
