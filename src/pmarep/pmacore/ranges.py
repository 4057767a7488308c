"""Parts of files: what is asked for with `Range`, and whether an answer is just that (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from .errors import FileChanged, PmaCoreError, RangeRefused

LONGEST_VALIDATOR = 200
"""Characters. A longer one is not believed: it is remembered on disk."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What an answer says of the version of a file: `ETag` and `Last-Modified` as they are written, "" for none."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, response: httpx.Response) -> Validators:
        etag, modified = response.headers.get("etag", "").strip(), response.headers.get("last-modified", "").strip()
        return cls(
            etag if len(etag) <= LONGEST_VALIDATOR else "", modified if len(modified) <= LONGEST_VALIDATOR else ""
        )

    def differ_from(self, other: Validators) -> bool:
        """Return whether the two are of different versions, by what both say."""
        if self.etag and other.etag:
            return self.etag != other.etag
        return bool(self.modified and other.modified) and self.modified != other.modified

    @property
    def for_if_range(self) -> str:
        """The value of `If-Range`, "" for none: a weak ETag may not stand there, and a date is too coarse."""
        return self.etag if self.etag.startswith('"') else ""


NO_VALIDATORS = Validators()
"""Of a file of which no answer has been seen yet."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file from `start` up to `end`, which is not among them (None: up to the file's end).

    `size`: how many bytes the file has to have, if that is known. `seen`: its version as an earlier answer had it.
    """

    start: int = 0
    end: int | None = None
    size: int | None = None
    seen: Validators = NO_VALIDATORS

    def __post_init__(self) -> None:
        end = self.size if self.end is None else self.end
        if self.start < 0 or (end is not None and not self.is_whole and self.start >= end):
            raise ValueError(f"no bytes are in {self}")

    @property
    def is_whole(self) -> bool:
        """True where the whole file is asked for, so without `Range`."""
        return self.start == 0 and (self.end is None or self.end == self.size)

    @property
    def length(self) -> int | None:
        """Bytes that the answer has to have; None if that is not known."""
        end = self.size if self.end is None else self.end
        return None if end is None else end - self.start

    @property
    def headers(self) -> dict[str, str]:
        """The headers that ask for it."""
        if self.is_whole:
            return {}
        last = "" if self.end is None else str(self.end - 1)
        headers = {"Range": f"bytes={self.start}-{last}"}
        return headers | {"If-Range": self.seen.for_if_range} if self.seen.for_if_range else headers

    def is_answered_by(self, response: httpx.Response, who: str) -> bool:
        """Return whether an answer is this part of the file; False: it is the whole file, or no file at all.

        Raises RangeRefused where it is another part or none, FileChanged where the file is not as it was.
        """
        if self.is_whole or response.status_code not in (206, 416):
            return False
        if response.status_code == 416:
            raise self._unsatisfiable(response, who)
        headers = response.headers
        found = re.fullmatch(
            r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", headers.get("content-range", "").strip()
        )
        if found is None:
            raise _refused(who, "does not say which part of a file it gives back")
        first, last, size = map(int, found.groups())
        if self.size is not None and size != self.size:
            raise _changed(f"{who} has {size} bytes of it, and had {self.size}")
        if Validators.of(response).differ_from(self.seen):
            raise _changed(f"{who} has another version of it")
        if (first, last + 1) != (self.start, size if self.end is None else self.end):
            raise _refused(who, f"gives back bytes {first} to {last} of a file, not those that were asked for")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _refused(who, "has packed a part of a file")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) != last + 1 - first:
            raise _refused(who, f"gives back a part of a file with {length} bytes instead of {last + 1 - first}")
        return True

    def _unsatisfiable(self, response: httpx.Response, who: str) -> PmaCoreError:
        found = re.fullmatch(r"bytes \*/([0-9]{1,19})", response.headers.get("content-range", "").strip())
        if found is not None and self.size is not None and int(found[1]) != self.size:
            return _changed(f"{who} has {int(found[1])} bytes of it, and had {self.size}")
        return _refused(who, "does not give back parts of this file (HTTP status 416)")


def _refused(who: str, what: str) -> RangeRefused:
    return RangeRefused(f"{who} {what}")


def _changed(how: str) -> FileChanged:
    return FileChanged(f"the file has changed at the server: {how}")
