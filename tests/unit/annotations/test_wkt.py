"""Geometries that are the same are written the same; what is no WKT stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.annotations.wkt import normalized

_numbers = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False, allow_infinity=False, allow_subnormal=False)
)
_types = st.sampled_from(["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTIPOLYGON", "GEOMETRYCOLLECTION"])
_positions = st.lists(st.lists(_numbers, min_size=2, max_size=4), min_size=1, max_size=5)


def _spellings(number: float) -> list[str]:
    value = float(number)
    found = [repr(value), f"{value:.25e}", f"{value:.25E}"]
    return [*found, str(int(value)), f"{int(value)}."] if value == int(value) else found


@st.composite
def _two_spellings(draw: st.DrawFn) -> tuple[str, str]:
    """One geometry, written in two ways."""
    kind, dimension = draw(_types), draw(st.sampled_from(["", "Z", "M", "ZM"]))
    positions = draw(_positions)
    nesting = draw(st.integers(0, 2))
    empty = draw(st.booleans())

    def write() -> str:
        def blank() -> str:
            return draw(st.sampled_from(["", " ", "\n  ", "\t"]))

        def case(word: str) -> str:
            return draw(st.sampled_from([word, word.lower(), word.title()]))

        gap = (blank() if kind.isalpha() else " ") if dimension else ""
        head = blank() + case(kind) + gap + case(dimension)
        if empty:
            return f"{head} {blank()}{case('EMPTY')}{blank()}"
        numbers = [" ".join(draw(st.sampled_from(_spellings(one))) for one in position) for position in positions]
        inside = f"{blank()},{blank()}".join(blank() + one for one in numbers)
        return head + blank() + ("(" + blank()) * (nesting + 1) + inside + (blank() + ")") * (nesting + 1)

    return write(), write()


@given(_two_spellings())
def test_two_spellings_of_a_geometry_are_one(both: tuple[str, str]) -> None:
    assert normalized(both[0]) == normalized(both[1])


@given(_two_spellings())
def test_normalizing_twice_changes_nothing(both: tuple[str, str]) -> None:
    once = normalized(both[0])
    assert normalized(once) == once


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    normalized(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MULTIPOINT((1 2),(3 4))", "MULTIPOINT (1 2, 3 4)"),
        ("POINTZ(1 2 3)", "POINT Z (1 2 3)"),
        ("POINT(-0 1)", "POINT(0 1)"),
        ("polygon empty", "POLYGON EMPTY"),
        ("MULTIPOINT(((1 2)))", normalized("MULTIPOINT(((1 2)))")),
        (
            "GEOMETRYCOLLECTION(MULTIPOINT((1 2)),POLYGON((0 0,1 1,1 0,0 0)))",
            "geometrycollection ( multipoint ( 1 2 ), polygon((0.0 0,1 1,1 0,0 0)) )",
        ),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("POINT(1 2)", "POINT(2 1)"),
        ("POINT Z (1 2 3)", "POINT M (1 2 3)"),
        ("POINT(1 2)", "POINT(1 2 0)"),
        ("POLYGON((0 0,1 1,1 0,0 0))", "POLYGON(0 0,1 1,1 0,0 0)"),
        ("GEOMETRYCOLLECTION(MULTIPOINT EMPTY,POLYGON((1 2)))", "GEOMETRYCOLLECTION(MULTIPOINT EMPTY,POLYGON(1 2))"),
        ("LINESTRING(1 2,3 4)", "LINESTRING(1 2 3 4)"),
        ("POINT(0.1 0)", "POINT(0.10000000000000002 0)"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@pytest.mark.parametrize(
    "broken",
    ["", " ", "POINT(1 2", "POINT 1 2)", "POINT(1,2", ")(", "hello (1)", "point(1.2.3 4)", "POINT(1 NaN)", "Z"],
)
def test_text_that_is_no_wkt_is_not_normalized(broken: str) -> None:
    assert normalized(broken) == broken
