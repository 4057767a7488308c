"""The commands that bring what is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pmarep.compare.mend import commands
from pmarep.compare.rows import Pattern, State
from pmarep.compare.sides import Side, make_sides
from pmarep.errors import UsageError
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.place import Place, needed_place

BOOK = SiteBook.parse(
    BookText(
        Path("sites.toml"),
        "".join(
            f'[sites.{name}]\nurl = "https://{name}.example/"\nusername = "u"\ntarget = "Slides/in"\n'
            for name in ("tokyo", "ghent", "saopaulo")
        ),
    )
)


def sides(*texts: str) -> list[Side]:
    return make_sides([needed_place(text, BOOK) if ":" in text else Path(text) for text in texts])


def pattern(text: str) -> Pattern:
    """A group each, or `-` for missing."""
    return tuple((State.MISSING, 0) if one == "-" else (State.SAME, int(one)) for one in text)


def lines(of: list[Side], **counts: int) -> list[str]:
    patterns = Counter({pattern(text.strip("_").replace("x", "-")): count for text, count in counts.items()})
    return [mend.command or mend.why for mend in commands(patterns, of, [False] * len(of))]


def test_a_single_command_copies_slides_to_all_sides_that_lack_them() -> None:
    assert lines(sides("tokyo:", "ghent:", "saopaulo:"), _1xx=5, _11x=2) == [
        "pmarep copy tokyo: --sites ghent,saopaulo"
    ]


def test_each_misses_something_of_the_other() -> None:
    assert lines(sides("cases", "tokyo:2026"), _1x=1, _x1=1) == [
        "pmarep pull tokyo:2026 cases",
        "pmarep push cases --sites tokyo --to 2026",
    ]


def test_a_second_source_brings_the_rest() -> None:
    assert lines(sides("tokyo:", "ghent:a b", "saopaulo:"), _11x=5, _x1x=1) == [
        "pmarep copy 'ghent:a b' --sites tokyo,saopaulo"
    ]
    assert lines(sides("tokyo:", "ghent:", "saopaulo:"), _1xx=5, _x1x=1) == [
        "pmarep copy ghent: --sites tokyo,saopaulo",
        "pmarep copy tokyo: --sites ghent,saopaulo",
    ]


def test_where_two_differ_a_person_decides() -> None:
    assert lines(sides("tokyo:", "ghent:", "saopaulo:"), _12x=5) == []


def test_two_folders_of_this_machine_have_no_command() -> None:
    assert lines(sides("cases", "more"), _1x=5) == []


def test_a_place_outside_of_the_target_cannot_be_sent_to() -> None:
    (line,) = lines(sides("tokyo:", "ghent:/Slides"), _1x=5)
    assert "outside of the target" in line


def test_columns_are_called_as_sites_and_folders_or_as_they_were_typed() -> None:
    assert [side.label for side in sides("a/cases", "tokyo:x")] == ["cases", "tokyo"]
    assert [side.label for side in sides("a/x", "b/x", "tokyo:x", "tokyo:y", "ghent:")] == [
        "a/x", "b/x", "tokyo:x", "tokyo:y", "ghent",
    ]  # fmt: skip


@pytest.mark.parametrize("texts", [["tokyo:"], ["tokyo:", "tokyo:/slides/IN"], ["x", "./y/../x"], ["x", "x"]])
def test_comparing_a_single_side_or_one_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        sides(*texts)


def test_places_are_places() -> None:
    assert isinstance(sides("tokyo:", "ghent:")[0].at, Place)
