"""Parts of files from servers of all three storage kinds, with our client over real sockets."""

from __future__ import annotations

import os

import pytest
from support.cloud import KINDS, CloudSandbox, StartCloud
from support.sandboxes import PASSWORD, USER

from pmacore_sandbox import Drop
from pmarep.pmacore import Connection, FileChanged, PmaCore, TransferBroken

CONTENT = os.urandom(2_000_000)
PATH = "x +&ä.svs"


async def password() -> str:
    return PASSWORD


@pytest.fixture
def cloud(cloud_sandbox: StartCloud) -> CloudSandbox:
    return cloud_sandbox()


def put(cloud: CloudSandbox, root: str, content: bytes) -> None:
    if root == "Slides":
        (cloud.sandbox.data / "Slides" / PATH).write_bytes(content)
    else:
        cloud.side(root).put(PATH, content)


def drop(cloud: CloudSandbox, root: str, after_bytes: int) -> None:
    faults = cloud.sandbox.faults if root == "Slides" else cloud.side(root).faults
    faults.add(Drop(after_bytes), method="GET", path="transfer/Download" if root == "Slides" else "svs", times=1)


@pytest.mark.parametrize("root", ["Slides", *KINDS])
async def test_a_broken_download_goes_on_where_it_was(cloud: CloudSandbox, root: str) -> None:
    put(cloud, root, CONTENT)
    drop(cloud, root, 1_700_000)
    slide, size, came = f"{root}/{PATH}", len(CONTENT), b""
    async with PmaCore(Connection(cloud.sandbox.url, USER), password) as core:
        try:
            async with core.download(slide, PATH, size) as download:
                seen = download.validators
                async for chunk in download:
                    came += chunk
        except TransferBroken:
            pass
        assert len(came) < size
        assert seen.etag
        assert CONTENT.startswith(came)
        assert came
        async with core.download(slide, PATH, size, start=len(came), seen=seen) as download:
            assert download.start == (len(came))
            assert not download.validators.differ_from(seen)
            assert b"".join([chunk async for chunk in download]) == CONTENT[download.start :]
        async with core.download(slide, PATH, size, start=5, end=10) as download:
            assert b"".join([chunk async for chunk in download]) == CONTENT[5:10]
        put(cloud, root, CONTENT[::-1])
        try:  # a storage that knows If-Range sends all of it
            async with core.download(slide, PATH, size, start=5, end=10, seen=seen) as download:
                assert download.start == 0
        except FileChanged:
            pass
