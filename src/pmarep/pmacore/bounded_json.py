"""JSON from a server, in memory that has a limit: a few bytes of it may become objects of some hundred."""

from __future__ import annotations

import json
from typing import Any

from .errors import ProtocolError

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Bytes of an answer at most: a listing of 250,000 slides in one folder, or the presigned URLs of 40,000 parts."""

MAX_OBJECTS = 250_000
"""Lists and objects in one answer; a slide of so many files has more than any scanner makes."""

MAX_VALUES = 1_500_000


def parse_json(content: bytes, who: str) -> Any:
    """Parse JSON. Raises ValueError and RecursionError for what is none, ProtocolError for too much of it."""
    if content.count(b"{") + content.count(b"[") > MAX_OBJECTS or content.count(b",") > MAX_VALUES:
        raise ProtocolError(f"{who} gave an answer with more in it than a PMA.core has to say")
    return json.loads(content)


def parse_answer(content: bytes, who: str) -> Any:
    """Parse an answer of PMA.core or PMA.start, without the `{"d": ...}` wrapping of old versions.

    Raises as parse_json() does.
    """
    answer = parse_json(content, who)
    return answer["d"] if isinstance(answer, dict) and set(answer) == {"d"} else answer
