"""Parts to S3: what their ETags prove, and what goes along with them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from pmarep.clock import Clock
from pmarep.errors import SourceError
from pmarep.pmacore import (
    AnnounceAgain,
    Announcement,
    Connection,
    Damaged,
    ProtocolError,
    Refused,
    ServerError,
    TransferBroken,
    UploadStatus,
)
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath
from pmarep.uploaders import (
    Digests,
    PresignedClient,
    RequestScheduler,
    SlideUpload,
    TransferCounts,
    UploadContext,
    announced,
)
from pmarep.uploaders.s3 import S3Uploader
from pmarep.uploaders.transport.hedging import HedgeMode

CONTENT = bytes(range(256)) * 100
HALF = len(CONTENT) // 2
V4 = "http://s3.example/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abc&partNumber={}"
V2 = "http://s3.example/b/k?AWSAccessKeyId=a&Expires=9999999999&Signature=abc&partNumber={}"
NOT_THE_MD5 = "0" * 32

Bucket = Callable[[httpx.Request], httpx.Response]
Ship = Callable[..., SlideUpload]


class FakeCore:
    """A PMA.core that puts parts together, fails with `error`, and says whether it has the file."""

    def __init__(self, error: Exception | None = None, complete: bool = False, older: bool = False) -> None:
        self._error = error
        self._complete = complete
        self._older = older
        self.completed: list[tuple[str, str, list[tuple[int, str]]]] = []

    async def complete_multipart(self, path: str, upload_id: str, parts: list[tuple[int, str]]) -> None:
        self.completed.append((path, upload_id, parts))
        if self._error is not None:
            raise self._error

    async def upload_status(self, _upload: int) -> UploadStatus:
        complete = self._complete if self.completed else self._older
        return UploadStatus.read({"Files": [{"Path": "x.svs", "Complete": complete}]}, "x")


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    (tmp_path / "x.svs").write_bytes(CONTENT)
    file = SlideFile("x.svs", len(CONTENT), (tmp_path / "x.svs").stat().st_mtime_ns)
    slide = Slide("x.svs", "Aperio SVS", tmp_path, (file,))
    reader = SharedReader()
    journal, source, digests = Journal(tmp_path / "state"), SiteReader(reader), Digests(reader)
    place = RemotePath("http://pma.example/", "Slides/in/x.svs")

    def make(bucket: Bucket, core: FakeCore | None = None, url: str = V4, parts: bool = True) -> SlideUpload:
        http = httpx.AsyncClient(transport=httpx.MockTransport(bucket))
        storage = PresignedClient(Connection("http://pma.example/", "u"), allow_http=False, http=http)
        scheduler = RequestScheduler(4, [], Retry(attempts=1), Clock())
        context = UploadContext(cast(Any, core or FakeCore()), storage, scheduler, source, digests, journal)
        answer: dict[str, Any] = {"Id": 1, "UploadType": 1, "Urls": [url.format(1)]}
        if parts:
            listed = [
                {"PartNumber": 1, "Url": url.format(1), "RangeStart": 0, "RangeEnd": HALF - 1},
                {"PartNumber": 2, "Url": url.format(2), "RangeStart": HALF, "RangeEnd": len(CONTENT) - 1},
            ]
            answer["MultipartFiles"] = [{"FilePath": "x.svs", "UploadId": "u", "Parts": listed}]
        return SlideUpload(context, Announcement.read(answer, "x"), "Slides/in", slide, place, TransferCounts())

    await journal.record_announced(place, "sig", 1, "{}")
    yield make
    source.close()
    digests.close()
    reader.close()
    journal.close()


def answering(tag: str | None, **headers: str) -> Bucket:
    """A bucket that answers with this ETag; None: with the right one."""

    def bucket(request: httpx.Request) -> httpx.Response:
        found = hashlib.md5(request.content).hexdigest() if tag is None else tag
        return httpx.Response(200, headers={"ETag": f'"{found}"', **headers})

    return bucket


SSE = "x-amz-server-side-encryption"
KMS = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "arn:aws:kms:key"}
ACCEPTED = [
    (NOT_THE_MD5, KMS),
    (NOT_THE_MD5, {SSE: "aws:kms:dsse"}),
    (NOT_THE_MD5, {f"{SSE}-customer-algorithm": "AES256"}),
    (NOT_THE_MD5, {SSE.title(): "aws:kms"}),
    ("not-an-md5-at-all", {}),
    (f"{NOT_THE_MD5}-2", {}),
    (None, {}),
    (None, {SSE: "AES256"}),
]


@pytest.mark.parametrize("parts", [True, False], ids=["multipart", "one PUT"])
@pytest.mark.parametrize(("tag", "headers"), ACCEPTED)
async def test_etags_that_prove_nothing_or_the_right_thing(
    ship: Ship, tag: str | None, headers: dict[str, str], parts: bool
) -> None:
    core = FakeCore()
    upload = ship(answering(tag, **headers), core, parts=parts)
    await S3Uploader(upload).send(upload.slide.main)
    assert upload.sent.bytes == len(CONTENT)
    entry = await upload.context.journal.entry(upload.place)
    assert entry is not None
    assert entry.files == {"x.svs"}
    if parts:
        expected = [hashlib.md5(half).hexdigest() if tag is None else tag for half in (CONTENT[:HALF], CONTENT[HALF:])]
        assert core.completed == [("Slides/in/x.svs", "u", [(1, expected[0]), (2, expected[1])])]


@pytest.mark.parametrize("headers", [{}, {SSE: "AES256"}], ids=["no header", "AES256"])
@pytest.mark.parametrize("tag", [NOT_THE_MD5, "F" * 32])
async def test_an_etag_that_is_another_md5(ship: Ship, tag: str, headers: dict[str, str]) -> None:
    core = FakeCore()
    upload = ship(answering(tag, **headers), core)
    with pytest.raises(Damaged):
        await S3Uploader(upload).send(upload.slide.main)
    assert upload.sent.bytes == 0
    assert core.completed == []


async def test_damage_to_a_source_that_has_changed_unseen_is_the_sources(ship: Ship) -> None:
    def bucket(request: httpx.Request) -> httpx.Response:
        path = upload.slide.local(upload.slide.main)
        path.write_bytes(bytes(len(CONTENT)))
        os.utime(path, ns=(0, upload.slide.main.mtime_ns))
        return answering(NOT_THE_MD5)(request)

    upload = ship(bucket, parts=False)
    with pytest.raises(SourceError, match=r"changed|was replaced"):
        await S3Uploader(upload).send(upload.slide.main)
    assert upload.sent.begun
    assert upload.sent.bytes == 0


@pytest.mark.parametrize(
    ("url", "parts", "mode"),
    [
        (V4, True, HedgeMode.ANY_ORDER),
        (V4, False, HedgeMode.LAST_WINS),
        (V2, True, HedgeMode.NEVER),
        (V2, False, HedgeMode.NEVER),
    ],
)
async def test_how_s3_takes_a_request_twice_once_etags_have_proved_to_be_md5s(
    ship: Ship, url: str, parts: bool, mode: HedgeMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, modes = ship(answering(None), url=url, parts=parts), set[HedgeMode]()
    run = upload.context.scheduler.run

    async def noting_run(send: Any, size: int, *, hedge: Callable[[], HedgeMode]) -> Any:
        result = await run(send, size, hedge=hedge)
        modes.add(hedge())
        return result

    monkeypatch.setattr(upload.context.scheduler, "run", noting_run)
    await S3Uploader(upload).send(upload.slide.main)
    assert modes == {mode}


async def test_no_etag_at_all(ship: Ship) -> None:
    upload = ship(lambda request: httpx.Response(200))
    with pytest.raises(ProtocolError, match="ETag"):
        await S3Uploader(upload).send(upload.slide.main)


@pytest.mark.parametrize(("url", "goes_along"), [(V4, True), (V2, False)], ids=["Signature 4", "Signature 2"])
async def test_content_md5_goes_only_where_the_signature_lets_it(ship: Ship, url: str, goes_along: bool) -> None:
    seen: dict[str, str | None] = {}

    def bucket(request: httpx.Request) -> httpx.Response:
        seen[request.url.raw_path.decode()[-1]] = request.headers.get("content-md5")
        return answering(None)(request)

    upload = ship(bucket, url=url)
    await S3Uploader(upload).send(upload.slide.main)
    halves = {"1": CONTENT[:HALF], "2": CONTENT[HALF:]}
    md5 = {number: base64.b64encode(hashlib.md5(half).digest()).decode() for number, half in halves.items()}
    assert seen == (md5 if goes_along else {"1": None, "2": None})


def without_room(upload: SlideUpload, *, attempts: int = 1) -> SlideUpload:
    """Parts that are too large to be kept from their digest until they are sent; one after the other."""
    reader = SharedReader(bound=HALF // 2)
    scheduler = RequestScheduler(1, [], Retry(attempts=attempts, sleep=lambda _seconds: asyncio.sleep(0)), Clock())
    return replace(
        upload, context=replace(upload.context, scheduler=scheduler, source=SiteReader(reader), digests=Digests(reader))
    )


def noting(bucket: Bucket) -> tuple[Bucket, list[bool]]:
    """The bucket, and whether each request came with an MD5."""
    seen: list[bool] = []

    def noted(request: httpx.Request) -> httpx.Response:
        seen.append("content-md5" in request.headers)
        return bucket(request)

    return noted, seen


async def test_a_large_part_is_checked_afterwards_where_etags_have_proved_to_be_md5s(ship: Ship) -> None:
    bucket, seen = noting(answering(None))
    upload = without_room(ship(bucket))
    await S3Uploader(upload).send(upload.slide.main)
    assert seen == [True, False]


async def test_damage_of_a_large_part_is_found_afterwards(ship: Ship) -> None:
    answers = [None, NOT_THE_MD5, None]
    bucket, seen = noting(lambda request: answering(answers[len(seen) - 1])(request))
    core = FakeCore()
    upload = without_room(ship(bucket, core), attempts=2)
    await S3Uploader(upload).send(upload.slide.main)
    assert len(seen) == 3
    assert upload.sent.bytes == len(CONTENT)
    assert core.completed[0][2] == [
        (1, hashlib.md5(CONTENT[:HALF]).hexdigest()),
        (2, hashlib.md5(CONTENT[HALF:]).hexdigest()),
    ]


@pytest.mark.parametrize(("tag", "headers"), [(NOT_THE_MD5, KMS), ("not-an-md5-at-all", {})])
async def test_a_large_part_goes_with_its_md5_where_etags_are_something_else(
    ship: Ship, tag: str, headers: dict[str, str]
) -> None:
    bucket, seen = noting(answering(tag, **headers))
    upload = without_room(ship(bucket))
    await S3Uploader(upload).send(upload.slide.main)
    assert seen == [True, True]


async def test_a_bucket_whose_etags_are_no_md5s_any_more(ship: Ship) -> None:
    """A key was given to it in the middle of the run: what went without an MD5 goes again, with one."""
    bucket, seen = noting(
        lambda request: (answering(None) if len(seen) == 1 else answering(NOT_THE_MD5, **KMS))(request)
    )
    upload = without_room(ship(bucket), attempts=2)
    await S3Uploader(upload).send(upload.slide.main)
    assert seen == [True, False, True]
    assert upload.context.etags_are_md5 == set()


async def test_a_whole_file_always_goes_with_its_md5(ship: Ship) -> None:
    """It would replace, damaged, what was there before."""
    bucket, seen = noting(answering(None))
    upload = without_room(ship(bucket, url=V4.replace("&partNumber={}", ""), parts=False))
    upload.context.etags_are_md5.add("s3.example")
    await S3Uploader(upload).send(upload.slide.main)
    assert seen == [True]


@pytest.mark.parametrize("error", [Refused("no"), ServerError("HTTP status 500"), TransferBroken("silent")])
async def test_parts_that_were_put_together_although_the_answer_was_a_failure(ship: Ship, error: Exception) -> None:
    upload = ship(answering(None), FakeCore(error, complete=True))
    await S3Uploader(upload).send(upload.slide.main)
    assert upload.sent.bytes == len(CONTENT)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Refused("no such upload"), AnnounceAgain),
        (ServerError("HTTP status 500"), ServerError),
        (TransferBroken("silent"), TransferBroken),
    ],
)
async def test_parts_that_were_not_put_together(ship: Ship, error: Exception, raised: type[Exception]) -> None:
    upload = ship(answering(None), FakeCore(error))
    with pytest.raises(raised):
        await S3Uploader(upload).send(upload.slide.main)


@pytest.mark.parametrize("older", [False, True])
async def test_an_older_file_of_that_name_does_not_count(ship: Ship, older: bool) -> None:
    """A server may call a file complete because one of that length is there."""
    upload = ship(answering(None), FakeCore(Refused("no such upload"), complete=True, older=older))
    upload = replace(upload, over=True)
    with pytest.raises(AnnounceAgain) if older else nullcontext():
        await S3Uploader(upload).send(upload.slide.main)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
async def test_urls_belong_to_names_whatever_the_order_of_the_files(ship: Ship, order: list[int]) -> None:
    """A later run may find the files of a slide in another order: PMA.start says which they are."""
    upload = ship(answering(None), parts=False)
    files = [SlideFile("x.svs", 9, 0), SlideFile("a.dat", 1, 0), SlideFile("b.dat", 1, 0)]
    slide = replace(upload.slide, files=tuple(files[number] for number in order), path=files[order[0]].path)
    assert [file.path for file in announced(slide)] == ["a.dat", "b.dat", "x.svs"]
    answer = Announcement.read({"Id": 1, "UploadType": 1, "Urls": ["http://s/a", "http://s/b", "http://s/x"]}, "x")
    upload = replace(upload, slide=slide, announcement=answer)
    assert {file.path: upload.url_of(file)[-1] for file in files} == {"a.dat": "a", "b.dat": "b", "x.svs": "x"}
