"""Validates lines of `--json` against `docs/events.schema.json`; more strictly than readers may: no key is unknown."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

SCHEMA = Path(__file__).parents[2] / "docs" / "events.schema.json"


@cache
def _validators() -> dict[str, Draft202012Validator]:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    definitions = copy.deepcopy(schema["$defs"])
    for one in definitions.values():
        if "properties" in one:
            one["additionalProperties"] = False
    return {
        ref["$ref"].rpartition("/")[2]: Draft202012Validator({**ref, "$defs": definitions}) for ref in schema["oneOf"]
    }


_CHOICES = ("event", "status", "state", "why", "action")
_checked: set[tuple[Any, ...]] = set()


def check_event(event: dict[str, Any]) -> None:
    """Fail where a line is not as the schema says. Lines that differ in no way that matters to it are checked once."""
    shape = tuple((key, *_shape(key, value)) for key, value in event.items())
    if shape not in _checked:
        _validators()[event["event"]].validate(event)
        _checked.add(shape)


def _shape(key: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, dict | list):
        return (json.dumps(value),)
    if isinstance(value, str):
        return (value,) if key in _CHOICES else (str, re.sub(r"\d", "0", value) if key == "time" else None)
    return type(value), isinstance(value, int | float) and value < 0
