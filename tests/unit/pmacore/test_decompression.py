"""Answers that a proxy has packed unasked."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from support.scripted_core import ScriptedCore, refusal

from pmarep.pmacore import PmaCoreError, ProtocolError, Refused, TransferBroken

NAMES = [f"Slides/{number}.svs" for number in range(1000)]
FILE = bytes(range(256)) * 10_000

Pack = Callable[[bytes], bytes]
CODINGS: list[tuple[str, Pack]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("GZIP", gzip.compress),
]


def packed(content: bytes, coding: str, status: int = 200, kind: str = "application/json") -> httpx.Response:
    """An answer in chunks, and not unpacked by httpx already."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    headers = {"Content-Encoding": coding, "Content-Type": kind, "Content-Length": str(len(content))}
    return httpx.Response(status, headers=headers, content=chunks())


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
async def test_an_answer(coding: str, pack: Pack) -> None:
    script = ScriptedCore(GetFiles=packed(pack(json.dumps(NAMES).encode()), coding))
    async with script.core() as core:
        assert await core.slides("Slides") == NAMES


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
async def test_a_refusal(coding: str, pack: Pack) -> None:
    script = ScriptedCore(GetFiles=packed(pack(refusal("No such folder").content), coding, 400))
    async with script.core() as core:
        with pytest.raises(Refused, match="No such folder"):
            await core.slides("Slides")


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
async def test_a_file_that_is_read_back(coding: str, pack: Pack) -> None:
    answer = packed(pack(FILE), coding, kind="application/octet-stream")
    async with (
        ScriptedCore(**{"transfer/Download": answer}).core() as core,
        core.download("Slides/a.svs", "a.svs", len(FILE)) as chunks,
    ):
        assert b"".join([chunk async for chunk in chunks]) == FILE


@pytest.mark.parametrize(
    ("content", "coding", "kind"),
    [
        (gzip.compress(b"[]")[:-5], "gzip", TransferBroken),
        (b"[]", "gzip", TransferBroken),
        (gzip.compress(b"[]"), "br", ProtocolError),
        (gzip.compress(gzip.compress(b"[]")), "gzip, gzip", ProtocolError),
        (gzip.compress(bytes(40 << 20), 1), "gzip", ProtocolError),
    ],
    ids=["cut off", "not packed", "of an unknown kind", "packed twice", "a bomb"],  # gzip writes the time of day
)
async def test_an_answer_that_cannot_be_decompressed_is_an_error(
    content: bytes, coding: str, kind: type[PmaCoreError]
) -> None:
    async with ScriptedCore(GetFiles=lambda: packed(content, coding)).core() as core:
        with pytest.raises(kind):
            await core.slides("Slides")
