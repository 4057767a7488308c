"""JSON from a server, in memory that has a limit: a few bytes of it may become objects of some hundred."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import ProtocolError

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Bytes of an answer at most: a listing of 250,000 slides in one folder, or the presigned URLs of 40,000 parts."""

MAX_OBJECTS = 250_000
"""Lists and objects in one answer; a slide of so many files has more than any scanner makes."""

MAX_VALUES = 1_500_000

_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
"""A string of JSON, or the rest where one has no end: nothing is looked at twice, however broken an answer is."""


def parse_json(content: bytes, who: str) -> Any:
    """Parse JSON. Raises ValueError and RecursionError for what is none, ProtocolError for too much of it."""
    if content.count(b"{") + content.count(b"[") > MAX_OBJECTS or _values(content) > MAX_VALUES:
        raise ProtocolError(f"{who} gave an answer with more in it than a PMA.core has to say")
    return json.loads(content)


def _values(content: bytes) -> int:
    """Count the commas, and where they are many only those between values: outlines of annotations are full of them."""
    count = content.count(b",")
    if count <= MAX_VALUES:
        return count
    count = end = 0
    for string in _STRING.finditer(content):
        count += content.count(b",", end, string.start())
        end = string.end()
        if count > MAX_VALUES:
            return count
    return count + content.count(b",", end)


def parse_answer(content: bytes, who: str) -> Any:
    """Parse an answer of PMA.core or PMA.start, without the `{"d": ...}` wrapping of old versions.

    Raises as parse_json() does.
    """
    answer = parse_json(content, who)
    return answer["d"] if isinstance(answer, dict) and set(answer) == {"d"} else answer
