"""The program's edits: every line of a person stays, a bad edit changes nothing."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import ConfigError
from pmarep.sites import SiteBook
from pmarep.sites.book_edit import add_site, edit_book

NEW = {"url": "https://new/", "username": "me", "target": "Slides/in"}
NEW_TEXT = '[sites.new]\nurl = "https://new/"\nusername = "me"\ntarget = "Slides/in"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sites.toml"


def test_the_first_site_makes_the_book(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "sites.toml"
    book = add_site(path, "new", NEW)
    text = path.read_text()
    assert text.endswith(f"\n\n{NEW_TEXT}")
    assert all(line.startswith("#") for line in text.removesuffix(f"\n{NEW_TEXT}").splitlines())
    assert book.sites["new"].target == "Slides/in"
    assert sorted(path.parent.iterdir()) == [path]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_the_mode_of_a_shared_book_is_kept_and_a_link_stays(path: Path) -> None:
    real = path.parent / "dotfiles.toml"
    real.write_text("# mine\n")
    real.chmod(0o644)
    path.symlink_to(real)
    add_site(path, "new", NEW)
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o644
    assert real.read_text() == f"# mine\n\n{NEW_TEXT}"


SITE = '[sites.a]\nurl="https://a/"\nusername="a"\ntarget="A"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", NEW_TEXT),
        (SITE.rstrip(), SITE + "\n" + NEW_TEXT),
        (SITE + "# a's", SITE + "# a's\n\n" + NEW_TEXT),
        (SITE + '\n# the groups\n[groups]\nx=["a"]\n', SITE + "\n" + NEW_TEXT + '\n# the groups\n[groups]\nx=["a"]\n'),
        (SITE + "# a's\n\n[groups]\n", SITE + "# a's\n\n" + NEW_TEXT + "\n[groups]\n"),
        ("[groups]\n" + SITE + "[servers]\n", "[groups]\n" + SITE + "\n" + NEW_TEXT + "\n[servers]\n"),
    ],
)
def test_a_new_site_comes_after_the_last_one(path: Path, before: str, after: str) -> None:
    assert _write_and_add(path, before) == after


def _write_and_add(path: Path, before: str) -> str:
    path.write_bytes(before.encode())
    add_site(path, "new", NEW)
    return path.read_bytes().decode()


def test_windows_line_breaks_and_mark_stay(path: Path) -> None:
    before = "\ufeff" + SITE.replace("\n", "\r\n")
    assert _write_and_add(path, before) == before + "\r\n" + NEW_TEXT.replace("\n", "\r\n")


def test_odd_values_are_written_so_that_they_are_read_again(path: Path) -> None:
    values: dict[str, Any] = {**NEW, "username": 'DOM\\u"ü', "password_command": ["pass", "a 'b'"], "connections": 3}
    site = add_site(path, "a.b", values).sites["a.b"]
    assert site == SiteBook.load(path).sites["a.b"]
    assert (site.username, site.password_command, site.connections) == ('DOM\\u"ü', ("pass", "a 'b'"), 3)


# A book as people write them: blocks in any order, comments, blank lines, blanks around keys.
_comment = st.sampled_from(["", "\n", "\n\n", "# [sites.fake]\n", "   # x = 1 # y\n", "\t\n"])
_value = st.sampled_from(['"https://h/"', "'https://h/'", '"""https://h/"""', '"""\\\n  https://h/"""'])
_equals = st.sampled_from(["=", " = ", "   =\t"])


@st.composite
def books(draw: st.DrawFn) -> str:
    names: list[str] = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5))
    blocks: list[str] = []
    for name in names:
        head = draw(st.sampled_from([f"[sites.{name}]", f" [ sites . '{name}' ] # site", f'[sites."{name}"]']))
        equals = [draw(_equals) for _ in range(3)]
        blocks.append(
            f"{head}\n{draw(_comment)}url{equals[0]}{draw(_value)} # u\n"
            f"{draw(_comment)}  username{equals[1]}'u'\ntarget{equals[2]}\"T/{name}\"\n"
        )
    if draw(st.booleans()) and names:
        blocks.append('[groups]\nall = [ # "new"\n' + "".join(f"  '{name}', # {name}\n" for name in names) + "]\n")
    if draw(st.booleans()):
        blocks.append("[defaults]\nconnections = 3\n")
    text = "".join(draw(_comment) + block for block in draw(st.permutations(blocks))) + draw(_comment)
    return text[:-1] if text.endswith("\n") and draw(st.booleans()) else text


@given(books(), st.booleans())
def test_every_line_stays_and_only_the_site_is_new(
    tmp_path_factory: pytest.TempPathFactory, text: str, dos: bool
) -> None:
    path = tmp_path_factory.mktemp("books") / "sites.toml"
    text = text.replace("\n", "\r\n") if dos else text
    after = _write_and_add(path, text)
    expected = tomllib.loads(text)
    expected.setdefault("sites", {})["new"] = NEW
    assert tomllib.loads(after) == expected
    old, new = text.splitlines(), after.splitlines()
    block = NEW_TEXT.splitlines()
    start = new.index("[sites.new]")
    assert new[start : start + len(block)] == block
    rest_before, rest_after = new[:start], new[start + len(block) :]
    # What is around it is the old text, but for one blank line on either side.
    candidates = [rest_before, rest_before[:-1] if rest_before and not rest_before[-1].strip() else rest_before]
    tails = [rest_after, rest_after[1:] if rest_after and not rest_after[0].strip() else rest_after]
    assert old in [head + tail for head in candidates for tail in tails]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("a", {}, '{path}, line 1: there is already a site "a"'),
        ("g", {}, '{path}, line 6: there is already a group "g"'),
        ("a b", {}, 'the name "a b" cannot be used; allowed: '),
        ("new", {"target": "x/"}, 'target "x/" begins or ends with "/"; write it as "x"'),
        ("new", {"target": 3}, "target has to be text in quotes"),
        ("new", {"server": "x"}, "server and url exclude each other"),
        ("new", {"passwort": "x"}, "passwort: Extra inputs are not permitted"),
        ("A", {"url": "https://other/"}, '{path}: [sites.A] the site "A" and the site "a" are different PMA.cores'),
    ],
)
def test_a_bad_edit_leaves_the_book_alone(path: Path, name: str, change: dict[str, Any], words: str) -> None:
    before = SITE + "[groups]\ng = []"
    path.write_text(before)
    written = path.stat().st_mtime_ns
    with pytest.raises(ConfigError) as caught:
        add_site(path, name, {**NEW, **change})
    assert str(caught.value).startswith(words.format(path=path))
    assert (path.read_text(), path.stat().st_mtime_ns) == (before, written)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "before", ["[sites.a]\n", "x", 'sites = { a = { url="https://a/", username="u", target="T" } }']
)
def test_a_book_that_is_wrong_or_written_in_one_line_is_not_touched(path: Path, before: str) -> None:
    path.write_text(before)
    with pytest.raises(ConfigError, match="^" + str(path)):
        add_site(path, "new", NEW)
    assert path.read_text() == before


def test_an_edit_of_somebody_else_at_the_same_time_is_not_lost(path: Path) -> None:
    path.write_text("# mine\n")

    def change(source: object) -> str:
        path.write_text("# theirs\n")
        return "# ours\n"

    with pytest.raises(ConfigError, match="was changed by somebody else meanwhile; try again"):
        edit_book(path, change)
    assert path.read_text() == "# theirs\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_book_that_cannot_be_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")  # as Windows does while an editor holds the file

    path.write_text("# mine\n")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ConfigError, match=r"cannot be written \(Permission denied\); nothing was changed"):
        add_site(path, "new", NEW)
    assert (path.read_text(), list(path.parent.iterdir())) == ("# mine\n", [path])


def test_a_folder_that_windows_does_not_let_us_write_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def refuse(file: object, *_: object) -> int:
        assert not opened, "it tries one name after the other"
        opened.append(file)
        patch.setattr(os, "name", "nt")  # by which tempfile takes it for a name that is taken
        raise PermissionError(13, "Permission denied", file)

    path.write_text("# mine\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(ConfigError, match=r"cannot be written \(Permission denied\); nothing was changed"):
            add_site(path, "new", NEW)
    assert len(opened) == 1
    assert (path.read_text(), list(path.parent.iterdir())) == ("# mine\n", [path])


def test_a_folder_that_is_a_file(path: Path) -> None:
    path.write_text("# mine\n")
    with pytest.raises(ConfigError, match=r"cannot be (read|written)"):
        add_site(path / "sites.toml", "new", NEW)
