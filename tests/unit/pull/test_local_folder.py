"""Nothing is written outside DIR, whatever a server says; names that a disk cannot hold are told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.engine import Existing
from pmarep.engine.slide.action import Action
from pmarep.errors import PmarepError
from pmarep.pmacore import RemoteFile
from pmarep.pull import local_folder
from pmarep.pull.local_folder import LocalFolder, UnusableName
from pmarep.pull.partial_file import PartialFile
from pmarep.pull.plan import local_name, plan_slide
from pmarep.remote.tree import RemoteSlide

PARTS = st.sampled_from(
    [
        *(
            "..",
            ".",
            "",
            "...",
            "~",
            "C:",
            "c:\\x",
            "\\\\server\\share",
            "a\\..\\..\\b",
            "/",
            "//",
            "NUL",
            "a\0b",
            "\n",
        ),
        *("link", "loop", "file", "a", "A", "\u00e9", "e\u0301", "\udcff", "\ud800", "x" * 300, "%2e%2e", "..%2f"),
        *(".pmarep-pull.lock", ".PMAREP-x", "..\u200b", "\uff0e\uff0e", "\u2024\u2024", "x.svs"),
    ]
)
PATHS = st.lists(PARTS | st.text(max_size=4), max_size=6).map("/".join)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DIR in it, in which links lead out, and to themselves."""
    outside = tmp_path_factory.mktemp("outside")
    here = outside / "deep" / "here"
    here.mkdir(parents=True)
    if sys.platform != "win32":
        (here / "link").symlink_to("../..")
        (here / "loop").symlink_to("loop")
    (here / "file").write_bytes(b"")
    (outside / "secret.svs").write_bytes(b"secret")
    return outside


def tree(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@given(path=PATHS)
def test_no_name_leads_out(outside: Path, path: str) -> None:
    here = outside / "deep" / "here"
    folder = LocalFolder(here)
    before = tree(outside)
    file = RemoteFile(path=path, size=1)
    try:
        where = folder.locate(local_name("", path))
        folder.make_parents(where)
        part = PartialFile("0" * 12, file, where)
        part.open()
        part.write(0, b"x", part.generation)
        part.finish()
        part.commit()
    except (PmarepError, OSError):
        pass
    new = tree(outside) - before
    assert all(Path(one).resolve().is_relative_to(here.resolve()) for one in new)
    assert (outside / "secret.svs").read_bytes() == b"secret"
    for one in sorted(new, reverse=True):
        Path(one).unlink() if Path(one).is_file() or Path(one).is_symlink() else Path(one).rmdir()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../x.svs", "no path of a slide"),
        ("a/../x.svs", "no path of a slide"),
        ("a//x.svs", "no path of a slide"),
        ("a\\x.svs", "no path of a slide"),
        ("a\0.svs", "no path of a slide"),
        ("\ud800.svs", "characters that are none"),
        (".pmarep-x.part", "rename it at the site"),
        (f"{'x' * 300}.svs", "cannot hold the name"),
        (f"{'x/' * 3000}.svs", "which no disk holds"),
        ("file/x.svs", "needs a folder"),
    ],
)
def test_names_that_are_told(outside: Path, path: str, words: str) -> None:
    with pytest.raises(UnusableName, match=words):
        LocalFolder(outside / "deep" / "here").locate(path)


@pytest.mark.parametrize("name", ["a:b.svs", "NUL.svs", "x.svs.", "x?.svs", "x ", "COM1"])
def test_names_that_windows_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = LocalFolder(tmp_path)
    if sys.platform != "win32":
        assert folder.locate(name) == tmp_path / name
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnusableName, match="Windows cannot hold"):
        folder.locate(name)


def test_names_that_the_disk_takes_for_one_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe").mkdir()
    folder = LocalFolder(tmp_path / "probe")
    assert list((tmp_path / "probe").iterdir()) == []
    (tmp_path / "\u00e9").touch()
    assert (folder.collision_key("A/\u00e9") == folder.collision_key("a/\u00e9")) == (tmp_path / "PROBE").exists()
    monkeypatch.setattr(local_folder, "_what_is_one_name", lambda _: (True, True))
    folder = LocalFolder(tmp_path)
    assert folder.collision_key("Stra\u00dfe/\u00c9") == folder.collision_key("STRA\u00dfE/e\u0301")


def slide(*files: tuple[str, int]) -> RemoteSlide:
    return RemoteSlide(files[-1][0], tuple(RemoteFile(path=path, size=size) for path, size in files))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("Slides/in/../../x", 1), ("Slides/in/a.mrxs", 1)], "no path of a slide"),
        ([("Slides/other/x", 1), ("Slides/in/a.mrxs", 1)], "it is left there"),
        ([("/etc/passwd", 1), ("Slides/in/a.mrxs", 1)], "it is left there"),
        ([("C:/x", 1), ("Slides/in/a.mrxs", 1)], "it is left there"),
        ([("Slides/in", 1), ("Slides/in/a.mrxs", 1)], "it is left there"),
        ([("Slides/in/x", -1), ("Slides/in/a.mrxs", 1)], "less than no bytes"),
        ([("Slides/in/x", 1), ("Slides/in/x", 1), ("Slides/in/a.mrxs", 1)], "same name on this disk"),
    ],
)
def test_slides_that_cannot_be(tmp_path: Path, files: list[tuple[str, int]], words: str) -> None:
    with pytest.raises(PmarepError, match=words):
        plan_slide(LocalFolder(tmp_path), "Slides/in", slide(*files), Existing.OVERWRITE)


def test_a_server_that_spells_a_folder_in_two_ways(tmp_path: Path) -> None:
    found = plan_slide(
        LocalFolder(tmp_path),
        "Slides/in",
        slide(("slides/IN/SUB/m/1.dat", 3), ("Slides/in/Sub/m.mrxs", 2)),
        Existing.FAIL,
    )
    assert [one.name for one in found.files] == ["m/1.dat", "m.mrxs"]
    assert [one.path for one in found.files] == [tmp_path / "Sub/m/1.dat", tmp_path / "Sub/m.mrxs"]


def test_a_slide_is_pulled_skipped_or_refused_by_what_lies_in_the_folder(tmp_path: Path) -> None:
    wanted = slide(("Slides/in/a/1.dat", 3), ("Slides/in/a.mrxs", 2))
    folder = LocalFolder(tmp_path)

    def plan(existing: Existing = Existing.FAIL) -> tuple[Action, list[str]]:
        found = plan_slide(folder, "Slides/in", wanted, existing)
        return found.action, [one.name for one in found.files]

    assert plan() == (Action.PULL, ["a/1.dat", "a.mrxs"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.dat").write_bytes(b"one")
    assert plan() == (Action.PULL, ["a/1.dat", "a.mrxs"])  # of the same size, and perhaps another: no time is known
    (tmp_path / "a.mrxs").write_bytes(b"xx")
    assert plan() == (Action.SKIP, [])
    (tmp_path / "a/1.dat").unlink()
    assert plan() == (Action.COMPLETE, ["a/1.dat"])
    (tmp_path / "a/1.dat").write_bytes(b"four")
    assert plan() == (Action.CONFLICT, [])
    assert plan(Existing.SKIP) == (Action.SKIP, [])
    assert plan(Existing.OVERWRITE) == (Action.REPLACE, ["a/1.dat", "a.mrxs"])
    (tmp_path / "a/1.dat").unlink()
    (tmp_path / "a/1.dat").mkdir()
    with pytest.raises(UnusableName, match="no file"):
        plan()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="for those who may not do everything")
def test_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PmarepError, match="cannot write to"):
        LocalFolder(tmp_path / "x")
