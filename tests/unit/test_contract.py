"""`docs/contract.md` names every command, option, key, event and field of the code, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from pmarep import events
from pmarep.cli.app import app
from pmarep.sites.models import HooksTable, SiteTable, SlidesTable
from pmarep.slides.model import Kind

CONTRACT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")


def sections(level: int) -> dict[str, str]:
    """Return the text below each heading of a level, up to the next one of that level or above, by its title."""
    parts = re.split(rf"^(#{{1,{level}}}) (.*)$", CONTRACT, flags=re.MULTILINE)[1:]
    return {
        title.strip("`"): text
        for mark, title, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        if len(mark) == level
    }


def commands(group: Any, name: str = "pmarep") -> Iterator[tuple[str, Any]]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS = dict(commands(typer.main.get_command(app)))
EVENTS = {re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in events.Event.__subclasses__()}


def first_cells(text: str) -> set[str]:
    """All that is in backquotes in the first column of the tables of a text."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_the_commands_are_those_of_the_code() -> None:
    assert {title for title in sections(3) if title.startswith("pmarep ")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_a_command_are_those_of_the_code(name: str) -> None:
    options = {
        word
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option" and parameter.name != "help"
        for word in (*parameter.opts, *parameter.secondary_opts)
    }
    cells = first_cells(sections(3)[name])
    words = {word for cell in cells for word in re.findall(r"(?<!\S)--?[a-zA-Z][a-z0-9-]*", cell)}
    assert words == options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_defaults_of_options_are_those_of_the_code(name: str) -> None:
    rows = [re.split(r"(?<!\\)\|", line) for line in sections(3)[name].splitlines() if line.startswith("| `-")]
    documented = {re.findall(r"--[a-z0-9-]+", row[1])[0]: row[3].strip(" `") for row in rows}
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and isinstance(parameter.default, str | int) and parameter.default:
            assert documented[parameter.opts[0]].split()[0].strip("`,;") == str(
                getattr(parameter.default, "value", parameter.default)
            )


@pytest.mark.parametrize("name", COMMANDS)
def test_what_stands_for_values_is_that_of_the_code(name: str) -> None:
    rows = [
        re.split(r"(?<!\\)\|", line)[1].replace("\\|", "|")
        for line in sections(3)[name].splitlines()[2:]
        if "|" in line
    ]
    documented = {re.findall(r"--[a-z0-9-]+", row)[0]: row.rpartition("`")[2].strip() for row in rows if "`--" in row}
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert documented[parameter.opts[0]] == (parameter.metavar or "")


def test_the_kinds_of_what_is_left_out_are_those_of_the_code() -> None:
    words = re.search(r"for other files `kind` \(([^)]*)\)", " ".join(CONTRACT.split()))
    assert words is not None
    assert set(re.findall("`([a-z]+)`", words[1])) == {kind.value for kind in Kind}


def test_the_events_are_those_of_the_code() -> None:
    documented = set(re.findall(r"^### `([a-z_]+)`$", CONTRACT, flags=re.MULTILINE))
    assert documented == set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_the_fields_of_an_event_are_those_of_the_code(name: str) -> None:
    kinds = [EVENTS[name], *([events.SiteSummary, events.SourceSummary] if name == "summary" else [])]
    expected = {one.name for kind in kinds for one in fields(kind)} - {"time"}
    assert first_cells(sections(3)[name]) == expected


def test_the_states_of_events_are_named() -> None:
    finished, state = sections(3)["slide_finished"], sections(3)["site_state"]
    assert all(f"`{status}`" in finished for status in events.SlideStatus)
    assert all(f"`{one}`" in state for one in events.State)


def test_the_keys_of_the_site_book_are_those_of_the_code() -> None:
    book = sections(3)["The site book"]
    table = book[book.index("| key |") :]
    assert first_cells(table) - {"key"} == set(SiteTable.model_fields)
    assert all(f"`{key}`" in book for key in (*SlidesTable.model_fields, *HooksTable.model_fields))
