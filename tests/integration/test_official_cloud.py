"""The official client, pma_python, uploads to root-directories in S3 and Azure: what keeps the sandbox honest."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pma_python import core, pma
from support import plain_http
from support.cloud import KINDS, CloudSandbox, StartCloud
from support.sandboxes import PASSWORD, USER

PART = 64 * 1024
SVS = os.urandom(5 * PART + 7)
MRXS = {
    "m.mrxs": b"main",
    "m/Slidedat.ini": b"[GENERAL]\n",
    "m/Data0000.dat": os.urandom(2 * PART),
    "m/Data0001.dat": os.urandom(PART),
    "m/Index & + ä.dat": b"index",
}


@pytest.fixture(autouse=True)
def _fresh_client() -> Iterator[None]:
    """pma_python keeps sessions, slide infos and answers in the module."""
    yield
    pma._pma_clear_url_cache()
    for table in (core._pma_sessions, core._pma_usernames, core._pma_slideinfos):
        table.clear()


@pytest.fixture
def cloud(cloud_sandbox: StartCloud) -> CloudSandbox:
    return cloud_sandbox(s3_options={"part_size": PART}, azure_options={"raw_spaces": True})


def connect(cloud: CloudSandbox) -> Any:
    return core.connect(cloud.sandbox.url, USER, PASSWORD)


def upload(cloud: CloudSandbox, session: str, slide: Path, folder: str) -> None:
    done, error = asyncio.run(
        core.upload(pma_core_url=cloud.sandbox.url, session_id=session, slide_path=str(slide), upload_directory=folder)
    )
    assert done, error


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def make_folder(cloud: CloudSandbox, session: str, path: str) -> None:
    """The client's own call for it is for administrators."""
    body = {"sessionID": session, "path": path}
    assert plain_http.post(cloud.sandbox.url + "api/json/CreateDirectory", json=body).json() is True


@pytest.mark.parametrize("root", KINDS)
def test_it_uploads_a_slide_of_one_file_and_finds_it_again(cloud: CloudSandbox, root: str, tmp_path: Path) -> None:
    write(tmp_path / "local", {"切片 ä+ 1.svs": SVS})
    session = connect(cloud)
    upload(cloud, session, tmp_path / "local" / "切片 ä+ 1.svs", root)
    assert cloud.side(root).objects() == {"切片 ä+ 1.svs": SVS}
    path = f"{root}/切片 ä+ 1.svs"
    assert core.get_slides(root, session) == [path]
    assert core.get_slide_info(path, session)["Filename"] == path
    assert core.get_fingerprint(path, session)
    (tmp_path / "back").mkdir()
    core.download(path, str(tmp_path / "back"), session)  # follows the redirect to the storage
    assert (tmp_path / "back" / "切片 ä+ 1.svs").read_bytes() == SVS


@pytest.mark.parametrize("root", KINDS)
def test_it_uploads_an_mrxs_slide_and_finds_it_again(cloud: CloudSandbox, root: str, tmp_path: Path) -> None:
    write(tmp_path / "local", MRXS)
    session = connect(cloud)
    make_folder(cloud, session, f"{root}/in")
    upload(cloud, session, tmp_path / "local" / "m.mrxs", f"/{root}/in")
    assert cloud.side(root).objects() == {f"in/{name}": content for name, content in MRXS.items()}
    assert core.get_slides(f"{root}/in", session) == [f"{root}/in/m.mrxs"]
    found = core.get_files_for_slide(f"{root}/in/m.mrxs", session)
    assert {name: file["Size"] for name, file in found.items()} == {
        f"{root}/in/{name}": len(content) for name, content in MRXS.items()
    }


def test_it_leaves_an_orphan_multipart_upload_per_large_file(cloud: CloudSandbox, tmp_path: Path) -> None:
    """It announces every slide twice and uses the second announcement: what pmarep must not do."""
    write(tmp_path / "local", MRXS)
    session = connect(cloud)
    upload(cloud, session, tmp_path / "local" / "m.mrxs", "Cloud")
    calls = Counter(request.path for request in cloud.sandbox.requests if request.method == "POST")
    assert calls["transfer/Upload"] == 2
    assert cloud.s3.open_multipart_uploads() == ["m/Data0000.dat"]


@pytest.mark.parametrize("root", KINDS)
def test_it_uploads_the_same_slide_again(cloud: CloudSandbox, root: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.svs": SVS})
    session = connect(cloud)
    for content in (SVS, SVS[::-1]):
        write(tmp_path, {"a.svs": content})
        upload(cloud, session, tmp_path / "a.svs", root)
        assert cloud.side(root).objects() == {"a.svs": content}


def test_it_uploads_to_an_old_server(cloud_sandbox: StartCloud, tmp_path: Path) -> None:
    cloud = cloud_sandbox(azure=False, s3_options={"part_size": PART, "multipart": False}, upload_type_name=True)
    write(tmp_path, {"a.svs": SVS})
    upload(cloud, connect(cloud), tmp_path / "a.svs", "Cloud")
    assert cloud.s3.objects() == {"a.svs": SVS}
    assert [request.part for request in cloud.s3.requests] == [""]
