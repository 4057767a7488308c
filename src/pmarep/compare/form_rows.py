"""Compare forms and what was filled in: by names, labels and texts, since ids differ between databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..pmacore.forms import FieldValue, FormData, FormDefinition
from .rows import Cell, Row, State, group_equal, verdict_of

BELOW_LIMIT = "below detectable limit"

T = TypeVar("T")

Differences = tuple[tuple[str, ...], tuple[str, ...]]
"""In what one thing differs from another, and how, for people."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form at one side, without ids. `fields`: by label, the number of its type and the texts that can be chosen."""

    name: str
    fields: Mapping[str, tuple[int | None, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Submission:
    """What one user has filled into one form, without ids. `values`: by label; what is empty is not among them."""

    form: str
    login: str
    values: Mapping[str, str]


def form_key(name: str) -> str:
    """Return a key that is equal for names of forms, labels and logins that count as the same."""
    return " ".join(name.split()).casefold()


def labels_of(definition: FormDefinition) -> dict[str, str]:
    """Return the labels of a form's fields by their ids; a label that is there twice gets a number the second time."""
    seen: Counter[str] = Counter()
    labels = {}
    for one in definition.fields:
        seen[form_key(one.label)] += 1
        number = seen[form_key(one.label)]
        labels[one.id] = one.label if number == 1 else f"{one.label} ({number})"
    return labels


def form_of(definition: FormDefinition) -> Form:
    """Return a definition without ids."""
    labels = labels_of(definition)
    return Form(
        definition.name,
        {labels[one.id]: (one.kind, tuple(sorted(one.values.values()))) for one in definition.fields},
    )


def submission_of(definition: FormDefinition, data: FormData) -> Submission:
    """Return what a user has filled in, with labels and texts in place of ids."""
    labels, choices = labels_of(definition), {one.id: one.values for one in definition.fields}
    values = {
        labels.get(one.field, f"field {one.field}"): text
        for one in data.values
        if (text := _text(one, choices.get(one.field, {})))
    }
    return Submission(definition.name, data.login, values)


def _text(value: FieldValue, choices: Mapping[str, str]) -> str:
    if value.is_below_limit:
        return BELOW_LIMIT
    if not choices or value.is_other or not value.text:
        return value.text.strip()
    # PMA.UI joins the ids of several boxes in the order of the list, which need not be the same elsewhere.
    return "; ".join(sorted(choices.get(one, f"value {one}") for one in value.text.split("|")))


def judge_form(forms: Sequence[Form | None], vague: Container[int], labels: Sequence[str]) -> Row:
    """Return the row of one form, None where a side has none; `vague`: sides that may have more than they tell of."""
    absent = [Cell(State.UNKNOWN if side in vague else State.MISSING) for side in range(len(forms))]
    there = [(side, form) for side, form in enumerate(forms) if form is not None]
    return _row(there, absent, labels, _form_token, _form_differences, there[0][1].name)


def judge_submission(
    found: Sequence[tuple[int, Submission]], absent: Sequence[Cell], labels: Sequence[str], path: str, *, values: bool
) -> Row:
    """Return the row of what one user has filled into one form for the slide `path`.

    `found`: sides that have it, with it; `absent`: the cells of those that have not. `values`: show them.
    """

    def differ(one: Submission, other: Submission, label: str) -> Differences:
        return _value_differences(one, other, label, values=values)

    return _row(found, absent, labels, _submission_token, differ, path)


def _row(
    found: Sequence[tuple[int, T]],
    absent: Sequence[Cell],
    labels: Sequence[str],
    token: Callable[[T], Hashable],
    differ: Callable[[T, T, str], Differences],
    path: str,
) -> Row:
    cells = list(absent)
    groups = group_equal(found, lambda one: token(one[1]), lambda one: one[0])
    reference_side, reference = groups[0][0]
    for number, group in enumerate(groups, 1):
        for side, one in group:
            if number == 1:
                cells[side] = Cell(State.SAME if len(group) > 1 else State.THERE, 1)
            else:
                kinds, details = differ(one, reference, labels[reference_side])
                cells[side] = Cell(State.DIFFERS, number, differs=kinds, details=details)
    return Row(path, verdict_of(cells), tuple(cells))


def _form_token(form: Form) -> Hashable:
    return frozenset((form_key(label), *what) for label, what in form.fields.items())


def _submission_token(submission: Submission) -> Hashable:
    return frozenset((form_key(label), text) for label, text in submission.values.items())


def _form_differences(one: Form, other: Form, label: str) -> Differences:
    ours, theirs = ({form_key(name): (name, *what) for name, what in form.fields.items()} for form in (one, other))
    fields = [f"no field {theirs[key][0]!r}" for key in theirs if key not in ours]
    fields += [f"a field {ours[key][0]!r} that is not at {label}" for key in ours if key not in theirs]
    both = [key for key in ours if key in theirs]
    types = [f"the field {ours[key][0]!r} is of another type" for key in both if ours[key][1] != theirs[key][1]]
    lists = [f"the field {ours[key][0]!r} has another list" for key in both if ours[key][2] != theirs[key][2]]
    kinds = [name for name, found in (("fields", fields), ("types", types), ("lists", lists)) if found]
    return tuple(kinds), (*fields, *types, *lists)


def _value_differences(one: Submission, other: Submission, label: str, *, values: bool) -> Differences:
    ours, theirs = ({form_key(name): text for name, text in of.values.items()} for of in (one, other))
    names = {form_key(name): name for of in (one, other) for name in of.values}
    details = []
    for key, name in names.items():
        mine, its = ours.get(key, ""), theirs.get(key, "")
        if mine == its:
            continue
        if values:
            details.append(f"{name!r} is {mine!r}, and {its!r} at {label}")
        elif mine and its:
            details.append(f"{name!r} has another value than at {label}")
        else:
            details.append(f"{name!r} is empty, and not at {label}" if its else f"{name!r} is empty at {label}")
    return ("values",), tuple(details)
