"""Several books read as one: who has the say, and where an error is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pmarep.errors import ConfigError
from pmarep.sites import SiteBook
from pmarep.sites.book_edit import add_site, change_site, remove_group, remove_sites, rename_site, set_group

OFFICE = """\
[defaults]
connections = 4
bwlimit = "2M"
ca_bundle = "ca.pem"

[servers.campus]
url = "https://campus/"
username = "office"

[sites.box-anna]
server = "campus"
target = "anna"

[sites.tokyo]
url = "https://tokyo/"
username = "office"
target = "T"

[groups]
class = ["box-anna"]
geo = ["tokyo"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "office.toml").write_text(OFFICE)
    return tmp_path / "sites.toml"


def load(own: Path, text: str, include: str = "etc/office.toml") -> SiteBook:
    own.write_text(f'include = ["{include}"]\n{text}')
    return SiteBook.load(own)


def test_ones_own_entries_win(own: Path) -> None:
    book = load(
        own,
        '[defaults]\nconnections = 9\n[servers.campus]\nurl = "https://mine/"\n'
        '[sites.tokyo]\nserver = "campus"\nusername = "me"\ntarget = "mine"\n[sites.class]\nurl = "https://c/"\n'
        'username = "c"\ntarget = "C"\n[groups]\ngeo = ["box-anna"]\n[sites.box-anna]\nserver="campus"\n'
        'username = "a"\ntarget = "A"\n',
    )
    tokyo = book.sites["tokyo"]
    assert (tokyo.url, tokyo.username, tokyo.target) == ("https://mine/", "me", "mine")
    assert (tokyo.connections, tokyo.bwlimit, tokyo.ca_bundle) == (9, "2M", own.parent / "etc" / "ca.pem")
    assert book.groups == {"geo": ("box-anna",)}, "a site of one's own replaces a group of that name"
    assert book.path == own


def test_keys_that_are_not_set_come_from_the_included_book(own: Path) -> None:
    book = load(own, "")
    assert list(book.sites) == ["box-anna", "tokyo"]
    assert [site.name for site in book.select(["class", "geo"])] == ["box-anna", "tokyo"]
    assert book.stack.location(("sites", "tokyo", "url")) == (own.parent / "etc" / "office.toml", 15)


def test_a_default_url_displaces_an_included_default_server(own: Path) -> None:
    (own.parent / "etc" / "office.toml").write_text(
        '[defaults]\nserver = "campus"\nusername = "u"\n[servers.campus]\nurl = "https://campus/"\n'
    )
    book = load(own, '[defaults]\nurl = "https://mine/"\n[sites.a]\ntarget = "A"\n')
    assert (book.sites["a"].url, book.sites["a"].server) == ("https://mine/", None)


def test_includes_of_includes_and_the_later_one_wins(own: Path) -> None:
    folder = own.parent
    (folder / "etc" / "more.toml").write_text('include = ["../far.toml"]\n[defaults]\nconnections = 7\n')
    (folder / "far.toml").write_text("[defaults]\nconnections = 1\nbwlimit = '9M'\n")
    own.write_text('include = ["etc/office.toml", "etc/more.toml", "far.toml"]\n')
    assert SiteBook.load(own).sites["tokyo"].connections == 1
    own.write_text('include = ["far.toml", "etc/office.toml", "etc/more.toml"]\n')
    assert SiteBook.load(own).sites["tokyo"].connections == 7
    assert SiteBook.load(own).sites["tokyo"].bwlimit == "9M"


def test_home_and_full_paths(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(own.parent))
    monkeypatch.setenv("USERPROFILE", str(own.parent))
    assert load(own, "", "~/etc/office.toml").sites
    assert load(own, "", (own.parent / "etc" / "office.toml").as_posix()).sites


def complaint(own: Path, text: str, include: str = "etc/office.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        load(own, text, include)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(own.parent) + os.sep, "").replace(os.sep, "/")


@pytest.mark.parametrize(
    ("text", "include", "words"),
    [
        ("", "etc/offise.toml", 'sites.toml, line 1: include "etc/offise.toml" is not there'),
        ("", "etc", 'sites.toml, line 1: include "etc" cannot be read ('),
        ("", "sites.toml", "sites.toml, line 1: include goes in a circle: sites.toml -> sites.toml; leave one out"),
        ("[groups]\nx = ['tokio']\n", "etc/office.toml", 'sites.toml, line 3: [groups] "x" names "tokio"'),
        ("[servers.campus]\nurl='x'\n", "etc/office.toml", "sites.toml, line 3: [servers.campus] url"),
        (
            '[defaults]\ninclude = ["team.TOML"]\n',
            "etc/office.toml",
            "sites.toml, line 3: [defaults] include in a table is for slides; other books are included before",
        ),
    ],
)
def test_a_mistake_in_the_users_own_book_is_reported(own: Path, text: str, include: str, words: str) -> None:
    assert complaint(own, text, include).startswith(words)


def test_the_line_of_an_error_is_that_of_the_included_file(own: Path) -> None:
    office = own.parent / "etc" / "office.toml"
    office.write_text(OFFICE.replace('target = "T"', "targt = 1"))
    assert complaint(own, "").startswith('etc/office.toml, line 17: [sites.tokyo] unknown key "targt"')
    office.write_text(OFFICE.replace('target = "T"\n', ""))
    assert complaint(own, "# one more line\n").startswith("etc/office.toml, line 14: [sites.tokyo] has no target")
    office.write_text("[sites\n")
    assert complaint(own, "").startswith("etc/office.toml, line 1, column ")
    office.write_text('include = ["../sites.toml"]\n')
    assert complaint(own, "").startswith("etc/office.toml, line 1: include goes in a circle: sites.toml -> ")


@pytest.mark.parametrize("text", ["include = 'x'\n", "include = [1]\n", "include = ['']\n"])
def test_include_is_a_list_of_files(own: Path, text: str) -> None:
    own.write_text(text)
    with pytest.raises(ConfigError, match="line 1: include has to be a list of files"):
        SiteBook.load(own)


def test_only_ones_own_book_is_edited(own: Path) -> None:
    load(own, "")
    office, before = own.parent / "etc" / "office.toml", own.read_text()
    changes: list[Callable[[], object]] = [
        lambda: change_site(own, "tokyo", {"target": "X"}),
        lambda: rename_site(own, "tokyo", "x"),
        lambda: remove_sites(own, ["tokyo"]),
    ]
    for change in changes:
        with pytest.raises(ConfigError) as caught:
            change()
        assert str(caught.value).startswith(
            f"{office}, line 14: [sites.tokyo] is in this included book, and pmarep changes only {own}; change it here"
        )
    with pytest.raises(ConfigError, match="included book"):
        set_group(own, "geo", [])
    with pytest.raises(ConfigError, match="included book"):
        remove_group(own, "geo")
    with pytest.raises(ConfigError, match=r'office\.toml, line 14: there is already a site "tokyo"'):
        add_site(own, "tokyo", {"server": "campus", "target": "x"})
    assert (own.read_text(), office.read_text()) == (before, OFFICE)
    add_site(own, "mine", {"server": "campus", "target": "x"})
    set_group(own, "both", ["mine", "tokyo"])
    assert office.read_text() == OFFICE
    assert [site.name for site in SiteBook.load(own).select(["both"])] == ["mine", "tokyo"]


# Patterns


def names(book: SiteBook, *selection: str) -> list[str]:
    return [site.name for site in book.select(selection)]


def test_patterns_are_for_sites(own: Path) -> None:
    book = load(own, "[groups]\nboxes = ['tokyo']\n")
    assert names(book, "box-*") == ["box-anna"], "not the group"
    assert names(book, "*") == ["box-anna", "tokyo"]
    assert names(book, "tok?o,box-[ab]nna") == ["tokyo", "box-anna"]
    for pattern, words in [
        ("bxo-ana*", f'no site matches "bxo-ana*" in {own}; did you mean "box-anna"?'),
        ("boxe*", f'no site matches "boxe*" in {own}; patterns are for sites, so name the group: boxes'),
        ("box-[a]", f'no site matches "box-[a]" in {own}; did you mean "box-anna" or "boxes"?'),
        ("zzz*", f'no site matches "zzz*" in {own}; known: box-anna, tokyo, boxes, class, geo'),
    ]:
        with pytest.raises(ConfigError) as caught:
            book.select([pattern])
        assert str(caught.value) == words
