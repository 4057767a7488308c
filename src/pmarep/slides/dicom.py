"""DICOM whole-slide images: all `.dcm` files of one series in a folder are one slide.

A level of the pyramid is an instance of its own (or several, as a concatenation), and so are label, overview and
thumbnail. OpenSlide (openslide-vendor-dicom.c) and wsidicom open a slide by any of its files and take what has the same
SeriesInstanceUID; nothing lists the files, so a level that is missing altogether cannot be noticed. What can:

- a file that is cut off, or has fewer frames than it says;
- a concatenation that lacks a member (InConcatenationTotalNumber, or a gap in InConcatenationNumber);
- a series without any VOLUME image: labels alone are no slide.

The main file is the largest VOLUME image, by its total pixel matrix: the scan itself, from which the rest is derived
and of which readers take the slide's properties. It stays the same whatever the files are called, and whatever levels
or labels are added later. Between equals (members of a concatenation, focal planes) the first by
InConcatenationNumber, InstanceNumber, name.

Annotations, segmentations and reports that refer to a slide are objects of another kind with a series of their own.
They are left out, and reported: readers of the picture do not look for them, and a slide would change, and be sent
again, whenever somebody draws on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .dicom_header import Header, HeaderError, NoSlideError, quiet, read_header
from .listing import Folder, os_words
from .model import Why
from .names import few, in_order
from .parts import Groups, Parts

_VOLUME = "VOLUME"


def group(folder: Folder, names: Sequence[str]) -> Groups:
    """The slides among the `.dcm` files of a folder."""
    groups = Groups()
    series: dict[str, dict[str, Header]] = {}
    with quiet():
        for name in in_order(names):
            try:
                header = read_header(folder.files[name].path)
            except NoSlideError as error:
                groups.strangers[name] = Why.NOT_A_SLIDE, str(error)
            except HeaderError as error:
                groups.slides[name] = Parts.wrong(str(error))
            except OSError as error:
                groups.strangers[name] = Why.UNREADABLE, os_words(error)
            else:
                series.setdefault(header.series, {})[name] = header
    for members in series.values():
        main = main_of(members)
        parts = Parts(problems=problems_of(members))
        for name in members:
            if name != main:
                parts.take(name, name, folder.files[name])
        groups.slides[main] = parts
    return groups


def main_of(members: dict[str, Header]) -> str:
    """Which of the files of one series, given in order, stands for all of them."""

    def rank(name: str) -> tuple[bool, int, int, int]:
        header = members[name]
        return header.flavor != _VOLUME, -header.pixels, header.place, header.number

    return min(members, key=rank)  # the first in order among equals


def problems_of(members: dict[str, Header]) -> list[str]:
    """What is wrong with the files of one series, given in order."""
    problems = [_of_concatenation(one) for one in _concatenations(members)]
    damaged: dict[str, list[str]] = {}
    for name, header in members.items():
        if header.damage:
            damaged.setdefault(header.damage, []).append(name)
    problems += [f"{damage}: {few(names)}" for damage, names in damaged.items()]
    if not any(header.flavor == _VOLUME for header in members.values()):
        flavors = sorted({header.flavor or "images of no known kind" for header in members.values()})
        problems.append(f"its series has no {_VOLUME} image, only {few(flavors)}")
    return [problem for problem in problems if problem]


def _concatenations(members: dict[str, Header]) -> list[dict[str, Header]]:
    found: dict[str, dict[str, Header]] = {}
    for name, header in members.items():
        if header.concatenation:
            found.setdefault(header.concatenation, {})[name] = header
    return list(found.values())


def _of_concatenation(members: dict[str, Header]) -> str:
    """Without a total (it is optional) one member alone, or a gap, tells that there are more."""
    places = {header.place for header in members.values() if header.place}
    total = max(header.total for header in members.values())
    if not total and places == {1}:
        return f"missing: all but the first file of a concatenation: {next(iter(members))}"
    missing = [str(place) for place in range(1, max(total, *places, 0) + 1) if place not in places]
    if not missing:
        return ""
    of = f"{max(total, *places, 0)}"
    return f"missing: file {few(missing)} of {of} of the concatenation that {next(iter(members))} belongs to"
