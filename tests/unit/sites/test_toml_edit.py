"""Changes to a book's text: whatever the way it is written, the meaning is what was wanted and no other line moves."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import ConfigError
from pmarep.sites import toml_edit
from pmarep.sites.book_text import BookText

# One site in every way that TOML has; {name} and what else it says come from the tests.
FORMS = [
    '[sites.{n}]\nurl = "u"\ntarget = "t" # of {n}\n',
    ' [ sites . "{n}" ]  # {n}\n\turl="u"\n\n\t# a comment\n\ttarget=\'t\'\n',
    '[sites]\n{n} = {{ url = "u", target = "t" }} # {n}\n',
    '[sites]\n{n}.url = "u"\n"{n}".target = "t"\n',
    'sites.{n}.url = "u"\nsites.{n}.target = "t"\n',
    'sites = {{ {n} = {{ url = "u", target = "t" }} }}\n',
]
VALUES: list[Any] = ["x", 'a "quoted" \\ ä', 7, 2.5, True, ["a", "b"]]


def book(text: str) -> BookText:
    return BookText(Path("sites.toml"), text)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", VALUES)
def test_every_form_takes_new_and_other_values(form: str, value: Any) -> None:
    before = book(form.format(n="a-1"))
    for key in ("url", "bwlimit"):
        after = toml_edit.set_key(before, ("sites", "a-1"), key, value)
        assert after.data["sites"]["a-1"] == {"url": "u", "target": "t", key: value}
        assert toml_edit.unset_key(after, ("sites", "a-1"), key).data["sites"]["a-1"] == {
            k: v for k, v in before.data["sites"]["a-1"].items() if k != key
        }


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_removed(form: str) -> None:
    assert toml_edit.remove_table(book(form.format(n="a")), ("sites", "a")).data.get("sites", {}) == {}


@pytest.mark.parametrize("form", FORMS[:-1])
@pytest.mark.parametrize("name", ["b", "b.c"])
def test_forms_can_be_renamed(form: str, name: str) -> None:
    before = book(form.format(n="a"))
    after = toml_edit.rename_table(before, ("sites", "a"), name)
    assert after.data == {"sites": {name: before.data["sites"]["a"]}}


def test_what_cannot_be_changed_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^sites.toml, line 1: \[sites.b\] is written in a way that pmarep cannot"):
        toml_edit.rename_table(book(FORMS[-1].format(n="a")), ("sites", "a"), "b")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# file\n[sites.a]\nx=1\n", "# file\n"),
        ("# file\n\n# a\n[sites.a]\nx=1\n# end\n\n[groups]\n", "# file\n\n[groups]\n"),
        ("[sites.b]\n\n# a\n[sites.a]\nx=1", "[sites.b]\n"),
        ("[sites.a]\nx=1\n# b\n[sites.b]\n", "# b\n[sites.b]\n"),
        ("[sites.b]\n[sites.a]\nx=1\n\n# free\n\n[groups]\n", "[sites.b]\n\n# free\n\n[groups]\n"),
        ("[sites.b]\n\n\n[sites.a]\n\n\n[groups]\n", "[sites.b]\n\n\n[groups]\n"),
    ],
)
def test_which_comments_and_blanks_go_with_a_table(before: str, after: str) -> None:
    assert toml_edit.remove_table(book(before), ("sites", "a")).text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[groups]\ng = ["a"]\n'),
        ("[sites.a]", '[sites.a]\n\n[groups]\ng = ["a"]\n'),
        ("[groups]\n\n[sites.a]\n", '[groups]\ng = ["a"]\n\n[sites.a]\n'),
        ("groups.x = []\n", 'groups.x = []\ngroups.g = ["a"]\n'),
        ("[groups]\n  g = ['b', 'a'] # g\n", "[groups]\n  g = ['a'] # g\n"),
    ],
)
def test_groups(before: str, after: str) -> None:
    assert toml_edit.set_group(book(before), "g", ["a"]).text == after


def test_a_long_group_has_a_line_for_each_name() -> None:
    names = [f"box-{n:03}" for n in range(40)]
    text = toml_edit.set_group(book(""), "boxes", names).text
    assert text.count("\n") == 43
    assert toml_edit.set_group(book(text), "boxes", names[1:]).text == text.replace('    "box-000",\n', "")


_word = st.sampled_from(["a", "b", "c-1", "d"])
_gap = st.sampled_from(["", "\n", "# x = 1\n", "\n# [sites.a]\n\n"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    names = draw(st.lists(_word, unique=True, min_size=1))
    # Forms that may stand together in one file.
    blocks = [draw(st.sampled_from(FORMS[:2])).format(n=name) for name in names]
    members = ", ".join(f"'{n}'" for n in names)
    blocks.append(draw(st.sampled_from([f"[groups]\ng = [{members}] # g\n", "[defaults]\nx = 1\n"])))
    text = "".join(draw(_gap) + block for block in draw(st.permutations(blocks))) + draw(_gap)
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, BookText, str]:
    text = draw(texts())
    source = book(text)
    name = draw(st.sampled_from(sorted(source.data["sites"])))
    change = draw(st.sampled_from(["set", "unset", "remove", "rename", "add", "members"]))
    key = ("sites", name)
    after = {
        "set": lambda: toml_edit.set_key(source, key, "target", "new"),
        "unset": lambda: toml_edit.unset_key(source, key, "target"),
        "remove": lambda: toml_edit.remove_table(source, key),
        "rename": lambda: toml_edit.rename_table(source, key, "zz"),
        "add": lambda: toml_edit.add_tables(source, "servers", {"s": 'url = "u"\n', "t": ""}),
        "members": lambda: toml_edit.rename_member(source, name, "zz"),
    }[change]()
    return text, after, change


@given(changed())
def test_no_other_line_moves(case: tuple[str, BookText, str]) -> None:
    text, after, change = case
    tomllib.loads(after.text)
    assert ("\r\n" in text) == ("\r\n" in after.text) or not after.text.strip()
    before_lines, after_lines = text.splitlines(), after.text.splitlines()
    if change == "add":
        rest = iter(after_lines)
        assert all(line in rest for line in before_lines), "the old lines, in their order"
        return
    most = {"set": 1, "unset": 0, "remove": 0, "rename": 1, "members": 1}[change]
    assert sum(line not in before_lines for line in after_lines) <= most
    rest = iter(before_lines)
    assert all(line in rest for line in after_lines if line in before_lines), "what stayed stands in its order"
