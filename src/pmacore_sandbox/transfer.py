"""Handlers of transfer/*: announce an upload, receive a file of it, download a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from .core import Core
from .faults import iis_page
from .form_data import FormFileParser
from .middleware import InterceptedRequest
from .models import AnnouncedFile, Upload
from .refusals import Refusal
from .request_log import Query
from .roots.filesystem import FileSystemRoot, IncomingFile

_BLOCK = 1 << 20  # what goes to a worker thread at once: the hand-over costs 0.1 ms, so not each 64 KiB chunk


def announce(core: Core, body: dict[str, Any]) -> dict[str, Any]:
    """Register an upload and answer where its files go."""
    upload, storage, destinations = core.announce(body.get("path"), body.get("files"))
    kind = storage.kind.name if core.settings.upload_type_name else storage.kind.value
    return {"Id": upload.id, "UploadType": kind, **destinations}


async def receive(core: Core, request: InterceptedRequest, query: Query, upload_id: str) -> Response:
    """Receive one file of a FileSystem upload, and put it in its place when it is whole."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    if "transfer-encoding" in headers or "content-length" not in headers:
        return HTMLResponse(iis_page("411 - Length Required"), 411)
    length = int(headers["content-length"])
    if core.settings.max_request is not None and length > core.settings.max_request:
        return HTMLResponse(iis_page("413 - Request Entity Too Large"), 413)
    upload = core.uploads.get(upload_id)
    storage, _ = core.locate(upload.root)
    if not isinstance(storage, FileSystemRoot):
        raise Refusal("Files of this upload go to the URLs of its announcement")
    path = query.get("path")
    file = upload.files.get(path) if path is not None else None
    if file is None:
        raise Refusal(f"The path {path!r} was not announced for this upload")
    if length < file.length:
        raise Refusal(f"{file.length} bytes were announced for {path!r}; a body of {length} cannot hold them")
    part = FormFileParser(headers.get("content-type", ""), file.path.rpartition("/")[2], file.length)
    incoming = await asyncio.to_thread(storage.open_incoming)
    try:
        await _drain(request, part, incoming)
        await asyncio.to_thread(_keep, core, storage, upload, file, incoming)
    finally:
        await asyncio.to_thread(incoming.remove)
    return JSONResponse({"Path": file.path, "Complete": True})


def _keep(core: Core, storage: FileSystemRoot, upload: Upload, file: AnnouncedFile, incoming: IncomingFile) -> None:
    storage.commit(incoming, upload.path(file))
    core.uploads.record_arrival(upload, file.path)


async def _drain(request: InterceptedRequest, part: FormFileParser, incoming: IncomingFile) -> None:
    """Write a request's file to disk: one block is written and hashed while the next one arrives, never more."""
    writing: asyncio.Future[None] | None = None
    block: list[bytes] = []
    size = 0
    try:
        async for chunk in request.body():
            for data in part.feed(chunk):
                block.append(request.corrupt(data))
                size += len(data)
            request.file_bytes = part.received
            if size >= _BLOCK:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(asyncio.to_thread(incoming.write, block))
                block, size = [], 0
        part.finish()
    finally:
        if writing is not None:
            await writing
    await asyncio.to_thread(incoming.write, block)


async def download(core: Core, request: InterceptedRequest, query: Query) -> Response:
    """Answer with the bytes of a file or a part of it, or with a redirect to the URL where they are."""
    storage, file = await asyncio.to_thread(core.find_for_download, query.get("image"), query.get("path"))
    where = await asyncio.to_thread(storage.download_source, file)
    if isinstance(where, str):
        return Response(None, 303, {"Location": where})
    name = quote(file.path[-1])
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.mtime_ns:x}:{file.size:x}"',
        "Last-Modified": formatdate(file.mtime_ns // 10**9, usegmt=True),
        "Content-Disposition": f"attachment; filename={name}; filename*=UTF-8''{name}",
    }
    asked = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.scope["headers"]}
    part = None if request.ignore_ranges else requested_range(asked, file.size, headers["ETag"])
    if part is not None and not part:
        return Response(None, 416, {"Content-Range": f"bytes */{file.size}"})
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    sent = range(file.size) if part is None else part
    headers["Content-Length"] = str(len(sent))
    status = 200 if part is None else 206
    return StreamingResponse(_blocks(where, sent), status, headers, media_type="application/octet-stream")


def requested_range(headers: Mapping[str, str], size: int, etag: str) -> range | None:
    """Return the bytes of a file that `Range` asks for, none where there are none; None: the whole file (RFC 9110, 14).

    Refuses what a client should not write: other units, several ranges, a date or a weak ETag in `If-Range`.
    """
    asked = headers.get("range")
    if asked is None:
        return None
    found = re.fullmatch("bytes=([0-9]*)-([0-9]*)", asked)
    if found is None or asked == "bytes=-" or (all(found.groups()) and int(found[1]) > int(found[2])):
        raise Refusal(f"Cannot read the Range {asked!r}", status=400)
    condition = headers.get("if-range")
    if condition is not None and not condition.startswith('"'):
        raise Refusal("If-Range has to be a strong ETag", status=400)
    if condition is not None and condition != etag:
        return None
    if not found[1]:
        return range(max(size - int(found[2]), 0), size)
    return range(int(found[1]), min(int(found[2]) + 1, size) if found[2] else size)


async def _blocks(where: Path, sent: range) -> AsyncIterator[bytes]:
    stream = await asyncio.to_thread(where.open, "rb")
    try:
        stream.seek(sent.start)
        left = len(sent)
        while left and (block := await asyncio.to_thread(stream.read, min(_BLOCK, left))):
            left -= len(block)
            yield block
    finally:
        stream.close()
