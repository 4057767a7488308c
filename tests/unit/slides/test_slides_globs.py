"""--include and --exclude patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import UsageError
from pmarep.slides.globs import Glob, Selection


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.svs", ["a.svs", "x/y/a.svs", "A.SVS", ".svs"], ["a.svs/b", "a.svsx", "a.ndpi"]),
        ("a?.svs", ["ab.svs", "x/a-.svs"], ["a.svs", "abc.svs", "a/.svs"]),
        ("/a.svs", ["a.svs"], ["x/a.svs"]),
        ("x/*.svs", ["x/a.svs"], ["a.svs", "x/y/a.svs", "z/x/a.svs"]),
        ("x/**/*.svs", ["x/a.svs", "x/y/a.svs", "x/y/z/a.svs"], ["a.svs", "z/x/a.svs"]),
        ("**/x/*.svs", ["x/a.svs", "z/x/a.svs"], ["x/y/a.svs"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xx/a"]),
        ("x/", ["x/a", "x/y/a"], ["x", "xx/a", "y/x/a"]),
        ("**", ["a", "a/b/c"], []),
        ("**/**/a", ["a", "x/y/a"], ["a/b"]),
        ("[ab].svs", ["a.svs", "B.svs"], ["c.svs", "ab.svs", "[ab].svs"]),
        ("[!a-c].svs", ["d.svs"], ["a.svs", "B.svs"]),
        ("[[]x[]].svs", ["[x].svs"], ["x.svs"]),
        ("a[.svs", ["a[.svs"], ["a.svs"]),
        ("[*].svs", ["*.svs"], ["a.svs"]),
        ("a.b+c(d)$", ["a.b+c(d)$"], ["axb+c(d)$"]),
        ("ä*", ["äb", "a\u0308b", "ÄB"], ["ab"]),
        ("{a,b}.svs", ["{a,b}.svs"], ["a.svs"]),
        ("ß.svs", ["ß.svs"], ["ss.svs"]),
        ("a\n*", ["a\nb"], []),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    glob = Glob(pattern)
    assert [path for path in matching if not glob.matches(path)] == []
    assert [path for path in other if glob.matches(path)] == []


def test_selection() -> None:
    assert Selection().refusal("a.svs") is None
    assert Selection(["*.svs"]).refusal("a.ndpi") == "matches no --include"
    assert Selection(["*.svs", "*.ndpi"]).refusal("a.ndpi") is None
    assert Selection(["*.svs"], ["a.*"]).refusal("a.svs") == "matches an --exclude"


@pytest.mark.parametrize("pattern", ["", "/", "//", "a\\b"])
def test_patterns_that_can_never_match(pattern: str) -> None:
    with pytest.raises(UsageError):
        Glob(pattern)


def test_a_mean_pattern_does_not_take_forever() -> None:
    assert not Glob("*a" * 60 + "b").matches("a" * 250)
    assert not Glob("**/a/" * 60 + "b").matches("a/" * 120 + "a")


parts = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]), min_size=1, max_size=8)
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)


def quoted(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


@given(paths)
def test_a_quoted_path_matches_itself_and_as_a_whole(path: str) -> None:
    glob = Glob("/" + quoted(path))
    if "**" not in quoted(path).split("/"):
        assert glob.matches(path)
    assert not glob.matches("x/" + path)
    assert not glob.matches(path + "/x")
    assert not glob.matches(path + "x")


@given(paths, paths)
def test_stars_stop_at_folders_and_double_stars_do_not(above: str, below: str) -> None:
    path = f"{above}/{below}"
    assert Glob(f"{quoted(above)}/**").matches(path)
    assert Glob(f"**/{quoted(below)}").matches(path)
    assert Glob("/" + "/".join("*" for _ in path.split("/"))).matches(path)
    assert not Glob("/" + "/".join("*" for _ in range(path.count("/")))).matches(path)


@given(st.lists(st.text("abcXYZ äÖ", min_size=1, max_size=8), min_size=1, max_size=4).map("/".join))
def test_case_does_not_matter(path: str) -> None:
    assert Glob("/" + path.swapcase()).matches(path)


@given(paths, paths)
def test_a_pattern_without_folders_is_for_the_last_name_only(path: str, above: str) -> None:
    name = path.rpartition("/")[2]
    assert Glob(quoted(name)).matches(name)
    assert Glob(quoted(name)).matches(f"{above}/{name}")
