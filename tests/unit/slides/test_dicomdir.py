"""DICOM media: a directory and the files it lists."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from support.corpus import tree
from support.corpus_dicom import write_dicomdir

from pmarep.slides import Slide, dicomdir, find_slides
from pmarep.slides.companions import Companions
from pmarep.slides.folder import Folder
from pmarep.slides.model import Why


def collect(folder: Path, name: str = "DICOMDIR") -> Companions:
    return dicomdir.collect(Folder(str(folder)), name)


def paths(parts: Companions) -> list[str]:
    return sorted(part.path for part in parts.files)


def rewrite(folder: Path, **values: object) -> None:
    """Changes the last record that names a file."""
    directory = dcmread(folder / "DICOMDIR")
    record = [one for one in directory.DirectoryRecordSequence if "ReferencedFileID" in one][-1]
    for keyword, value in values.items():
        if value is None:
            delattr(record, keyword)
        else:
            setattr(record, keyword, value)
    directory.save_as(folder / "DICOMDIR")


def test_all_that_a_directory_lists(tmp_path: Path) -> None:
    import wsidicom

    listed = write_dicomdir(tmp_path, ct=True)
    tree(tmp_path, "PT000000/README.TXT", "viewer.exe")
    parts = collect(tmp_path)
    assert parts.problems == []
    assert paths(parts) == listed
    assert len(listed) == 4
    with wsidicom.WsiDicom.open_dicomdir(tmp_path / "DICOMDIR") as wsi:
        assert len(wsi.levels) == 2


def test_a_directory_of_something_else_is_no_slide(tmp_path: Path) -> None:
    write_dicomdir(tmp_path, ct=True, slide=False)
    parts = collect(tmp_path)
    assert (parts.why, parts.files) == (Why.NOT_A_SLIDE, [])
    assert parts.problems == ["a DICOM directory without whole-slide images"]


def test_a_missing_file(tmp_path: Path) -> None:
    *others, last = write_dicomdir(tmp_path)
    (tmp_path / last).unlink()
    parts = collect(tmp_path)
    assert parts.problems == [f"missing: {last}"]
    assert paths(parts) == others


def test_all_files_missing(tmp_path: Path) -> None:
    listed = write_dicomdir(tmp_path)
    (tmp_path / "PT000000").rename(tmp_path / "elsewhere")
    parts = collect(tmp_path)
    assert (parts.files, parts.why) == ([], Why.INCOMPLETE)
    assert parts.problems == [f"missing: {', '.join(listed)}"]


def test_names_in_another_case_are_sent_as_the_directory_has_them(tmp_path: Path) -> None:
    listed = write_dicomdir(tmp_path)
    for path in sorted(tmp_path.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    parts = collect(tmp_path, "dicomdir")
    assert parts.problems == []
    assert paths(parts) == listed
    assert {part.local for part in parts.files} == {path.lower() for path in listed}


def test_the_directory_itself_in_another_case(tmp_path: Path) -> None:
    write_dicomdir(tmp_path)
    (tmp_path / "DICOMDIR").rename(tmp_path / "dicomdir")
    (slide,) = find_slides(tmp_path)
    assert isinstance(slide, Slide)
    assert (slide.main.path, slide.main.local_name) == ("DICOMDIR", "dicomdir")


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("name", [["..", "A"], ["", "ETC", "PASSWD"], [".", "A"], ["PT000000", "", "A"]])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, name: list[str]) -> None:
    tree(tmp_path, "A", "in/")
    write_dicomdir(tmp_path / "in")
    rewrite(tmp_path / "in", ReferencedFileID=name)
    parts = collect(tmp_path / "in")
    (problem,) = parts.problems
    assert problem.startswith("its index names files outside its own folder: ")
    assert len(parts.files) == 2


def test_a_record_that_is_not_in_use(tmp_path: Path) -> None:
    *others, last = write_dicomdir(tmp_path)
    (tmp_path / last).unlink()
    rewrite(tmp_path, RecordInUseFlag=0)
    parts = collect(tmp_path)
    assert (paths(parts), parts.problems) == (others, [])


def test_a_directory_that_names_itself(tmp_path: Path) -> None:
    write_dicomdir(tmp_path)
    rewrite(tmp_path, ReferencedFileID="DICOMDIR")
    assert "DICOMDIR" not in paths(collect(tmp_path))


def test_records_without_a_class_are_looked_up(tmp_path: Path) -> None:
    for slide, why in ((True, []), (False, ["a DICOM directory without whole-slide images"])):
        folder = tmp_path / str(slide)
        write_dicomdir(folder, slide=slide, ct=True)
        directory = dcmread(folder / "DICOMDIR")
        for record in directory.DirectoryRecordSequence:
            if "ReferencedSOPClassUIDInFile" in record:
                del record.ReferencedSOPClassUIDInFile
        directory.save_as(folder / "DICOMDIR")
        assert collect(folder).problems == why


def test_a_listed_file_that_is_damaged(tmp_path: Path) -> None:
    first, second, _ = write_dicomdir(tmp_path)
    (tmp_path / first).write_bytes((tmp_path / first).read_bytes()[:-50])
    (tmp_path / second).write_bytes(b"hello")
    assert collect(tmp_path).problems == [
        f"{second}: no DICOM file, whatever its name says",
        f"cut off: {first}",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"hello", "cannot be read as a DICOM directory: no DICOM file, whatever its name says"),
        (b"", "cannot be read as a DICOM directory: the file is empty"),
        (bytes(128) + b"DICM", "cannot be read as a DICOM directory: it has no records"),
    ],
)
def test_files_that_are_no_dicomdir(tmp_path: Path, content: bytes, problem: str) -> None:
    tree(tmp_path, "DICOMDIR", content=content)
    assert collect(tmp_path).problems == [problem]


def test_a_directory_without_records(tmp_path: Path) -> None:
    write_dicomdir(tmp_path)
    directory = dcmread(tmp_path / "DICOMDIR")
    directory.DirectoryRecordSequence = []
    directory.save_as(tmp_path / "DICOMDIR")
    assert collect(tmp_path).why is Why.NOT_A_SLIDE


def test_a_directory_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dicomdir(tmp_path)
    monkeypatch.setattr(dicomdir, "_LIMIT", 500)
    assert collect(tmp_path).problems == ["cannot be read as a DICOM directory: larger than 0 MiB"]


@given(data=st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    content = bytearray(_sample())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(132, len(content) - 1))
        content[at] = data.draw(st.sampled_from([0, 255]) | st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "DICOMDIR").write_bytes(content[: data.draw(st.integers(132, len(content)))])
        assert collect(Path(folder)).problems


_SAMPLE: list[bytes] = []


def _sample() -> bytes:
    if not _SAMPLE:
        with tempfile.TemporaryDirectory() as folder:
            write_dicomdir(Path(folder), ct=True)
            _SAMPLE.append((Path(folder) / "DICOMDIR").read_bytes())
    return _SAMPLE[0]
