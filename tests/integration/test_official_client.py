"""The official client, pma_python, against the sandbox: what keeps the sandbox honest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pma_python import core, pma
from pma_python.pma_core_client import PmaCoreClient
from support.pma_start import pma_start
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import Drop, Sandbox

SVS = os.urandom(2_500_000)
MRXS = {
    "m.mrxs": b"main",
    "m/Slidedat.ini": b"[GENERAL]\n",
    "m/Data0000.dat": os.urandom(70_000),
    "m/sub/Index & 1.dat": b"index",
    "m/empty.dat": b"",
}


@pytest.fixture(autouse=True)
def _fresh_client() -> Iterator[None]:
    """pma_python keeps sessions, slide infos and answers in the module."""
    yield
    pma._pma_clear_url_cache()
    for table in (core._pma_sessions, core._pma_usernames, core._pma_slideinfos):
        table.clear()


@pytest.fixture
def _pma_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On a port of its own: other tests of a parallel run should not meet it."""
    with pma_start() as helper:
        monkeypatch.setattr(core, "_pma_pmacoreliteURL", helper.url)
        yield


def connect(sandbox: Sandbox, password: str = PASSWORD) -> Any:
    return core.connect(sandbox.url, USER, password)


def upload(sandbox: Sandbox, session: str, slide: Path, folder: str) -> None:
    done, error = asyncio.run(
        core.upload(pma_core_url=sandbox.url, session_id=session, slide_path=str(slide), upload_directory=folder)
    )
    assert done, error


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_it_logs_in_and_out(sandbox: Sandbox) -> None:
    session = connect(sandbox)
    assert session
    assert sandbox.open_sessions == 1
    assert core.disconnect(session)
    assert sandbox.open_sessions == 0


def test_a_wrong_password_gives_no_session(sandbox: Sandbox) -> None:
    assert connect(sandbox, "wrong") is None
    assert sandbox.open_sessions == 0


def test_it_logs_in_at_an_old_server(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(version="2.0.0.1000", wrap_answers=True)
    answer = PmaCoreClient(sandbox.url).authenticate(USER, PASSWORD, "test")
    assert answer.success
    assert sandbox.open_sessions == 1


def test_it_knows_the_server_for_a_pma_core(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(path="/core/")
    assert core.is_lite(sandbox.url) is False
    assert core.get_version_info(sandbox.url).startswith("3.0.3.2222")


def test_it_looks_around(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(path="/core/", roots=("Slides", "slidebox anna"))
    write(sandbox.data / "Slides", {"a/b/c & d/x.svs": SVS, "a/y.svs": SVS})
    session = connect(sandbox)
    assert core.get_root_directories(session) == ["Slides", "slidebox anna"]
    assert core.get_directories("Slides", session, recursive=True) == ["Slides/a", "Slides/a/b", "Slides/a/b/c & d"]
    assert core.get_slides("/Slides", session) == []
    assert core.get_slides("Slides", session, recursive=True) == ["Slides/a/y.svs", "Slides/a/b/c & d/x.svs"]
    with pytest.raises(Exception, match="does not exist"):
        core.get_directories("Slides/none", session)


@pytest.mark.usefixtures("_pma_start")
def test_it_uploads_a_slide_of_one_file_and_finds_it_again(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = start_sandbox(path="/core/")
    write(tmp_path / "local", {"切片 ä 1.svs": SVS})
    session = connect(sandbox)
    upload(sandbox, session, tmp_path / "local" / "切片 ä 1.svs", "Slides")
    assert core.get_slides("Slides", session) == ["Slides/切片 ä 1.svs"]
    info = core.get_slide_info("Slides/切片 ä 1.svs", session)
    assert info["Filename"] == "Slides/切片 ä 1.svs"
    assert core.get_pixel_dimensions("Slides/切片 ä 1.svs", sessionID=session) == (4096, 4096)
    assert core.get_last_modified_date("Slides/切片 ä 1.svs", session)
    assert core.is_fluorescent("Slides/切片 ä 1.svs", session) is False
    assert core.get_fingerprint("Slides/切片 ä 1.svs", session)
    (tmp_path / "back").mkdir()
    core.download("Slides/切片 ä 1.svs", str(tmp_path / "back"), session)
    assert (tmp_path / "back" / "切片 ä 1.svs").read_bytes() == SVS


@pytest.mark.usefixtures("_pma_start")
def test_it_uploads_an_mrxs_slide_and_finds_it_again(sandbox: Sandbox, tmp_path: Path) -> None:
    (sandbox.data / "Slides" / "in").mkdir()
    files = {name: content for name, content in MRXS.items() if "&" not in name}  # it does not encode & in paths
    write(tmp_path / "local", files)
    session = connect(sandbox)
    upload(sandbox, session, tmp_path / "local" / "m.mrxs", "/Slides/in")
    arrived = {name: content for name, content in files.items() if content}  # it leaves files of 0 bytes out
    assert core.get_slides("Slides/in", session) == ["Slides/in/m.mrxs"]
    found = core.get_files_for_slide("Slides/in/m.mrxs", session)
    assert {name: file["Size"] for name, file in found.items()} == {
        f"Slides/in/{name}": len(content) for name, content in arrived.items()
    }
    assert core.get_slide_info("Slides/in/m.mrxs", session)["Filename"] == "Slides/in/m.mrxs"
    (tmp_path / "back").mkdir()
    core.download("Slides/in/m.mrxs", str(tmp_path / "back"), session)
    for name, content in arrived.items():
        assert (tmp_path / "back" / name).read_bytes() == content


def test_its_streaming_uploader_sends_every_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """The other way through its code, which needs no PMA.start and encodes paths fully: files of 0 bytes included."""
    write(tmp_path / "local", MRXS)
    session = connect(sandbox)
    done, error = asyncio.run(
        core._upload_package_files(
            client=PmaCoreClient(sandbox.url),
            session_id=session,
            upload_directory="Slides",
            package_files=core._collect_slide_package_files(str(tmp_path / "local" / "m.mrxs")),
        )
    )
    assert done, error
    assert sandbox.received_files() == {name: len(content) for name, content in MRXS.items()}
    for name, content in MRXS.items():
        assert (sandbox.data / "Slides" / name).read_bytes() == content
    assert core.get_slides("Slides", session) == ["Slides/m.mrxs"]


@pytest.mark.usefixtures("_pma_start")
def test_its_upload_into_a_folder_that_does_not_exist_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, {"a.svs": SVS})
    session = connect(sandbox)
    done, error = asyncio.run(
        core.upload(
            pma_core_url=sandbox.url,
            session_id=session,
            slide_path=str(tmp_path / "a.svs"),
            upload_directory="Slides/none",
        )
    )
    assert not done
    assert "404" in str(error)


@pytest.mark.usefixtures("_pma_start")
def test_fingerprints_of_its_uploads_agree_between_two_servers(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    write(tmp_path / "local", {"a.svs": SVS})
    prints = []
    for name in ("one", "other"):
        sandbox = start_sandbox(name)
        session = connect(sandbox)
        upload(sandbox, session, tmp_path / "local" / "a.svs", "Slides")
        prints.append(core.get_fingerprint("Slides/a.svs", session))
        core.disconnect(session)
    assert prints[0] == prints[1]


@pytest.mark.usefixtures("_pma_start")
def test_its_download_leaves_a_torn_file_where_the_connection_breaks(sandbox: Sandbox, tmp_path: Path) -> None:
    """It asks for whole files only, without Range, and writes them under their names: what pmarep must not do."""
    write(sandbox.data / "Slides", {"a.svs": SVS})
    sandbox.faults.add(Drop(after_bytes=1_000_000), path="transfer/Download")
    session = connect(sandbox)
    with suppress(OSError):  # requests may or may not count the bytes
        core.download("Slides/a.svs", str(tmp_path), session)
    assert SVS.startswith((tmp_path / "a.svs").read_bytes())
    assert (tmp_path / "a.svs").stat().st_size <= 1_000_000
