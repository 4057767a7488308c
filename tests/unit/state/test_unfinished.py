"""What of an unfinished slide is at its site, by its entry in the journal alone."""

from __future__ import annotations

from typing import Any

import pytest

from pmarep.pmacore import Announcement, StorageKind
from pmarep.state.records import SENDING, Entry
from pmarep.state.unfinished import SMALLEST_BLOCK, kept_and_left

SIZES = {"a.mrxs": 10, "a/0.dat": 3000, "a/1.dat": SMALLEST_BLOCK + 7}
MULTIPART = [
    {
        "FilePath": "a/0.dat",
        "UploadId": "x",
        "Parts": [
            {"PartNumber": 1, "Url": "u", "RangeStart": 0, "RangeEnd": 1999},
            {"PartNumber": 2, "Url": "u", "RangeStart": 2000, "RangeEnd": 2999},
        ],
    }
]


def entry(upload: str | None, parts: dict[str, dict[int, str]], sizes: dict[str, int] | None = SIZES) -> Entry:
    return Entry(SENDING, "", False, upload, frozenset({"a.mrxs"}), parts, sizes=sizes)


def announced(kind: StorageKind, **more: Any) -> str:
    """Return an announcement as the journal has it."""
    answer = Announcement.read({"Id": 1, "UploadType": kind.value, **more}, "")
    return answer.model_dump_json(by_alias=True)


@pytest.mark.parametrize(
    ("upload", "parts", "kept"),
    [
        (announced(StorageKind.FILESYSTEM), {}, 10),
        (announced(StorageKind.S3, MultipartFiles=MULTIPART), {"a/0.dat": {2: "tag"}}, 1010),
        (announced(StorageKind.S3, MultipartFiles=MULTIPART), {"a/0.dat": {1: "tag", 3: "none of these"}}, 2010),
        (announced(StorageKind.AZURE), {"a/1.dat": {0: ""}}, 10 + SMALLEST_BLOCK),
        (announced(StorageKind.AZURE), {"a/1.dat": {0: "", 1: ""}}, 10 + SMALLEST_BLOCK + 7),
        (None, {}, 0),
        ("[]", {}, 0),
        ('{"multipartfiles": [{"parts": [7]}]}', {}, 0),
    ],
)
def test_bytes_that_a_site_has(upload: str | None, parts: dict[str, dict[int, str]], kept: int) -> None:
    assert kept_and_left(entry(upload, parts)) == (kept, sum(SIZES.values()) - kept)


def test_sizes_that_the_journal_does_not_know() -> None:
    assert kept_and_left(entry(announced(StorageKind.S3), {}, None)) is None
