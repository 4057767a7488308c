"""Paths that a PMA.core may take for one: the second is reported, in whatever part they differ."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_ndpis
from support.discovery import discover

from pmarep.cli.slides.advice import advice
from pmarep.engine.discovery.collisions import NameCollisions, collision_keys
from pmarep.slides import LeftOut, Slide, Why, find_slides

NFC, NFD = (unicodedata.normalize(form, "ä") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "twins",
    [
        ("case 1/s.svs", "case 1 /s.svs", "case 1./s.svs"),
        ("a/b/c.svs", "a./b/c.svs", "A/b ./c.svs", "a/B./C.svs"),
        ("a/s.svs", "A ./S.svs"),
        (f"{NFC}/s.svs", f"{NFD}/s.svs"),
        (f"{NFC}.svs", f"{NFD}.svs", f"{NFC.upper()}.SVS"),
        ("a_b.svs", "a:b.svs", "a?b.svs"),
        ("a_/s.svs", "a*./s.svs"),
    ],
)
def test_all_but_one_are_reported(tmp_path: Path, twins: tuple[str, ...]) -> None:
    tree(tmp_path, *twins, "other/s.svs")
    found = discover(tmp_path)
    left = {path for path, why in found.left.items() if why is Why.BAD_NAME}
    assert len(set(found.slides) & set(twins)) == 1
    assert set(found.slides) | left == {*twins, "other/s.svs"}
    for path in left:
        assert any(other in found.detail(path) for other in found.slides)


def test_each_kind_of_twin_has_its_words(tmp_path: Path) -> None:
    tree(tmp_path, "a/s.svs", "a./s.svs", "A/s.svs", "a_b.svs", "a?b.svs", f"{NFC}.svs", f"{NFD}.svs")
    details = {thing.detail for thing in find_slides(tmp_path) if isinstance(thing, LeftOut)}
    assert len(details) == 4
    assert any("differs only in case from" in words for words in details)
    assert any("which drops dots and blanks at the end" in words for words in details)
    assert any("which does not allow all of its characters" in words for words in details)
    assert any("with its letters composed otherwise" in words for words in details)
    for thing in find_slides(tmp_path):
        assert isinstance(thing, Slide) or "rename one of the two" in advice(thing)


def test_folders_of_slides(tmp_path: Path) -> None:
    """Their files would become a mixture."""
    for name in ("Surname, A", "Surname, A.", "Surname, A. "):
        write_mirax(tmp_path / f"{name}.mrxs")
    found = discover(tmp_path)
    assert len(found.slides) == 1
    assert sum(path.endswith(".mrxs") and why.is_problem for path, why in found.left.items()) == 2


def test_files_of_one_slide(tmp_path: Path) -> None:
    write_ndpis(tmp_path / "n.ndpis", names=["x.ndpi", "x.ndpi."])
    assert discover(tmp_path).slides == {}


@pytest.mark.parametrize("path", ["NUL.svs", "aux/deep/a.svs", "x/Com1.y/a.svs", "con .svs"])
def test_devices_are_never_sent(tmp_path: Path, path: str) -> None:
    tree(tmp_path, path, "ok.svs")
    found = discover(tmp_path)
    assert set(found.slides) == {"ok.svs"}
    assert found.left == {path: Why.BAD_NAME}
    assert "the name of a device" in found.detail(path)


def test_a_name_that_windows_alters_goes_where_it_has_no_twin(tmp_path: Path) -> None:
    """A bucket may keep it; whoever does not says so."""
    tree(tmp_path, "Surname, A./s.tif", "Surname, A/other.svs", content=b"II*\0" + bytes(100))
    assert "Surname, A./s.tif" in discover(tmp_path).slides


def test_two_sources(tmp_path: Path) -> None:
    tree(tmp_path, "one/case 1/s.svs", "two/Case 1./s.svs")
    clashes = NameCollisions[int]()
    found = [thing for name in ("one", "two") for thing in find_slides(tmp_path / name) if isinstance(thing, Slide)]
    claims = [[(key, number) for key in collision_keys(slide)] for number, slide in enumerate(found)]
    assert list(map(clashes.claim, claims)) == [None, 0]
    clashes.close()
