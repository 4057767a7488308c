"""Forms to test with: the same ones with other ids, as another database has them."""

from __future__ import annotations

from typing import Any

from pmacore_sandbox import FieldType, Form, FormField, Sandbox
from support.sandbox_client import Client

GRADES = ("G1", "G2", "G3 \u00fc")


def forms(first: int = 1, grades: tuple[str, ...] = GRADES) -> tuple[Form, ...]:
    """Two forms whose ids, and those of their fields and values, begin with a number."""
    values = {first * 10 + number: text for number, text in enumerate(grades)}
    fields = (
        FormField(first + 3, "Diagnosis"),
        FormField(first + 1, "Grade", FieldType.RADIO_BUTTON, values, allow_other=True),
        FormField(first + 2, "Stains", FieldType.CHECK_BOX, values),
    )
    return Form(first, "Report", fields), Form(first + 7, "Quality", (FormField(first + 9, "Focus"),))


def fill_in(sandbox: Sandbox, slide: str, form: int, **by_label: Any) -> None:
    """Fill in a form as the sandbox's user: a text, or a list of texts to choose. `Grade_other`: another value."""
    definition = next(one for one in sandbox.settings.forms if one.id == form)
    values = []
    for field in definition.fields:
        other = f"{field.label}_other" in by_label
        value = by_label.get(f"{field.label}_other", by_label.get(field.label))
        if isinstance(value, list):
            ids = {text: number for number, text in field.values.items()}
            value = "|".join(str(ids[text]) for text in value)
        values.append({"FieldId": field.id, "FormValue": value, "IsOtherValue": other, "IsBelowDetectableLimit": False})
    with Client(sandbox) as client:
        assert client.post("SaveFormData", pathOrUid=slide, formId=form, fieldValues=values) is True
