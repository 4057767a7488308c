"""One slide at several sides: who agrees with whom, what differs, and what is not told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pmarep.compare.content import want_contents
from pmarep.compare.rows import Content, ContentKind, Row, State, Verdict, judge
from pmarep.compare.table import Entry, FileEntry, Gap, GapKind, SlideTable, Told
from pmarep.compare.tally import Tally, in_words

LABELS = ["tokyo", "ghent", "saopaulo", "perth"]


@pytest.fixture
def table() -> Iterator[SlideTable]:
    made = SlideTable()
    yield made
    made.close()


def slide(path: str, *files: tuple[str, int], **more: Any) -> Entry:
    return Entry(path, "", tuple(FileEntry(*file) for file in files or ((path.rpartition("/")[2], 7),)), **more)


def put(table: SlideTable, *sides: Entry | None) -> None:
    for number, entry in enumerate(sides):
        if entry is not None:
            table.add(number, entry)


def rows(table: SlideTable, sides: int, content: ContentKind | None = None) -> list[Row]:
    return [judge(stored, sides, table.gap_at, LABELS, content) for stored in table.rows()]


def states(row: Row) -> list[str]:
    return [cell.state.value for cell in row.cells]


def words(row: Row) -> str:
    return in_words(row.pattern, LABELS[: len(row.cells)])


A, B, C = (slide("a.svs", ("a.svs", size)) for size in (1, 2, 3))


@pytest.mark.parametrize(
    ("sides", "found", "verdict", "said"),
    [
        ([A, A], "same same", Verdict.SAME, "the same everywhere"),
        ([A, None], "there missing", Verdict.MISSING, "only at tokyo"),
        ([A, B], "there differs", Verdict.DIFFERS, "tokyo and ghent each have another"),
        ([A, A, B], "same same differs", Verdict.DIFFERS, "tokyo and ghent agree, saopaulo has another"),
        ([A, B, B], "differs same same", Verdict.DIFFERS, "ghent and saopaulo agree, tokyo has another"),
        ([A, B, C], "there differs differs", Verdict.DIFFERS, "tokyo, ghent and saopaulo each have another"),
        ([A, A, None], "same same missing", Verdict.MISSING, "missing at saopaulo, the same at tokyo and ghent"),
        ([A, None, None], "there missing missing", Verdict.MISSING, "only at tokyo"),
        (
            [B, A, B, A],
            "same differs same differs",
            Verdict.DIFFERS,
            "tokyo and saopaulo agree, ghent and perth agree on another",
        ),
        (
            [None, A, A, B],
            "missing same same differs",
            Verdict.DIFFERS,
            "missing at tokyo, ghent and saopaulo agree, perth has another",
        ),
    ],
)
def test_a_row_tells_which_sides_agree(
    table: SlideTable, sides: Sequence[Entry | None], found: str, verdict: Verdict, said: str
) -> None:
    put(table, *sides)
    (row,) = rows(table, len(sides))
    assert (" ".join(states(row)), row.verdict, words(row)) == (found, verdict, said)


@pytest.mark.parametrize(
    "other",
    ["Case 1/M\u00fcller.SVS", "case 1/mu\u0308ller.svs", "case 1 /m\u00fcller.svs.", "CASE 1./m\u00fcller.svs"],
)
def test_names_are_compared_as_windows_does(table: SlideTable, other: str) -> None:
    put(table, slide("case 1/m\u00fcller.svs"), slide(other))
    (row,) = rows(table, 2)
    assert row.verdict is Verdict.SAME


def test_names_that_windows_keeps_apart_are_two_slides(table: SlideTable) -> None:
    put(table, slide("Stra\u00dfe.svs"), slide("Strasse.svs"))
    assert [words(row) for row in rows(table, 2)] == ["only at ghent", "only at tokyo"]


def test_files_and_sizes_differ(table: SlideTable) -> None:
    put(
        table,
        slide("m.mrxs", ("m/a", 1), ("m/b", 2000), ("m.mrxs", 3)),
        slide("M.mrxs", ("M/B", 2001), ("M/c", 4), ("M.mrxs", 3)),
    )
    (row,) = rows(table, 2)
    assert row.cells[1].differs == ("files", "size")
    assert row.cells[1].details == (
        "m/a is not there",
        "M/c is not at tokyo",
        "M/B has 2,001 bytes, and 2,000 at tokyo",
    )


def test_files_in_another_order_are_the_same(table: SlideTable) -> None:
    put(
        table,
        slide("m.mrxs", ("m/a", 1), ("m/b", 2), ("m.mrxs", 3)),
        slide("m.mrxs", ("m/b", 2), ("m/a", 1), ("m.mrxs", 3)),
    )
    assert rows(table, 2)[0].verdict is Verdict.SAME


@pytest.mark.parametrize("path", ["", "x", "X/y", "x/y/a.svs"])
def test_a_slide_below_what_is_not_told_is_not_missing(table: SlideTable, path: str) -> None:
    put(table, slide("x/y/a.svs"), None)
    table.add_gap(Gap(1, path, GapKind.UNTOLD, "no right"))
    (row,) = rows(table, 2)
    assert (states(row), row.verdict) == (["there", "unknown"], Verdict.UNKNOWN)
    assert [gap.why for gap in table.gaps()] == ["no right"]


def test_a_gap_is_about_its_own_side_and_folder_only(table: SlideTable) -> None:
    put(table, slide("x/a.svs"), None, None)
    put(table, slide("xy/a.svs"), None, None)
    table.add_gap(Gap(1, "x", GapKind.UNTOLD, "no right"))
    assert [states(row) for row in rows(table, 3)] == [["there", "unknown", "missing"], ["there", "missing", "missing"]]


def test_a_slide_that_the_local_folder_ignores_is_no_difference(table: SlideTable) -> None:
    put(table, None, slide("old/a.svs"), None)
    put(table, None, slide("old/b.svs"), slide("old/b.svs"))
    table.add_gap(Gap(0, "old", GapKind.IGNORED, "matches a rule"))
    assert [row.verdict for row in rows(table, 3)] == [Verdict.MISSING, Verdict.SAME]
    assert list(table.gaps()) == []


def test_what_all_others_ignore_is_ignored(table: SlideTable) -> None:
    put(table, None, slide("old/a.svs"))
    table.add_gap(Gap(0, "", GapKind.IGNORED, "matches a rule"))
    (row,) = rows(table, 2)
    assert (row.verdict, words(row)) == (Verdict.IGNORED, "there at ghent, ignored at tokyo")


def test_problems_and_what_is_not_told_of_a_slide(table: SlideTable) -> None:
    broken = Entry("a.mrxs", "", told=Told.PROBLEM, why="incomplete: Data0001.dat is missing")
    put(table, broken, None)
    put(table, slide("b.svs"), Entry("b.svs", "", told=Told.NOTHING, why="no right"))
    first, second = rows(table, 2)
    assert (states(first), first.verdict, words(first)) == (
        ["problem", "missing"],
        Verdict.PROBLEM,
        "a problem at tokyo",
    )
    assert (states(second), second.verdict) == (["there", "unknown"], Verdict.UNKNOWN)
    assert second.cells[1].why == "no right"


def test_of_two_slides_of_one_name_at_a_side_nothing_is_known(table: SlideTable) -> None:
    put(table, slide("a.svs"), slide("a.svs"))
    table.add(1, slide("A.svs", ("A.svs", 9)))
    (row,) = rows(table, 2)
    assert (states(row), "two slides" in row.cells[1].why) == (["there", "unknown"], True)


def test_names_that_are_no_text_are_kept(table: SlideTable) -> None:
    put(table, slide("a\ud800.svs"), slide("a\ud800.svs"))
    (row,) = rows(table, 2)
    assert (row.path, row.verdict) == ("a\ud800.svs", Verdict.SAME)


def put_contents(table: SlideTable, sides: int, *contents: Content) -> None:
    want_contents(table, sides)
    for side, content in enumerate(contents):
        for stored in table.without_content(side):
            table.put_content(stored, content.pack())


def test_contents_decide_where_names_and_sizes_are_the_same(table: SlideTable) -> None:
    put(table, A, A, A)
    put_contents(table, 3, *(Content({"A.SVS": digest}) for digest in (b"1", b"2", b"1")))
    (row,) = rows(table, 3, ContentKind.BYTES)
    assert states(row) == ["same", "differs", "same"]
    assert (row.cells[1].differs, row.cells[1].details) == (("bytes",), ("a.svs has other bytes than at tokyo",))


def test_a_content_that_cannot_be_had_is_not_told(table: SlideTable) -> None:
    put(table, A, A, B)
    put_contents(table, 3, Content({"": b"1"}), Content(error="gone"), Content({"": b"1"}))
    (row,) = rows(table, 3, ContentKind.FINGERPRINT)
    assert states(row) == ["there", "unknown", "differs"]
    assert row.cells[1].why == "gone"


def test_only_what_is_alike_is_looked_into(table: SlideTable) -> None:
    put(table, A, A, B)
    put(table, slide("b.svs"), None, None)
    wanted = want_contents(table, 3)
    assert [(one.all_slides, one.all_bytes) for one in wanted] == [(1, 1), (1, 1), (0, 0)]


def test_rows_come_by_name_whatever_the_order_in_which_sides_are_listed(table: SlideTable) -> None:
    for number in reversed(range(1201)):
        table.add(number % 2, slide(f"{number:04}.svs"))
        table.add(1 - number % 2, slide(f"{number:04}.svs"))
    found = rows(table, 2)
    assert [row.path for row in found] == [f"{number:04}.svs" for number in range(1201)]
    assert {row.verdict for row in found} == {Verdict.SAME}


def test_the_tally_is_fine_only_where_there_is_something_and_all_is_told(table: SlideTable) -> None:
    tally = Tally(2)
    assert not tally.is_fine
    put(table, A, A)
    for row in rows(table, 2):
        tally.add(row)
    assert tally.is_fine
    assert [(one.slides, one.bytes, one.states[State.SAME]) for one in tally.sides] == [(1, 1, 1), (1, 1, 1)]
    tally.untold = 1
    assert not tally.is_fine
