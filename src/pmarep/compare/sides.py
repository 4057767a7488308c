"""The sides of a comparison: folders of this machine and places at sites, with the names of their columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..sites.place import Place
from ..system.windows_names import normalized_key


@dataclass(frozen=True, slots=True)
class Side:
    """One of the folders or places that are compared.

    `number`: its place on the command line, from 0. `label`: the name of its column, `text`: how it was typed.
    """

    number: int
    at: Place | Path
    label: str
    text: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.at, Path)


def make_sides(places: Sequence[Place | Path]) -> list[Side]:
    """Return the sides of a comparison. Raises UsageError for fewer than two, or one that is named twice.

    A column is called as the site or the folder; where two would be called the same, as it was typed.
    """
    if len(places) < 2:
        raise UsageError("nothing to compare with; name at least two folders or places, such as cases/ tokyo:cases")
    texts = [str(place) if isinstance(place, Path) else place.text for place in places]
    seen: dict[object, str] = {}
    for place, text in zip(places, texts, strict=True):
        if (same := _identity(place)) in seen:
            raise UsageError(f"{seen[same]} and {text} are one and the same; leave one out")
        seen[same] = text
    names = [
        (place.resolve().name or text) if isinstance(place, Path) else place.site.name
        for place, text in zip(places, texts, strict=True)
    ]
    often = Counter(names)
    labels = [name if often[name] == 1 else text for name, text in zip(names, texts, strict=True)]
    return [
        Side(number, place, label, text)
        for number, (place, label, text) in enumerate(zip(places, labels, texts, strict=True))
    ]


def _identity(place: Place | Path) -> object:
    if isinstance(place, Path):
        return str(place.resolve())
    return place.site.url, place.site.username, normalized_key(place.path)
