"""Files that only their owner may read, replaced in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_private_file(file: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file that only its owner reads, in one step: whoever opens it sees all of the old content or the new.

    What is no plain file, such as /dev/stdout, is written to as it is. Raises OSError.
    """
    if file.exists() and not file.is_file():
        if file.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(file))
        with file.open("wb") as stream:
            stream.writelines(_pieces(content))
        return
    file = file.resolve()  # a link stays
    with written_beside(file, content) as beside:
        beside.replace(file)


@contextmanager
def written_beside(file: Path, content: bytes | Iterable[bytes]) -> Iterator[Path]:
    """Write a file beside another one that only its owner reads; yield its path, to be renamed over that.

    It is removed in the end where that has not happened. Raises OSError.
    """
    # Not mkstemp(), which on Windows takes a folder that nobody may write to for 2 billion names that are taken.
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    stream = open(beside, "xb", opener=_for_its_owner)  # noqa: SIM115  (closed below)
    try:
        with stream:
            stream.writelines(_pieces(content))
            stream.flush()
            os.fsync(stream.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _pieces(content: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return [content] if isinstance(content, bytes) else content


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
