"""Places at sites as people type them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pmarep.errors import ConfigError, UsageError
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.place import needed_place, parse_place, place_or_path

BOOK = """\
[defaults]
username = "x"
url = "https://a.example"
[sites.tokyo]
target = "Slides/in"
[sites.t]
target = "T"
[groups]
all = ["tokyo", "t"]
"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteBook:
    monkeypatch.chdir(tmp_path)
    return SiteBook.parse(BookText(tmp_path / "sites.toml", BOOK))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tokyo:", "Slides/in"),
        ("tokyo:2026/autumn", "Slides/in/2026/autumn"),
        ("tokyo:2026/", "Slides/in/2026"),
        ("tokyo:/", ""),
        ("tokyo:/Root", "Root"),
        ("tokyo:/Root/a b/ü&+#%:x.svs", "Root/a b/ü&+#%:x.svs"),
        ("tokyo:case 1.", "Slides/in/case 1."),  # a bucket may have such a name
    ],
)
def test_places_below_the_target_and_from_the_top(book: SiteBook, text: str, path: str) -> None:
    place = parse_place(text, book)
    assert place is not None
    assert (place.site.name, place.path, place.text) == ("tokyo", path, text)


@pytest.mark.parametrize("text", ["slides", "./tokyo:x", "a/tokyo:x", "/abs:x", ":x", "..\\a:b", "C\\d:e"])
def test_paths_of_this_machine(book: SiteBook, text: str) -> None:
    assert parse_place(text, book) is None
    assert place_or_path(text, book) == Path(text)


@pytest.mark.skipif(sys.platform == "win32", reason="no such file name there")
def test_a_site_wins_over_a_file_and_a_file_over_an_unknown_site(book: SiteBook) -> None:
    for name in ("tokyo:x", "zip:x"):
        Path(name).touch()
    assert parse_place("tokyo:x", book) is not None
    assert parse_place("zip:x", book) is None


def test_a_single_letter_and_a_colon_is_a_drive_on_windows(book: SiteBook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_place("t:x", book) is not None
    monkeypatch.setattr(sys, "platform", "win32")
    assert parse_place("t:x", book) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("toyko:x", 'did you mean "tokyo"'),
        ("toyko:x", "./toyko:x"),
        ("all:x", "all is a group"),
        ("tokyo:a/../b", '".."'),
        ("tokyo:/../b", '".."'),
        ("tokyo:a//b", '"//"'),
        ("tokyo://b", '"//"'),
        ("tokyo:a\\b", "\\"),
        ("tokyo:./a", '"."'),
    ],
)
def test_a_text_that_is_no_place_is_refused_in_one_line(book: SiteBook, text: str, words: str) -> None:
    with pytest.raises((UsageError, ConfigError)) as error:
        parse_place(text, book)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_is_asked_for_where_a_path_will_not_do(book: SiteBook) -> None:
    assert needed_place("tokyo:", book).path == "Slides/in"
    with pytest.raises(UsageError, match="no place at a site; write it as tokyo:folder"):
        needed_place("folder", book)
