"""A sandbox touches nothing outside its folder, tells nobody what it keeps, and can drop the ends of names."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmacore_sandbox import Sandbox, Settings
from pmacore_sandbox.core import Core
from pmacore_sandbox.refusals import NotFoundRefusal, Refusal
from pmarep.errors import UsageError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there, and modes are others")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the data, with a slide, to which links from inside lead."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.svs").write_bytes(b"secret")
    inside = tmp_path / "data" / "Slides"
    inside.mkdir(parents=True)
    (inside / "folder").symlink_to(outside)
    (inside / "link.svs").symlink_to(outside / "secret.svs")
    (inside / "dead.svs").symlink_to(outside / "not there.svs")
    return outside


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(Settings(data=tmp_path / "data", password="p"))
    yield core
    core.close()


def announce(core: Core, folder: str, name: str, length: int = 4) -> Any:
    return core.announce(folder, [{"Path": name, "Length": length, "IsMain": True}])


def receive(core: Core, folder: str, name: str, data: bytes = b"mine") -> None:
    upload, storage, _ = announce(core, folder, name, len(data))
    incoming = storage.open_incoming()
    incoming.write([data])
    storage.commit(incoming, upload.path(upload.main))
    core.uploads.record_arrival(upload, name)


@POSIX
def test_links_are_nothing(outside: Path, core: Core) -> None:
    assert core.directories("Slides") == []
    assert core.files("Slides") == []
    for path in ("Slides/link.svs", "Slides/LINK.SVS", "Slides/folder/secret.svs", "Slides/dead.svs"):
        for call in (core.filenames, core.image_info, core.fingerprint, core.delete_slide):
            with pytest.raises(NotFoundRefusal):
                call(path)
        with pytest.raises(Refusal):
            core.find_for_download(path, path.rpartition("/")[2])
    with pytest.raises(NotFoundRefusal):
        announce(core, "Slides/folder", "x.svs")
    with pytest.raises((Refusal, OSError)):
        core.create_directory("Slides/folder/new")
    assert [p.name for p in outside.iterdir()] == ["secret.svs"]


@POSIX
def test_an_uploaded_file_replaces_a_link_and_not_its_target(outside: Path, core: Core) -> None:
    for name in ("link.svs", "dead.svs"):
        receive(core, "Slides", name)
        assert core.files("Slides")[-1] == f"Slides/{name}" or f"Slides/{name}" in core.files("Slides")
    assert (outside / "secret.svs").read_bytes() == b"secret"
    assert not (outside / "not there.svs").exists()


@POSIX
def test_a_root_directory_is_no_link(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "Boxes").symlink_to(outside)
    with pytest.raises(UsageError, match="symbolic link"):
        Sandbox(Settings(data=tmp_path / "data", password="p", roots=("Boxes",))).start()


@POSIX
def test_the_log_is_for_nobody_else(tmp_path: Path) -> None:
    log = tmp_path / ".sandbox" / "state.jsonl"
    for _ in range(2):
        Core(Settings(data=tmp_path, password="p")).close()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
        log.chmod(0o644)  # as older versions made it
    log.unlink()
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        Core(Settings(data=tmp_path, password="p"))
    assert not (tmp_path / "elsewhere").exists()


# The three things that may become of `case 1.`


def folding(tmp_path: Path, names: Any) -> Core:
    return Core(Settings(data=tmp_path / "data", password="p", names=names))


def test_refused(tmp_path: Path) -> None:
    core = folding(tmp_path, "refuse")
    with pytest.raises(Refusal, match="ends with a dot or a space"):
        core.create_directory("Slides/case 1.")
    core.close()


@pytest.mark.parametrize("names", ["fold", "tell"])
def test_folded(tmp_path: Path, names: str) -> None:
    core = folding(tmp_path, names)
    core.create_directory("Slides/case 1.")
    assert core.directories("Slides") == ["Slides/case 1"]
    with pytest.raises(Refusal, match="exists already"):
        core.create_directory("Slides/case 1 ")
    receive(core, "Slides/case 1.", "s.svs")
    shown = "Slides/case 1./s.svs" if names == "fold" else "Slides/case 1/s.svs"
    assert core.files("Slides/case 1.") == [shown]
    assert [file["Path"] for file in core.filenames("Slides/case 1./s.svs")] == [shown]
    assert core.files("Slides/case 1") == ["Slides/case 1/s.svs"]
    receive(core, "Slides/case 1 ", "s.svs", b"other")
    assert (tmp_path / "data" / "Slides" / "case 1" / "s.svs").read_bytes() == b"other"
    core.close()


@pytest.mark.parametrize("names", ["fold", "tell"])
def test_files_of_a_slide_are_reported_as_they_were_asked_for(tmp_path: Path, names: str) -> None:
    core = folding(tmp_path, names)
    files = [("A..mrxs", True), ("A./Data0.dat", False)]
    upload, storage, _ = core.announce("Slides", [{"Path": p, "Length": 1, "IsMain": m} for p, m in files])
    for path, _ in files:
        incoming = storage.open_incoming()  # type: ignore[attr-defined]
        incoming.write([b"x"])
        storage.commit(incoming, upload.path(upload.files[path]))  # type: ignore[attr-defined]
        core.uploads.record_arrival(upload, path)
    listed = {file["Path"] for file in core.filenames("Slides/A..mrxs")}
    folder = "A." if names == "fold" else "A"
    assert listed == {"Slides/A..mrxs", f"Slides/{folder}/Data0.dat"}, json.dumps(sorted(listed))
    core.close()


def test_no_other_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="refuse or fold or tell"):
        folding(tmp_path, "keep")
