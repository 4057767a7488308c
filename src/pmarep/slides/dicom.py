"""DICOM whole-slide images: all files of one series in a folder are one slide, whatever they are called.

A level of the pyramid is an instance of its own (or several, as a concatenation), and so are label, overview and
thumbnail. OpenSlide (openslide-vendor-dicom.c) and wsidicom open a slide by any of its files and take what has the same
SeriesInstanceUID; nothing lists the files, so a level that is missing altogether cannot be noticed. What can:

- a file that is cut off, or has fewer frames than it says;
- a concatenation that lacks a member (InConcatenationTotalNumber, or a gap in InConcatenationNumber);
- a series without any VOLUME image: labels alone are no slide.

Some scanners and archives give label, overview and thumbnail a series of their own. Such a series goes with the slide
of the same glass in its folder: of the same frame of reference, else of the same ContainerIdentifier, else with the
only slide of the study.

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

from .companions import Companions, SlideGroups
from .dicom_file import HeaderError, NoSlideError
from .dicom_header import Header, quiet, read_header
from .file_names import shorten_list, sort_names
from .folder import Folder, os_error_text
from .model import Why

_VOLUME = "VOLUME"


def group(folder: Folder, names: Sequence[str]) -> SlideGroups:
    """Sort the DICOM files of a folder into slides."""
    groups = SlideGroups()
    series: dict[str, dict[str, Header]] = {}
    with quiet():
        for name in sort_names(names):
            try:
                header = read_header(folder.files[name].path)
            except NoSlideError as error:
                groups.not_slides[name] = Why.NOT_A_SLIDE, str(error)
            except HeaderError as error:
                groups.slides[name] = Companions.with_problem(str(error))
            except OSError as error:
                groups.not_slides[name] = Why.UNREADABLE, os_error_text(error)
            else:
                series.setdefault(header.series, {})[name] = header
    _join(series)
    for members in series.values():
        main = main_of(members)
        parts = Companions(problems=problems_of(members))
        for name in members:
            if name != main:
                parts.take(name, name, folder.files[name])
        groups.slides[main] = parts
    return groups


def _join(series: dict[str, dict[str, Header]]) -> None:
    """Put the files of series without a VOLUME image to those of the slide that they show, where that can be told."""
    volumes = {uid: members for uid, members in series.items() if _has_volume(members)}
    for uid in [uid for uid in series if uid not in volumes]:
        home = _home(next(iter(series[uid].values())), volumes)
        if home:
            together = series[home] | series.pop(uid)
            series[home] = {name: together[name] for name in sort_names(together)}


def _home(label: Header, volumes: dict[str, dict[str, Header]]) -> str:
    """Find the series of the slide that a label belongs to, or ""."""
    firsts = {uid: next(iter(members.values())) for uid, members in volumes.items()}
    same_study = {uid: one for uid, one in firsts.items() if one.study == label.study}
    by_frame = [uid for uid, one in firsts.items() if label.frame and one.frame == label.frame]
    by_glass = [uid for uid, one in same_study.items() if label.container and one.container == label.container]
    if by_frame or by_glass:
        return (by_frame or by_glass)[0]
    others = [uid for uid, one in same_study.items() if not (label.container and one.container)]
    return others[0] if len(same_study) == 1 and others else ""


def _has_volume(members: dict[str, Header]) -> bool:
    return any(header.flavor == _VOLUME for header in members.values())


def main_of(members: dict[str, Header]) -> str:
    """Return the main file of one series, given its files in order."""

    def rank(name: str) -> tuple[bool, int, int, int]:
        header = members[name]
        return header.flavor != _VOLUME, -header.pixels, header.place, header.number

    return min(members, key=rank)  # the first in order among equals


def problems_of(members: dict[str, Header]) -> list[str]:
    """Return the problems of the files of one series, given in order."""
    problems = [_of_concatenation(one) for one in _concatenations(members)]
    damaged: dict[str, list[str]] = {}
    for name, header in members.items():
        if header.damage:
            damaged.setdefault(header.damage, []).append(name)
    problems += [f"{damage}: {shorten_list(names)}" for damage, names in damaged.items()]
    if not _has_volume(members):
        flavors = sorted({header.flavor or "images of no known kind" for header in members.values()})
        problems.append(f"its series has no {_VOLUME} image, only {shorten_list(flavors)}")
    return [problem for problem in problems if problem]


def _concatenations(members: dict[str, Header]) -> list[dict[str, Header]]:
    found: dict[str, dict[str, Header]] = {}
    for name, header in members.items():
        if header.concatenation:
            found.setdefault(header.concatenation, {})[name] = header
    return list(found.values())


def _of_concatenation(members: dict[str, Header]) -> str:
    """Return the problems of the files of one concatenation.

    Without a total (it is optional) one member alone, or a gap, tells that there are more.
    """
    places = {header.place for header in members.values() if header.place}
    total = max(header.total for header in members.values())
    if not total and places == {1}:
        return f"missing: all but the first file of a concatenation: {next(iter(members))}"
    missing = [str(place) for place in range(1, max(total, *places, 0) + 1) if place not in places]
    if not missing:
        return ""
    of = f"{max(total, *places, 0)}"
    return f"missing: file {shorten_list(missing)} of {of} of the concatenation that {next(iter(members))} belongs to"
