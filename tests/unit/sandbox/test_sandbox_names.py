from __future__ import annotations

import unicodedata

import pytest

from pmacore_sandbox.paths import check_windows_name, fold, split_path
from pmacore_sandbox.refusals import Refusal


@pytest.mark.parametrize(
    ("one", "other"), [("a.svs", "A.SVS"), ("ÄÖÜ.svs", "äöü.svs"), ("Ω", "ω"), ("Д.mrxs", "д.mrxs")]
)
def test_names_match_ignoring_case(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "STRASSE"), ("ı", "i"), ("é", unicodedata.normalize("NFD", "é")), ("a", "b")]
)
def test_names_that_ntfs_keeps_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    "name", ["a:b.svs", "what?.svs", "a*b", "a<b", "a>b", 'a"b', "a|b", "dot.", "space ", "NUL", "com1.svs", "a\tb",
             "\ud800.svs", "ä" * 256]
)  # fmt: skip
def test_names_that_windows_refuses(name: str) -> None:
    with pytest.raises(Refusal):
        check_windows_name(name)


@pytest.mark.parametrize(
    "name", ["a & b.svs", "50%+#1's.svs", "切片.svs", "Größe.svs", "x" * 200, " leading", "COM10.svs", "n.u.l", "com"]
)
def test_names_that_windows_takes(name: str) -> None:
    check_windows_name(name)


@pytest.mark.parametrize(
    "path", ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "a//b", "a/", "./a", "C:/x", "c:x", "a\\b",
             "\\\\server\\share", "//server/share", "a\x00b", "a\nb", None, 7]
)  # fmt: skip
def test_paths_that_lead_anywhere_but_down(path: object) -> None:
    with pytest.raises(Refusal):
        split_path(path, "The path")


def test_a_plain_path_is_split() -> None:
    assert split_path("x/Data 1.dat", "The path") == ("x", "Data 1.dat")
