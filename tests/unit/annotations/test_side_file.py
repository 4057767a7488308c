"""Side files: what is written is read again, what is none is said."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from support.annotations import WILD_NOTES, annotation

from pmarep.annotations.comparison import missing_from
from pmarep.annotations.side_file import (
    SideFileError,
    local_side_file,
    read_side_file,
    side_file_of,
    write_side_file,
)

EXPORTED = "2026-11-28T00:00:00+00:00"


def test_a_side_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    wild = [annotation(number, Notes=notes) for number, notes in enumerate(WILD_NOTES)]
    wild += [annotation(Geometry="broken (", Classification=None, DrawingType=3, AuditCreatedBy="anna")]
    file = side_file_of(tmp_path / "fall 1" / "切片.svs")
    assert file.name == "切片.svs.annotations.json"
    write_side_file(file, "fall 1/切片.svs", "abc", wild, EXPORTED)
    found = read_side_file(file)
    assert found is not None
    assert found.fingerprint == "abc"
    assert [one.fields() for one in found.annotations] == [one.fields() for one in wild]
    assert found.annotations[-1].created_by == "anna"
    assert missing_from(wild, found.annotations) == []
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_none(tmp_path: Path) -> None:
    assert read_side_file(tmp_path / "x.annotations.json") is None
    (tmp_path / "folder.annotations.json").mkdir()
    assert read_side_file(tmp_path / "folder.annotations.json") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "without a list"),
        ('{"pmarep_annotations": 1, "annotations": {}}', "without a list"),
        ('{"annotations": []}', "of version None"),
        ('{"pmarep_annotations": 2, "annotations": []}', "of version 2"),
        ('{"pmarep_annotations": 1, "fingerprint": 3, "annotations": []}', "fingerprint"),
        ('{"pmarep_annotations": 1, "annotations": [{"LayerID": "x"}]}', "another kind"),
        ('{"pmarep_annotations": 1, "annotations": [7]}', "another kind"),
    ],
)
def test_a_broken_side_file_is_refused_with_its_reason(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "x.svs.annotations.json"
    file.write_text(content)
    with pytest.raises(SideFileError, match=words) as caught:
        read_side_file(file)
    assert "; " in str(caught.value)


def test_unknown_keys_are_tolerated(tmp_path: Path) -> None:
    file = tmp_path / "x.svs.annotations.json"
    one = {**annotation().fields(), "Novel": [1], "State": None}
    file.write_text(json.dumps({"pmarep_annotations": 1, "novel": 1, "annotations": [one]}))
    found = read_side_file(file)
    assert found is not None
    assert found.annotations == (annotation(),)


@pytest.mark.parametrize(
    "path", ["../x.svs", "a/../../x.svs", "/etc/x.svs", "a//x.svs", "a\\..\\x.svs", "", ".", "a\0.svs"]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(SideFileError, match="cannot be called"):
        local_side_file(tmp_path, path)


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(SideFileError, match="leads out"):
        local_side_file(tmp_path / "in", "link/x.svs")
    assert local_side_file(tmp_path / "in", "a/x.svs") == tmp_path / "in" / "a" / "x.svs.annotations.json"


def test_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SideFileError, match="cannot write"):
        write_side_file(tmp_path / "file" / "x.annotations.json", "x", None, [], EXPORTED)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows says it otherwise")
def test_a_name_that_is_too_long_here(tmp_path: Path) -> None:
    with pytest.raises(SideFileError, match="too long"):
        write_side_file(side_file_of(tmp_path / ("x" * 250)), "x", None, [], EXPORTED)
