"""Answers that somebody in between has packed, although we ask for none: unpacked a piece at a time, so bounded."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from .errors import ProtocolError, TransferBroken

_GZIP_OR_ZLIB = 47  # zlib's wbits: the header says which


class Decompressor:
    """Unpacks one answer of `who`, or leaves it as it is. Raises ProtocolError for a coding that is not known here."""

    def __init__(self, response: httpx.Response, who: str) -> None:
        coding = response.headers.get("content-encoding", "").strip().lower()
        self._who = who
        self._response = response
        self._is_needed = coding not in ("", "identity")
        if self._is_needed and coding not in ("gzip", "x-gzip", "deflate"):
            raise ProtocolError(f"{who} gave a packed answer although none was asked for")
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB)

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the chunks of the answer as they come."""
        return self._response.aiter_raw() if self._is_needed else self._response.aiter_bytes()

    def pieces(self, chunk: bytes, largest: int) -> Iterator[bytes]:
        """Yield the content of a chunk in pieces of `largest` bytes at most. Raises TransferBroken."""
        if not self._is_needed:
            yield chunk
            return
        while chunk:
            try:
                piece = self._zlib.decompress(chunk, largest)
            except zlib.error:
                raise TransferBroken(f"{self._who} gave a packed answer that is damaged") from None
            chunk = self._zlib.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        """Raise TransferBroken where something is missing."""
        if self._is_needed and not self._zlib.eof:
            raise TransferBroken(f"{self._who} gave a packed answer that ends too early")
