"""Forms of databases with other ids: matched by names, labels and texts."""

from __future__ import annotations

from typing import Any

import pytest

from pmarep.compare.form_rows import Submission, form_of, judge_form, judge_submission, submission_of
from pmarep.compare.rows import Cell, Row, State
from pmarep.pmacore.forms import FormData, FormDefinition

LABELS = ["tokyo", "ghent", "saopaulo"]
MISSING = Cell(State.MISSING)


def definition(
    first: int, *, name: str = "Report", grades: Any = ("G1", "G2"), labels: Any = ("Grade", "Notes")
) -> FormDefinition:
    values = [{"ValueID": first * 10 + number, "Value": text} for number, text in enumerate(grades)]
    fields = [
        {"FieldID": first + 1, "FieldType": 4, "Label": labels[0], "FormList": {"FormListValues": values}},
        {"FieldID": first + 2, "FieldType": 0, "Label": labels[1], "FormList": None},
    ]
    return FormDefinition.read({"FormID": first, "FormName": name, "FormFields": fields}, "x")


def data(*values: dict[str, Any]) -> FormData:
    return FormData.read({"Login": "anna", "FieldValues": list(values)}, "x")


def states(row: Row) -> list[str]:
    return [cell.state.value for cell in row.cells]


def test_ids_and_the_order_of_fields_do_not_count() -> None:
    one, other = definition(1), definition(5, name="  report ", grades=("G2", "G1"))
    assert states(judge_form([form_of(one), form_of(other)], (), LABELS)) == ["same", "same"]


@pytest.mark.parametrize(
    ("other", "differs", "words"),
    [
        (
            definition(1, labels=("Grade", "Remarks")),
            ("fields",),
            ["no field 'Notes'", "'Remarks' that is not at tokyo"],
        ),
        (definition(1, grades=("G1",)), ("lists",), ["the field 'Grade' has another list"]),
    ],
)
def test_a_form_that_differs_has_its_differences_as_details(
    other: FormDefinition, differs: tuple[str, ...], words: list[str]
) -> None:
    row = judge_form([form_of(definition(1)), form_of(other)], (), LABELS)
    assert row.cells[1].differs == differs
    assert all(any(word in detail for detail in row.cells[1].details) for word in words)


def test_a_form_that_a_side_may_have_is_not_missing() -> None:
    form = form_of(definition(1))
    assert states(judge_form([form, None, None], {2}, LABELS)) == ["there", "missing", "unknown"]


def test_a_list_may_come_by_ids() -> None:
    raw = {"FieldID": "7", "Label": "x", "FormList": {"FormListValues": {"3": {"ValueID": 3, "Value": "three"}}}}
    read = FormDefinition.read({"FormID": 1, "FormName": "f", "FormFields": [raw]}, "x")
    assert read.fields[0].values == {"3": "three"}


def test_values_are_compared_by_their_texts() -> None:
    one = submission_of(definition(1), data({"FieldId": 2, "FormValue": "10|11"}, {"FieldId": 3, "FormValue": None}))
    other = submission_of(definition(5), data({"FieldId": 6, "FormValue": "51|50"}, {"FieldId": 7, "FormValue": " "}))
    assert one == other == Submission("Report", "anna", {"Grade": "G1; G2"})


def test_other_values_and_those_below_the_limit_are_no_ids() -> None:
    below = {"FieldId": 3, "FormValue": "", "IsBelowDetectableLimit": True}
    found = submission_of(definition(1), data({"FieldId": 2, "FormValue": "10", "IsOtherValue": True}, below))
    assert found.values == {"Grade": "10", "Notes": "below detectable limit"}


def test_labels_that_are_there_twice_are_kept_apart() -> None:
    twice = definition(1, labels=("Grade", "grade"))
    found = submission_of(twice, data({"FieldId": 2, "FormValue": "10"}, {"FieldId": 3, "FormValue": "x"}))
    assert found.values == {"Grade": "G1", "grade (2)": "x"}


def test_a_field_or_value_that_the_form_does_not_have_counts_too() -> None:
    found = submission_of(definition(1), data({"FieldId": 99, "FormValue": "x"}, {"FieldId": 2, "FormValue": "77"}))
    assert found.values == {"field 99": "x", "Grade": "value 77"}


def test_values_are_shown_only_where_that_is_asked_for() -> None:
    one, other = (
        Submission("Report", "anna", values) for values in ({"Notes": "Ms Tanaka", "A": "1"}, {"Notes": "x", "B": "2"})
    )
    found = [(0, one), (2, other)]
    row = judge_submission(found, [MISSING] * 3, LABELS, "a.svs", values=False)
    assert states(row) == ["there", "missing", "differs"]
    assert row.cells[2].details == (
        "'Notes' has another value than at tokyo",
        "'B' is empty at tokyo",
        "'A' is empty, and not at tokyo",
    )
    assert "Tanaka" not in repr(row)
    shown = judge_submission(found, [MISSING] * 3, LABELS, "a.svs", values=True)
    assert shown.cells[2].details[0] == "'Notes' is 'x', and 'Ms Tanaka' at tokyo"
