"""Write the reference of the manual from the code: every command with its options, every key, every event.

`pages()` returns the text of each page; `site_hooks.py` adds them to the manual. `tests/unit/test_reference.py` holds
them against the code.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any

import typer

from pmarep import events
from pmarep.cli.app import app
from pmarep.cli.help_page import panels, usage, value_name
from pmarep.events import Event, SiteSummary, SlideStatus, SourceSummary, State
from pmarep.sites.schema import book_schema

ROOT = Path(__file__).parents[1]


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path in the manual."""
    return {
        "reference/commands.md": commands_page(),
        "reference/site-book.md": book_page(),
        "reference/events.md": events_page(),
    }


def commands(group: Any = None, name: str = "pmarep") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command, and the command."""
    top: Any = group or typer.main.get_command(app)
    for word, command in top.commands.items():
        if getattr(command, "hidden", False):
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def commands_page() -> str:
    parts = [
        "# Commands\n\nMade from the code: what each `--help` says. What scripts may rely on, with more words, is in "
        "[the contract](../contract.md).\n\n"
        "`pmarep --version` prints the version, `pmarep --install-completion` sets up completion for the shell."
    ]
    parts += [_command(name, command) for name, command in commands()]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    parts = [f"## `{name}`", _paragraphs(command.help or ""), f"```text\n{usage(command, context)}\n```"]
    for panel, parameters in panels(command, context).items():
        rows = [_row(one) for one in parameters if one.name != "help"]
        if rows:
            parts.append("\n".join([f"**{panel}**\n", "| option | meaning | default |", "|---|---|---|", *rows]))
    if command.epilog:
        parts.append(f"Example: `{command.epilog}`")
    return "\n\n".join(filter(None, parts))


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{word}`" for word in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        return f"| `{_cell(value_name(parameter))}` | {_cell(parameter.help or '')} | |"
    return (
        f"| {' '.join([names, _cell(value_name(parameter))])} | {_cell(parameter.help or '')} | {_default(parameter)} |"
    )


def _default(option: Any) -> str:
    variables = option.envvar if isinstance(option.envvar, list | tuple) else [option.envvar] if option.envvar else []
    said = [f"variable `{name}`" for name in variables]
    default = option.default() if callable(option.default) else option.default
    default = getattr(default, "value", default)
    if option.required:
        said.append("required")
    elif (
        isinstance(default, str | int | float) and not isinstance(default, bool) and default != "" and not option.count
    ):
        said.append(f"`{default}`")
    return ", ".join(said)


def _paragraphs(text: str) -> str:
    """Return a docstring's paragraphs without typer's marks."""
    text = re.sub(r"[\b\f]\n?", "", text)
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split())).replace("[*]", "\\[*\\]").replace("<", "&lt;")


def book_page() -> str:
    schema = book_schema()
    example = (ROOT / "sites.example.toml").read_text("utf-8")
    tables = [
        f"| `{_TABLES.get(key, f'[{key}]')}` | {_cell(said['description'])} |"
        for key, said in schema["properties"].items()
    ]
    parts = [
        "# The site book",
        "Made from the code. How books, tables and names work together: [the contract](../contract.md#the-site-book). "
        "How to work with it: [Sites and passwords](../sites.md).",
        "## Tables",
        "\n".join(["| table | meaning |", "|---|---|", *tables]),
    ]
    for name, table in schema["definitions"].items():
        if name == "server":  # the keys of a site, without `server`
            continue
        rows = [
            f"| `{key}` | {_schema_type(said)} | {_cell(said['description'])} |"
            for key, said in table["properties"].items()
        ]
        title = "Keys of a site" if name == "site" else f"Keys of `[{name}]`"
        parts += filter(None, [f"## {title}", _NOTES.get(name)])
        parts.append("\n".join(["| key | type | meaning |", "|---|---|---|", *rows]))
    parts += [
        "## A book with every key",
        "As `sites.example.toml` in the sources.",
        f"```toml\n{example.rstrip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


_NOTES = {
    "site": "In `[sites.NAME]`, `[servers.NAME]` (all but `server`) or `[defaults]`: the most special counts.",
    "hooks": "What the commands are told, and examples: [Hooks](../hooks.md).",
}
_TABLES = {"include": "include = [...]", "servers": "[servers.NAME]", "sites": "[sites.NAME]"}


def _schema_type(said: dict[str, Any]) -> str:
    """Return a JSON schema's type as people say it."""
    if "anyOf" in said:
        return ", ".join(_schema_type(one) for one in said["anyOf"])
    values = said.get("enum", [said["const"]] if "const" in said else [])
    if values:
        return ", ".join(f'"{one}"' for one in values)
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "true, false"}
    return "list of text" if said["type"] == "array" else words[said["type"]]


def _type(kind: Any) -> str:
    """Return an annotation as people say it: `text, number or none`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin in (types.UnionType, typing.Union):
        return ", ".join(dict.fromkeys(_type(one) for one in inner if one is not type(None)))
    if origin is typing.Literal:
        return ", ".join(f'"{one}"' for one in inner)
    if origin in (list, tuple):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"object of {_type(inner[1])} by name"
    names = {str: "text", int: "number", float: "number", bool: "true, false", Path: "text"}
    return names.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", " ", getattr(kind, "__name__", str(kind))).lower()


def event_name(kind: type[Any]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def events_page() -> str:
    parts = [
        "# Events\n\nMade from the code: what `--json` of `push` and `verify` prints, one object a line, and what a "
        "listener of `pmarep.replicate()` gets as objects. Every object has `event` and `time`. Sizes are bytes, "
        "durations seconds, rates bytes per second. What may change and what may not: [the contract]"
        "(../contract.md#events---json-of-push-verify-and-pull)."
    ]
    kinds = {event_name(kind): kind for kind in Event.__subclasses__()}  # up to Python 3.11.4 some are there twice
    parts += [_event(f"`{name}`", kind, 2) for name, kind in kinds.items()]
    parts += [_event("A site in `summary`", SiteSummary, 3), _event("`source` in `summary`", SourceSummary, 3)]
    parts.append(
        f"## Values\n\n- `status` of `slide_finished`: {', '.join(f'`{one}`' for one in SlideStatus)}\n"
        f"- `state` of `site_state`: {', '.join(f'`{one}`' for one in State)}"
    )
    return "\n\n".join(parts) + "\n"


def _event(title: str, kind: Any, level: int) -> str:
    head, told = described(kind)
    hints = typing.get_type_hints(kind, vars(events))
    rows: list[str] = []
    for (text, type_), of_it in groupby(
        (one.name for one in fields(kind) if one.name != "time"),
        lambda name: (told.get(name, ""), f"{_cell(_type(hints[name]))}{_or_null(hints[name])}"),
    ):
        rows.append(f"| {', '.join(f'`{name}`' for name in of_it)} | {type_} | {_cell(text)} |")
    return "\n".join([f"{'#' * level} {title}\n\n{head}\n", "| field | type | meaning |", "|---|---|---|", *rows])


def _or_null(kind: Any) -> str:
    return ", null" if type(None) in typing.get_args(kind) else ""


def described(kind: Any) -> tuple[str, dict[str, str]]:
    """Return an event's description, and that of each field, from its docstring: `name, name: words` begins one."""
    lines = (kind.__doc__ or "").strip().splitlines()
    head: list[str] = []
    told: dict[str, str] = {}
    names: list[str] = []
    known = {one.name for one in fields(kind)}
    for line in map(str.strip, lines):
        match = re.match(r"((?:\w+, )*\w+): (.*)", line)
        if match and set(match[1].split(", ")) <= known:
            names = match[1].split(", ")
            told.update(dict.fromkeys(names, match[2]))
        elif names and line:
            told.update({name: f"{told[name]} {line}" for name in names})
        elif line or head:
            head.append(line)
    return " ".join(head).strip().replace("  ", "\n\n"), told
