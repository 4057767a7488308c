"""Upload to S3 root-directories: presigned parts, several in flight, streamed from disk.

Facts: S3's UploadPart needs an exact `Content-Length`; the ETag of a part is its MD5 unless the bucket encrypts with
KMS keys; a part's URL may be used again, the later upload wins.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from ..aio import together
from ..pmacore import AnnounceAgain, Damaged, MultipartFile, Part, ProtocolError, Refused, ServerError, TransferBroken
from ..slides.model import SlideFile
from .base import SlideUpload
from .transport.body import UploadBody
from .transport.hedging import HedgeMode

MAX_SINGLE_PUT = 5 * 1024**3
"""Bytes that S3 takes in one PUT."""


class S3Uploader:
    """Sends files in parts where the server offers that; one that S3 has acknowledged is not sent again while its URLs
    are valid.
    """

    def __init__(self, upload: SlideUpload) -> None:
        self._upload = upload
        self._multipart = {_relative(upload, listed): listed for listed in upload.announcement.multipart}

    def check(self) -> None:
        """Check that each file has parts that make it up, or a URL and a size that S3 takes. Raises PmaCoreError."""
        for file in self._upload.slide.files:
            listed = self._multipart.get(file.path)
            if listed is not None and listed.parts:
                _check_parts(file, listed.parts)
            elif file.size > MAX_SINGLE_PUT:
                raise Refused(
                    f"{file.path} has {file.size / 1024**3:.1f} GiB, and this server offers no multipart upload",
                    "S3 takes at most 5 GiB in one piece; its PMA.core needs an update",
                )
            else:
                self._upload.url_of(file)

    async def send(self, file: SlideFile) -> None:
        """Send a file in the parts that the server has listed, or else whole."""
        s, listed = self._upload, self._multipart.get(file.path)
        if listed is not None and listed.parts:
            await self._send_parts(file, listed)
        else:
            await s.check_before_visible(file)
            url = s.url_of(file)
            put = partial(self._put, file, 0, file.size, url, True)
            await s.context.scheduler.run(put, file.size, hedge=lambda: self._hedge_mode(url, whole=True))
            s.sent.bytes += file.size
        await s.file_sent(file)

    async def _send_parts(self, file: SlideFile, listed: MultipartFile) -> None:
        s, tags = self._upload, dict(self._upload.parts_of(file))

        async def send(part: Part) -> None:
            size = part.end - part.start + 1
            put = partial(self._put, file, part.start, size, part.url, False)
            tag = await s.context.scheduler.run(put, size, hedge=lambda: self._hedge_mode(part.url, whole=False))
            tags[part.number] = tag
            await s.part_sent(file, part.number, tag, size)

        for part in listed.parts:
            if part.number in tags:
                s.sent.resumed += part.end - part.start + 1
        await together(send(part) for part in listed.parts if part.number not in tags)
        await self._complete(file, listed, tags)

    async def _complete(self, file: SlideFile, listed: MultipartFile, tags: Mapping[int, str]) -> None:
        s = self._upload
        core = s.context.core

        async def is_there() -> bool:
            status = await core.upload_status(s.announcement.id)
            is_confirmed = s.held is None or s.held.is_confirmed(core.logins)
            return is_confirmed and status.complete.get(file.path, False)

        await s.check_before_visible(file)
        older = s.over and await is_there()  # the server may mean the file that is being replaced
        try:
            await core.complete_multipart(f"{s.folder}/{file.path}", listed.upload_id, sorted(tags.items()))
        except (Refused, ServerError, TransferBroken) as error:
            # An answer that got lost on the way may hide that an earlier attempt succeeded.
            if not older and await is_there():
                return
            if isinstance(error, Refused):
                raise AnnounceAgain(f"the parts of {file.path} cannot be put together: {error}") from None
            raise

    async def _put(self, file: SlideFile, start: int, length: int, url: str, whole: bool, body: UploadBody) -> str:
        """Send one range, a part or the `whole` file, once; return its ETag."""
        s, context = self._upload, self._upload.context

        def chunks() -> AsyncGenerator[bytes, None]:
            return context.source.read(s.slide, file, start, length)

        async with (
            s.sending_range(file, start, length),
            context.digests.pinned_md5(s.slide, file, start, length) as digest,
        ):
            if digest is None and not self._may_check_afterwards(url, whole):
                digest = await context.digests.md5(s.slide, file, start, length)
            if digest is not None:
                md5 = _content_md5(url, digest)
                answer = await context.storage.put(
                    url, lambda: body.stream(chunks()), length, md5, new_connection=body.new_connection
                )
                return self._tag(file, url, answer, digest)
            stream = context.digests.stream(s.slide, file, start, length)
            answer = await context.storage.put(
                url, lambda: body.stream(stream.through(chunks())), length, {}, new_connection=body.new_connection
            )
            return self._tag(file, url, answer, await stream.digest(), afterwards=_signed4(url))

    def _hedge_mode(self, url: str, *, whole: bool) -> HedgeMode:
        if not _signed4(url):
            return HedgeMode.NEVER  # without Content-MD5, the later one might do damage
        # A part that arrives after the multipart upload is complete has no effect, but its ETag has to be known.
        return (
            HedgeMode.ANY_ORDER
            if not whole and _host(url) in self._upload.context.etags_are_md5
            else HedgeMode.LAST_WINS
        )

    def _may_check_afterwards(self, url: str, whole: bool) -> bool:
        """Return whether a range may go without Content-MD5, so that only its ETag shows whether it arrived undamaged.

        A damaged part has no effect until the parts are put together. A damaged whole file would have replaced what was
        there before.
        """
        return not _signed4(url) or (not whole and _host(url) in self._upload.context.etags_are_md5)

    def _tag(
        self, file: SlideFile, url: str, answer: Mapping[str, str], digest: bytes, afterwards: bool = False
    ) -> str:
        """Return the ETag of a range that was sent.

        Raises Damaged if it is an MD5 but not the digest, or if it is none although nothing else has been checked.
        """
        tag = answer.get("etag", "").strip().strip('"')
        hosts = self._upload.context.etags_are_md5
        if _is_md5(tag, answer):
            if tag.lower() != digest.hex():
                raise Damaged(f"a part of {file.path} was damaged on the way (its ETag is another MD5)")
            hosts.add(_host(url))
        elif afterwards:
            hosts.discard(_host(url))
            raise Damaged(f"whether a part of {file.path} arrived unharmed is not known (its ETag is no MD5 any more)")
        if not tag:
            raise ProtocolError("the storage acknowledged a part without an ETag")
        return tag


def _relative(upload: SlideUpload, listed: MultipartFile) -> str:
    """Return a listed file's path relative to the announced folder; older servers give the whole virtual path."""
    path = listed.path.replace("\\", "/").lstrip("/")
    return path.removeprefix(upload.folder + "/")


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()


def _signed4(url: str) -> bool:
    return "X-Amz-Signature=" in url


def _content_md5(url: str, digest: bytes) -> dict[str, str]:
    # Signature 4 lets unsigned headers pass; with Signature 2, Content-MD5 would be part of what is signed.
    return {"Content-MD5": base64.b64encode(digest).decode()} if _signed4(url) else {}


def _is_md5(tag: str, answer: Mapping[str, str]) -> bool:
    """Return whether an ETag has to be the MD5: with keys of KMS or of the customer it looks like one, but is not."""
    other_keys = answer.get("x-amz-server-side-encryption", "AES256") != "AES256" or any(
        name.lower().startswith("x-amz-server-side-encryption-customer") for name in answer
    )
    return not other_keys and re.fullmatch(r"[0-9a-fA-F]{32}", tag) is not None


def _check_parts(file: SlideFile, parts: Sequence[Part]) -> None:
    expected = 0
    for number, part in enumerate(sorted(parts, key=lambda part: part.number), 1):
        if part.number != number or part.start != expected or part.end < part.start:
            raise ProtocolError(f"the server's parts of {file.path} do not make up the file")
        expected = part.end + 1
    if expected != file.size:
        raise ProtocolError(f"the server's parts of {file.path} have {expected} bytes, the file has {file.size}")
