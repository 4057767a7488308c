"""Which annotations are missing at another server."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.annotations import annotation

from pmarep.annotations.comparison import is_same, missing_from
from pmarep.pmacore import Annotation


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Classification": ""}, {"Classification": "no classification"}),
        ({"Classification": None}, {"Classification": "No Classification"}),
        ({"Notes": ""}, {"Notes": " "}),
        ({"Notes": None}, {"Notes": ""}),
        ({"Notes": "a\nb"}, {"Notes": "a\r\nb"}),
        ({"Color": "#FF0000"}, {"Color": "#ff0000"}),
        ({"FillColor": "rgba(1,2,3,0.5)"}, {"FillColor": "RGBA(1, 2, 3, 0.5)"}),
        ({"FillColor": None}, {"FillColor": ""}),
        ({"Geometry": "POINT(1 2)"}, {"Geometry": "point (1.0 2e0)"}),
        ({"AnnotationID": 1, "AuditCreatedBy": "anna"}, {"AnnotationID": 2, "AuditCreatedBy": "bert"}),
        ({"LineThickness": 1, "UpdateInfo": "x"}, {"LineThickness": 2}),
    ],
)
def test_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert is_same(annotation(**one), annotation(**other))


@pytest.mark.parametrize(
    "change",
    [
        {"LayerID": 2},
        {"Geometry": "POINT(1 2)"},
        {"Classification": "Necrosis"},
        {"Notes": "x"},
        {"Color": "#00ff00"},
        {"FillColor": "#00ff00"},
    ],
)
def test_another(change: dict[str, Any]) -> None:
    assert not is_same(annotation(), annotation(**change))


def test_two_equal_ones_stay_two() -> None:
    twins = [annotation(1), annotation(1), annotation(1, Geometry="polygon ((1 0, 10 10, 1 20, 1 0))")]
    assert missing_from(twins, []) == twins
    assert missing_from(twins, [annotation(1)]) == twins[1:]
    assert len(missing_from(twins, [annotation(1), annotation(1), annotation(2)])) == 1
    assert missing_from(twins, twins) == []


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_what_is_missing_and_what_is_there_make_at_least_what_is_wanted(wanted: list[int], there: list[int]) -> None:
    """As multisets, whatever way they are written in."""
    spell = random.Random(1)

    def one(number: int) -> Annotation:
        blank = spell.choice(["", " "])
        return annotation(Geometry=f"POINT{blank}({number}{blank} 0)", Notes=blank, LayerID=1)

    have = [one(number) for number in there]
    missing = missing_from([one(number) for number in wanted], have)
    expected = sum(max(wanted.count(number) - there.count(number), 0) for number in range(5))
    assert len(missing) == expected
    assert missing_from([one(n) for n in wanted], [*have, *missing]) == []
