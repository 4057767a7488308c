"""Write well-known text (WKT) in one way, so that equal geometries are equal texts.

The grammar is that of OGC's Simple Features (06-103r4, section 7) with Z, M and ZM.
"""

from __future__ import annotations

import re

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:E[-+]?\d+)?(?![\w.])"
_TOKEN = re.compile(rf"{_NUMBER}|[A-Z]+(?![\w.])|[(),]", re.ASCII)
_NUMBERS_BEGIN = frozenset("+-.0123456789")
_TYPE = re.compile(
    "(POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|GEOMETRYCOLLECTION|CIRCULARSTRING|COMPOUNDCURVE"
    "|CURVEPOLYGON|MULTICURVE|MULTISURFACE|CURVE|SURFACE|POLYHEDRALSURFACE|TIN|TRIANGLE)(ZM|Z|M)?"
)
_OTHER_WORDS = ("EMPTY", "Z", "M", "ZM")


def normalized(text: str) -> str:
    """Return a geometry in one way of writing: blanks, numbers, case, and whether points of a MULTIPOINT have brackets.

    What is no WKT is returned as it is. Numbers are compared as servers keep them, as 64-bit floating point.
    """
    upper = text.upper()
    tokens = _TOKEN.findall(upper)
    if not tokens or sum(map(len, tokens)) != len("".join(upper.split())) or not _TYPE.fullmatch(tokens[0]):
        return text
    # -0.0 + 0.0 is 0.0. Of ten thousand outlines there are millions of numbers, so this is one quick loop.
    tokens = [repr(float(token) + 0.0) if token[0] in _NUMBERS_BEGIN else token for token in tokens]
    for word in {token for token in tokens if token.isalpha()} - set(_OTHER_WORDS):
        found = _TYPE.fullmatch(word)
        if found is None:  # also `inf`, a number that is too large
            return text
        if found[2]:
            tokens = [part for token in tokens for part in (found.groups() if token == word else (token,))]
    if not _is_balanced(upper):
        return text
    return " ".join(_without_points_brackets(tokens) if "MULTIPOINT" in tokens else tokens)


def _is_balanced(text: str) -> bool:
    depth = 0
    for bracket in re.findall("[()]", text):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            return False
    return depth == 0


def _without_points_brackets(tokens: list[str]) -> list[str]:
    """Drop the brackets around each point of a MULTIPOINT, which may be written or not, be it several."""
    parts: list[str] = []
    depth, points = 0, -1  # brackets that are open; those around the brackets of a MULTIPOINT's points
    for item in tokens:
        if item[0].isalpha() and item not in _OTHER_WORDS:
            points = depth + 1 if item == "MULTIPOINT" else -1
        depth -= item == ")"
        if not (item in "()" and 0 < points <= depth):
            parts.append(item)
        depth += item == "("
    return parts
