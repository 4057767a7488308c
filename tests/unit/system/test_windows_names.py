"""What Windows takes for one name, and what may stand on a terminal."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.system.windows_names import (
    collision_key,
    is_altered_by_windows,
    is_windows_device,
    normalized_key,
    windows_key,
)
from pmarep.text import printable

parts = st.text(st.sampled_from("aAbß.ı äÄé日:?_"), min_size=1, max_size=6)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
endings = st.text(st.sampled_from(". "), max_size=4)


@given(paths, st.lists(endings, min_size=4, max_size=4), st.sampled_from(["NFC", "NFD"]))
def test_names_that_windows_takes_for_one_place_have_one_collision_key(
    path: str, ends: list[str], form: Literal["NFC", "NFD"]
) -> None:
    other = "/".join(part + end for part, end in zip(path.split("/"), ends, strict=False))
    for same in (other, windows_key(path), unicodedata.normalize(form, path), path.replace(":", "?")):
        assert collision_key(same) == collision_key(path)
    assert collision_key(f"{path}\n{other}").split("\n") == [collision_key(path)] * 2


@given(paths, paths)
def test_other_places(one: str, other: str) -> None:
    """What neither Windows nor people alter is the same place only in another case."""
    if (
        not is_altered_by_windows(one)
        and not is_altered_by_windows(other)
        and unicodedata.is_normalized("NFC", one + "/" + other)
    ):
        assert (collision_key(one) == collision_key(other)) == (windows_key(one) == windows_key(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.b", "a b"), (" a", "a"), ("a.svs", "asvs"), ("ß", "ss"), ("ı", "i"), ("a/b", "ab"), (".a", "a")],
)
def test_names_that_stay_apart(one: str, other: str) -> None:
    assert collision_key(one) != collision_key(other)
    assert normalized_key(one) != normalized_key(other)


@pytest.mark.parametrize("name", ["NUL", "nul.svs", "Con", "COM1.tar.gz", "lpt9 .svs", "COM¹.svs", "conin$", "AUX."])
def test_devices(name: str) -> None:
    assert is_windows_device(name)


@pytest.mark.parametrize("name", ["", "NULL.svs", "xCON", "COM10", "COM", "a.NUL", "conf.svs", "AUXiliary"])
def test_no_devices(name: str) -> None:
    assert not is_windows_device(name)


@pytest.mark.parametrize("name", ["Surname, A.", "a /b.svs", "a./b", "a:b", "x?.svs", "...", "a. /b"])
def test_names_that_windows_alters_are_recognized(name: str) -> None:
    assert is_altered_by_windows(name)


@pytest.mark.parametrize("name", ["a.svs", " a", ".a/b", "a b", "Größe 1.2/x.svs", "a..b"])
def test_names_that_windows_keeps_are_not_altered(name: str) -> None:
    assert not is_altered_by_windows(name)


@given(st.text())
def test_nothing_printable_disturbs(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("\x1b\x9b\r\n\t\u2028\u2029\u202e\u202d\u2066\u200f\u061c\u200b\ufeff\x7f\U000e0041")
    assert printable(shown) == shown
    shown.encode()


@pytest.mark.parametrize("text", ["胃生検　12", "Präparat Größe", "می\u200cخواهم", "👩\u200d🔬", "a\xa0b", "e\u0301"])
def test_printable_leaves_the_letters_of_all_languages_alone(text: str) -> None:
    assert printable(text) == text
