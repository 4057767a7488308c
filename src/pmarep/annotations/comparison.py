"""Tell which annotations of a slide are missing at another server.

Ids, authors and dates are each server's own, so two annotations are the same if layer, geometry, classification, notes
and colours are. Two equal ones stay two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from ..pmacore import Annotation
from .wkt import normalized

NO_CLASSIFICATION = "no classification"
"""The text that PMA.UI saves for an empty classification (annotations.js); an empty note it saves as a blank."""

_T = TypeVar("_T")


def missing_from(wanted: Sequence[Annotation], there: Iterable[Annotation]) -> list[Annotation]:
    """Return those that are wanted and not there, in their order: of three equal ones of which one is there, two."""
    left = Counter(map(_as_written, there))
    candidates = _without(wanted, left, [_as_written(one) for one in wanted])
    if not candidates or not left:
        return candidates
    # Only what is not written alike is normalised: a slide may have many thousand outlines.
    rest: Counter[Hashable] = Counter()
    for written, count in left.items():
        rest[_normalized(*written)] += count
    return _without(candidates, rest, [_normalized(*_as_written(one)) for one in candidates])


def is_same(one: Annotation, other: Annotation) -> bool:
    """Return whether two annotations say the same."""
    return not missing_from([one], [other])


def _without(wanted: Sequence[Annotation], there: Counter[_T], keys: Sequence[_T]) -> list[Annotation]:
    """Return those whose key is not there any more; each one that is, is taken out of `there`."""
    missing = []
    for one, key in zip(wanted, keys, strict=True):
        if there[key] > 0:
            there[key] -= 1
        else:
            missing.append(one)
    for key in [key for key, count in there.items() if count <= 0]:
        del there[key]
    return missing


def _as_written(one: Annotation) -> tuple[int, str, str, str, str, str]:
    texts = one.classification, one.notes, one.color, one.fill_color
    classification, notes, color, fill_color = (text or "" for text in texts)
    return one.layer, one.geometry, classification, notes, color, fill_color


def _normalized(
    layer: int, geometry: str, classification: str, notes: str, color: str, fill_color: str
) -> tuple[Hashable, ...]:
    if classification.strip().lower() == NO_CLASSIFICATION:
        classification = ""
    colors = ("".join(text.split()).lower() for text in (color, fill_color))
    return layer, normalized(geometry), classification.strip(), notes.replace("\r\n", "\n").strip(), *colors
