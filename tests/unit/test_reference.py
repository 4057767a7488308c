"""The reference of the manual has every command, option, key and event of the code."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
import reference

from pmarep import events
from pmarep.sites import models

PAGES = reference.pages()
COMMANDS = dict(reference.commands())


def sections(page: str) -> dict[str, str]:
    """Return the text below each heading of a page by its title."""
    parts = re.split(r"^#+ (.*)$", PAGES[page], flags=re.MULTILINE)[1:]
    return {title.strip("`"): text for title, text in zip(parts[::2], parts[1::2], strict=True)}


def first_cells(text: str) -> set[str]:
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[1])}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_with_every_option(name: str) -> None:
    parameters = [one for one in COMMANDS[name].params if one.param_type_name == "option" and one.name != "help"]
    expected = {word for one in parameters if not one.hidden for word in (*one.opts, *one.secondary_opts)}
    found = {cell for cell in first_cells(sections("reference/commands.md")[name]) if cell.startswith("-")}
    assert found == expected


def test_the_commands_have_words_and_choices_of_values() -> None:
    push = sections("reference/commands.md")["pmarep push"]
    assert "| `--existing` skip\\|overwrite\\|fail | " in push
    assert "| `SRC...` | " in push
    assert re.search(r"^\| `--sites` NAME\[,NAME...\] \| .+ \| required \|$", push, re.MULTILINE)
    assert re.search(r"^\| `--patience` T \| .+ \| `10m` \|$", push, re.MULTILINE)


def test_every_key_of_the_site_book() -> None:
    found = sections("reference/site-book.md")
    tables = {name: model for name, model in vars(models).items() if name.endswith("Table") and name != "Table"}
    assert first_cells(found["Keys of a site"]) == set(tables.pop("SiteTable").model_fields)
    for name, model in tables.items():
        title = f"Keys of `[{name.removesuffix('Table').lower()}]"
        assert first_cells(found[title]) == set(model.model_fields)
    assert not re.search(r"\| +\|$", PAGES["reference/site-book.md"], re.MULTILINE), "a key without its description"


@pytest.mark.parametrize("kind", events.Event.__subclasses__(), ids=reference.event_name)
def test_every_event_with_every_field(kind: type[events.Event]) -> None:
    section = sections("reference/events.md")[reference.event_name(kind)]
    assert first_cells(section) == {one.name for one in fields(kind)} - {"time"}


@pytest.mark.parametrize("kind", [*events.Event.__subclasses__(), events.SiteSummary, events.SourceSummary])
def test_every_field_is_described(kind: type[object]) -> None:
    head, description = reference.described(kind)
    assert head
    assert {name for name in description if not description[name]} == set()
    assert set(description) == {one.name for one in fields(kind)} - {"time"}  # type: ignore[arg-type]
