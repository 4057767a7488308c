"""--include and --exclude patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import UsageError
from pmarep.slides.selection import PatternList, Selection, describe_unmatched


def pattern_list(*patterns: str) -> PatternList:
    return PatternList("--include", patterns, set())


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.svs", ["a.svs", "x/y/a.svs", "A.SVS", ".svs", "a.svs/b"], ["a.svsx", "a.ndpi"]),
        ("a?.svs", ["ab.svs", "x/a-.svs"], ["a.svs", "abc.svs", "a/.svs"]),
        ("/a.svs", ["a.svs"], ["x/a.svs"]),
        ("x/*.svs", ["x/a.svs", "x/a.svs/b"], ["a.svs", "x/y/a.svs", "z/x/a.svs"]),
        ("x/**/*.svs", ["x/a.svs", "x/y/a.svs", "x/y/z/a.svs"], ["a.svs", "z/x/a.svs"]),
        ("**/x/*.svs", ["x/a.svs", "z/x/a.svs"], ["x/y/a.svs"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xx/a"]),
        ("x/", ["x/a", "x/y/a", "y/x/a"], ["x", "xx/a"]),
        ("x", ["x", "y/x", "x/a", "y/x/a"], ["xx/a", "a/xx"]),
        ("/x", ["x", "x/a"], ["y/x", "y/x/a"]),
        ("x/y", ["x/y", "x/y/a"], ["z/x/y", "x/z/y"]),
        ("\\!x", ["!x"], ["x"]),
        ("#x", ["#x"], ["x"]),
        ("**", ["a", "a/b/c"], []),
        ("**/**/a", ["a", "x/y/a", "a/b"], ["b/c"]),
        ("[ab].svs", ["a.svs", "B.svs"], ["c.svs", "ab.svs", "[ab].svs"]),
        ("[!a-c].svs", ["d.svs"], ["a.svs", "B.svs"]),
        ("[[]x[]].svs", ["[x].svs"], ["x.svs"]),
        ("a[[].svs", ["a[.svs"], ["a.svs"]),
        ("[*].svs", ["*.svs"], ["a.svs"]),
        ("a.b+c(d)$", ["a.b+c(d)$"], ["axb+c(d)$"]),
        ("ä*", ["äb", "a\u0308b", "ÄB"], ["ab"]),
        ("{a,b}.svs", ["{a,b}.svs"], ["a.svs"]),
        ("ß.svs", ["ß.svs"], ["ss.svs"]),
        ("a\n*", ["a\nb"], []),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = pattern_list(pattern).matches
    assert [path for path in matching if not matches(path)] == []
    assert [path for path in other if matches(path)] == []


def test_an_exclamation_mark_takes_back_what_is_in_no_folder_that_matches() -> None:
    patterns = pattern_list("*.svs", "old/", "!a.svs", "!old/b.svs")
    assert [path for path in ("a.svs", "x/a.svs", "b.svs", "old/a.svs", "old/b.svs") if patterns.matches(path)] == [
        *("b.svs", "old/a.svs", "old/b.svs")
    ]


def test_selection() -> None:
    assert Selection().refusal("a.svs") is None
    assert Selection(["*.svs"]).refusal("a.ndpi") == "matches no --include"
    assert Selection(["*.svs", "*.ndpi"]).refusal("a.ndpi") is None
    assert Selection(["*.svs"], ["a.*"]).refusal("a.svs") == "matches an --exclude"


def test_patterns_that_match_nothing_are_reported() -> None:
    matched: set[tuple[str, str]] = set()
    include, exclude = ["*.svs", "*.ndpi"], ["old", "a.svs", "!a.svs"]
    selection = Selection(include, exclude, matched=matched)
    assert selection.refusal("a.svs") is None
    assert selection.refusal("x/old/b.ndpi") == "matches an --exclude"
    assert describe_unmatched(include, exclude, matched) == []
    assert describe_unmatched(["*.scn", *include], ["a\nb"], matched) == [
        *("--include '*.scn' matches no slide", "--exclude 'a\\\\x0ab' matches no slide")
    ]


@pytest.mark.parametrize("pattern", ["", "/", "//", "!", "a\\b", "a[.svs", "[z-a]", "old\\*", "a\\"])
def test_patterns_that_can_never_match(pattern: str) -> None:
    with pytest.raises(UsageError):
        pattern_list(pattern)


def test_a_mean_pattern_does_not_take_forever() -> None:
    assert not pattern_list("*a" * 60 + "b").matches("a" * 250)
    assert not pattern_list("**/a/" * 60 + "b").matches("a/" * 120 + "a")


parts = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]), min_size=1, max_size=8)
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)


def quoted(path: str) -> str:
    """Return a pattern, or the rest of one, for exactly this path."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def whole(pattern: str) -> str:
    """Keep a "!" at a pattern's beginning, and only there, from negating it."""
    return "\\" + pattern if pattern.startswith("!") else pattern


@given(paths)
def test_a_quoted_path_matches_itself_and_as_a_whole(path: str) -> None:
    patterns = pattern_list("/" + quoted(path))
    assert patterns.matches(path)
    assert patterns.matches(path + "/x")
    assert not patterns.matches(path + "x")


@given(paths, paths)
def test_stars_stop_at_folders_and_double_stars_do_not(above: str, below: str) -> None:
    path = f"{above}/{below}"
    assert pattern_list(whole(f"{quoted(above)}/**")).matches(path)
    assert pattern_list(f"**/{quoted(below)}").matches(path)
    assert pattern_list("/" + "/".join("*" for _ in path.split("/"))).matches(path)
    assert not pattern_list("/" + "/".join("*" for _ in range(path.count("/") + 2))).matches(path)


@given(st.lists(st.text("abcXYZ äÖ", min_size=1, max_size=8), min_size=1, max_size=4).map("/".join))
def test_case_does_not_matter(path: str) -> None:
    assert pattern_list("/" + path.swapcase()).matches(path)


@given(paths, paths)
def test_a_pattern_without_folders_is_for_the_last_name_only(path: str, above: str) -> None:
    name = path.rpartition("/")[2]
    assert pattern_list(whole(quoted(name))).matches(name)
    assert pattern_list(whole(quoted(name))).matches(f"{above}/{name}")
