"""Write `events.schema.json`, the JSON schema of the lines of `--json`, from the events of the code.

`python docs/make_events_schema.py` writes it anew; `tests/unit/test_events_schema.py` fails where it is not up to date.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pmarep import events
from pmarep.engine.slide.decide import Action
from pmarep.slides import Why

SCHEMA = Path(__file__).with_name("events.schema.json")

CHOICES = {
    ("source_problem", "why"): [why.value for why in Why if why.is_problem],
    ("slide_planned", "action"): [action.value for action in Action],
}
"""The values of fields that are text in the code."""


TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$"


def schema() -> dict[str, Any]:
    """Return the schema of one line."""
    definitions: dict[str, Any] = {}
    names: dict[str, None] = {}
    parts: tuple[Any, ...] = (events.SiteSummary, events.SourceSummary)
    for kind in events.Event.__subclasses__():
        name = kind(**_empty(kind)).name
        names[name] = None  # once: up to Python 3.11.4 a class with slots leaves the one without behind it
        definitions[name] = _object(kind, definitions, name)
    for part in parts:
        definitions[part.__name__] = _object(part, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of pmarep push --json and pmarep verify --json",
        "description": "New events and fields may come; readers ignore what they do not know. See contract.md.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": dict(sorted(definitions.items())),
    }


def _empty(kind: Any) -> dict[str, Any]:
    """Return values for the fields of an event, of which only the name is wanted."""
    return {field.name: None for field in fields(kind) if field.name != "time"}


def _object(kind: Any, definitions: dict[str, Any], event: str | None = None) -> dict[str, Any]:
    """Return the schema of an event, or of a part of one. Every key is always there."""
    found = TypeAdapter(kind).json_schema(ref_template="#/$defs/{model}")
    for name, definition in found.pop("$defs", {}).items():
        if "enum" in definition:
            definitions[name] = {"type": "string", "enum": definition["enum"]}
    said = _descriptions(inspect.cleandoc(kind.__doc__))
    properties: dict[str, Any] = {}
    if event is not None:
        properties["event"] = {"const": event}
        properties["time"] = {"type": "string", "format": "date-time", "pattern": TIME, "description": "when, in UTC"}
    for field in fields(kind):
        if field.name == "time":
            continue
        one = _without_defaults(found["properties"][field.name])
        if (event, field.name) in CHOICES:
            one["enum"] = CHOICES[event or "", field.name]
        if field.name in said:
            one["description"] = said[field.name]
        properties[field.name] = one
    summary = " ".join(kind.__doc__.split("\n\n")[0].split())
    return {"type": "object", "description": summary, "properties": properties, "required": list(properties)}


def _without_defaults(schema: Any) -> Any:
    """Take out titles and defaults: a line has every key. No number is negative."""
    if isinstance(schema, list):
        return [_without_defaults(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_defaults(value) for key, value in schema.items() if key not in ("title", "default")}
    if kept.get("type") in ("integer", "number"):
        kept["minimum"] = 0
    return kept


def _descriptions(docstring: str) -> dict[str, str]:
    """Return what an unindented docstring says of each field: `name: text` or `name, name: text`, over some lines."""
    found: dict[str, str] = {}
    for names, text in re.findall(r"^(\w+(?:, \w+)*): (.*(?:\n {4}.*)*)", docstring, re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(text.split())
    return found


def text() -> str:
    """Return what the file is to hold."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
