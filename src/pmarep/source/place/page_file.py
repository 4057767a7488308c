"""A private temporary file of pages, which has no name where the system allows that and leaves nothing."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from ...errors import PmarepError, Remedy
from ..interface import CHUNK

PAGE = CHUNK
"""Bytes of a page: one read of a site."""


READS_NOW = sys.platform == "linux"
"""Whether the system can say that a read would wait for the disk."""


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
        self._lock = threading.Lock()
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
        left, at = memoryview(data), number * PAGE
        try:
            while left:
                count = self._write(at, left)
                left, at = left[count:], at + count
        except OSError as error:
            raise self._failed("write", error) from None

    def read(self, number: int, low: int, length: int) -> bytes:
        """Read so many bytes of a page from its byte `low` on."""
        try:
            data = self._read(number * PAGE + low, length)
            while len(data) < length:
                more = self._read(number * PAGE + low + len(data), length - len(data))
                if not more:
                    raise OSError(errno.EIO, "it has become shorter")
                data += more
        except OSError as error:
            raise self._failed("read", error) from None
        return data

    def read_now(self, number: int, low: int, length: int) -> bytes | None:
        """Like `read`, without waiting for the disk; None where it would wait, or where the system cannot tell."""
        if sys.platform != "linux" or self._file is None:
            return None
        data = bytearray(length)
        try:
            count = os.preadv(self._file.fileno(), [data], number * PAGE + low, os.RWF_NOWAIT)
        except OSError:  # most of all EAGAIN: not in memory; EOPNOTSUPP: of some file systems
            return None
        return bytes(data) if count == length else None

    # At a position of their own, several threads read and write at once; on Windows the file has but one.

    if sys.platform == "win32":

        def _write(self, at: int, data: memoryview) -> int:
            with self._lock:
                file = self._made()
                file.seek(at)
                return file.write(data)

        def _read(self, at: int, length: int) -> bytes:
            with self._lock:
                file = self._made()
                file.seek(at)
                return file.read(length)

    else:

        def _write(self, at: int, data: memoryview) -> int:
            return os.pwrite(self._descriptor(), data, at)

        def _read(self, at: int, length: int) -> bytes:
            return os.pread(self._descriptor(), length, at)

        def _descriptor(self) -> int:
            file = self._file
            if file is None:
                with self._lock:
                    file = self._made()
            return file.fileno()

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
