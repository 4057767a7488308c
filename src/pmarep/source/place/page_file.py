"""A private temporary file of pages, which has no name where the system allows that and leaves nothing."""

from __future__ import annotations

import errno
import tempfile
import threading
from pathlib import Path
from typing import IO

from ...errors import PmarepError, Remedy
from ..interface import CHUNK

PAGE = CHUNK
"""Bytes of a page: one read of a site."""


class SpoolError(PmarepError):
    """The spool cannot be written or read."""

    remedy = Remedy.STOP_RUN


class PageFile:
    """Pages by number. Used by several threads at once. Raises SpoolError.

    On POSIX the file has no name, on Windows the system deletes it when it is closed: what a killed run leaves is
    nothing. It is made when its first page is written, if not before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()  # the file has one position
        self._file: IO[bytes] | None = None

    def make(self) -> None:
        """Make the file, so that a folder that takes none is known before there are pages."""
        with self._lock:
            self._made()

    def _made(self) -> IO[bytes]:
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile(prefix="pmarep-spool-", dir=self._folder, buffering=0)  # noqa: SIM115
            except OSError as error:
                raise self._failed("make", error) from None
        return self._file

    def write(self, number: int, data: bytes | memoryview) -> None:
        """Write a page."""
        left = memoryview(data)
        try:
            with self._lock:
                file = self._made()
                file.seek(number * PAGE)
                while left:
                    left = left[file.write(left) :]
        except OSError as error:
            raise self._failed("write", error) from None

    def read(self, number: int, low: int, length: int) -> bytes:
        """Read so many bytes of a page from its byte `low` on."""
        try:
            with self._lock:
                file = self._made()
                file.seek(number * PAGE + low)
                data = file.read(length)
                while len(data) < length:
                    more = file.read(length - len(data))
                    if not more:
                        raise OSError(errno.EIO, "it has become shorter")
                    data += more
        except OSError as error:
            raise self._failed("read", error) from None
        return data

    def close(self) -> None:
        """Give the space back."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _failed(self, what: str, error: OSError) -> SpoolError:
        words = error.strerror or type(error).__name__
        advice = "--spool DIR puts it elsewhere"
        if error.errno in (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC):
            advice = "--spool-size makes it smaller, --spool DIR puts it elsewhere"
        return SpoolError(f"cannot {what} the spool in {self._folder}: {words}; {advice}")
