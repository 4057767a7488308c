"""Every help page has panels and an example, and cuts nothing, also on a narrow terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pmarep.cli.app import app
from pmarep.cli.help_page import PANELS, panels, print_help


def pages(command: Any, path: str = "pmarep") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from pages(below, f"{path} {name}")


PAGES = dict(pages(typer.main.get_command(app)))
EVERY_PAGE = pytest.mark.parametrize("path", PAGES)


def context(path: str) -> Any:
    return PAGES[path].context_class(PAGES[path], info_name=path)


def options(path: str) -> list[Any]:
    return [p for p in PAGES[path].get_params(context(path)) if p.param_type_name == "option" and not p.hidden]


@EVERY_PAGE
def test_every_option_stands_in_a_panel(path: str) -> None:
    assert "Options" not in panels(PAGES[path], context(path)), "give it a panel in PANELS of help_page.py"


@EVERY_PAGE
def test_every_option_with_a_value_says_what_stands_for_it(path: str) -> None:
    bare = [p.opts for p in options(path) if not p.is_flag and not p.count and not p.metavar]
    assert bare == [], "give it a metavar"
    assert [p.name for p in options(path) if not p.help] == []


@EVERY_PAGE
@pytest.mark.parametrize("columns", [80, 60, 40])
def test_nothing_is_cut(
    path: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")  # which rich takes for 80 columns
    print_help(PAGES[path], context(path))
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= columns
    assert "\N{HORIZONTAL ELLIPSIS}" not in page
    assert not re.search(r"<(bool|int|str|path|list)", page)
    words = page.split()
    for parameter in options(path):
        for option in (*parameter.opts, *parameter.secondary_opts):
            assert option in words or f"{option}," in words
    example = PAGES[path].epilog
    assert example.split()[0] in ("pmarep", "pass")
    if columns >= 60:
        assert f" Example: {example} " in page


def test_no_panel_has_an_option_that_is_gone() -> None:
    known = {option for path in PAGES for parameter in options(path) for option in parameter.opts}
    assert [option for inside in PANELS.values() for option in inside if option not in known] == []


@EVERY_PAGE
def test_the_example_is_a_command_with_options_that_exist(path: str) -> None:
    words = PAGES[path].epilog.partition("| ")[2].split() or PAGES[path].epilog.split()
    named = max((one for one in PAGES if words[: len(one.split())] == one.split()), key=len)
    known = {option for parameter in options(named) for option in parameter.opts}
    assert [word for word in words if word.startswith("--") and word not in known] == []
    assert named.startswith(path)
