"""Index files in the code page of the machine that wrote them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import write_afi, write_menarini, write_ndpis, write_vms
from support.discovery import discover

from pmarep.slides import Why, index_file

NAMES = [
    ("cp932", "胃生検"),
    ("cp932", "表ソ能"),  # with a backslash as the second byte
    ("gb18030", "胃活检"),
    ("cp949", "위생검"),
    ("cp950", "胃活檢"),
    ("cp1251", "образец"),
    ("cp1250", "řež č. 1"),
    ("cp1253", "τομή"),
    ("cp1256", "عينة"),
    ("cp1252", "Größe"),
    ("cp850", "Größe"),
    ("utf-8", "胃生検"),
    ("utf-16", "胃生検"),
]


def ndpis(folder: Path, stem: str) -> Path:
    return write_ndpis(folder / "set.ndpis", names=[f"{stem}-DAPI.ndpi", f"{stem}-FITC.ndpi"])


def vms(folder: Path, stem: str) -> Path:
    return write_vms(folder / f"{stem}.vms")


def afi(folder: Path, stem: str) -> Path:
    path = write_afi(folder / "set.afi", names=[f"{stem}_DAPI.svs", f"{stem}_FITC.svs"])
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(' encoding="utf-8"', ""), encoding="utf-8")
    return path


def menarini(folder: Path, stem: str) -> Path:
    return write_menarini(folder / f"{stem}.ini")


def encoded(index: Path, encoding: str) -> None:
    index.write_bytes(index.read_bytes().decode("utf-8").encode(encoding))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(("encoding", "stem"), NAMES)
@pytest.mark.parametrize("make", [ndpis, vms, afi, menarini])
def test_the_files_of_an_index_are_found(
    tmp_path: Path, make: Callable[[Path, str], Path], encoding: str, stem: str, form: str
) -> None:
    index = make(tmp_path, stem)
    encoded(index, encoding)
    for path in [*tmp_path.iterdir()]:
        path.rename(path.with_name(unicodedata.normalize(form, path.name)))  # type: ignore[arg-type]
    main = unicodedata.normalize(form, index.name)  # type: ignore[arg-type]
    found = discover(tmp_path)
    assert list(found.slides) == [main]
    assert found.left == {}
    assert len(found.slides[main]) == len([*tmp_path.iterdir()])


def test_what_is_missing_is_reported_in_its_own_letters(tmp_path: Path) -> None:
    encoded(ndpis(tmp_path, "胃生検"), "cp932")
    (tmp_path / "胃生検-FITC.ndpi").unlink()
    found = discover(tmp_path)
    assert found.left == {"set.ndpis": Why.INCOMPLETE}
    assert found.detail("set.ndpis") == "missing: 胃生検-FITC.ndpi"


def test_where_nothing_is_there_it_is_as_it_was(tmp_path: Path) -> None:
    encoded(ndpis(tmp_path, "Größe"), "cp1252")
    for path in tmp_path.glob("*.ndpi"):
        path.unlink()
    assert discover(tmp_path).detail("set.ndpis") == "missing: Größe-DAPI.ndpi, Größe-FITC.ndpi"


def test_a_large_index_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_file, "_LARGEST", 20)
    encoded(ndpis(tmp_path, "胃生検"), "cp932")
    found = discover(tmp_path)
    assert found.left == {"set.ndpis": Why.INCOMPLETE}
