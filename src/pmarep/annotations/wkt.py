"""Write well-known text (WKT) in one way, so that equal geometries are equal texts.

The grammar is that of OGC's Simple Features (06-103r4, section 7) with Z, M and ZM.
"""

from __future__ import annotations

import re
from math import isinf

_TOKEN = re.compile(r"\s*(?:([A-Za-z]+)|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])|([(),]))")
_TYPE = re.compile(
    "(POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|GEOMETRYCOLLECTION|CIRCULARSTRING|COMPOUNDCURVE"
    "|CURVEPOLYGON|MULTICURVE|MULTISURFACE|CURVE|SURFACE|POLYHEDRALSURFACE|TIN|TRIANGLE)(ZM|Z|M)?"
)


def normalized(text: str) -> str:
    """Return a geometry in one way of writing: blanks, numbers, case, and whether points of a MULTIPOINT have brackets.

    What is no WKT is returned as it is. Numbers are compared as servers keep them, as 64-bit floating point.
    """
    tokens = _tokens(text)
    if tokens is None:
        return text
    parts: list[str] = []
    depth, points = 0, -1  # brackets that are open; those around the brackets of a MULTIPOINT's points
    for item in tokens:
        if _TYPE.fullmatch(item):
            points = depth + 1 if item == "MULTIPOINT" else -1
        depth -= item == ")"
        if depth < 0:
            return text
        if not (item in "()" and depth == points):
            parts.append(item)
        depth += item == "("
    return " ".join(parts) if depth == 0 else text


def _tokens(text: str) -> list[str] | None:
    """Return words, numbers and brackets in one way of writing; None where the text is no WKT."""
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at, end)
        if found is None:
            return None
        word, number, sign = found.groups()
        if word:
            words = _words(word.upper(), tokens)
            if words is None:
                return None
            tokens += words
        else:
            tokens.append(_number(number) if number else sign)
        at = found.end()
    return tokens if tokens and _TYPE.fullmatch(tokens[0]) else None


def _words(word: str, before: list[str]) -> list[str] | None:
    """Return the tokens of a word: `POINT`, `Z` for `POINTZ`; None where no such word may stand there."""
    if word in ("EMPTY", "Z", "M", "ZM"):
        return [word] if before else None
    found = _TYPE.fullmatch(word)
    return None if found is None else [part for part in found.groups() if part]


def _number(text: str) -> str:
    value = float(text)
    return text if isinf(value) else repr(value + 0.0)  # -0.0 + 0.0 is 0.0
