"""Forms: their definitions, and what users have filled in for slides. It lies in PMA.core's database.

What the calls take and answer is what `pma_python` and PMA.UI (context.js, forms.js) send and read, and no more: of a
submission in a list clients rely on nothing but its form.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from .refusals import NotFoundRefusal, Refusal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS form_data (
    slide TEXT NOT NULL, form INTEGER NOT NULL, login TEXT NOT NULL, fields TEXT NOT NULL,
    PRIMARY KEY (slide, form, login)
);
"""
_BUSY_SECONDS = 30.0  # while another sandbox writes to the same file


class FieldType(IntEnum):
    """The kinds of fields, by PMA.UI's numbers (forms.js)."""

    TEXT = 0
    PARAGRAPH = 1
    LIST_BOX = 2
    CHECK_BOX = 3
    RADIO_BUTTON = 4


@dataclass(frozen=True)
class FormField:
    """A field of a form. `values`: those that can be chosen, by their ids."""

    id: int
    label: str
    type: FieldType = FieldType.TEXT
    values: Mapping[int, str] = field(default_factory=dict)
    allow_other: bool = False


@dataclass(frozen=True)
class Form:
    """A form that users fill in for slides. `roots`: the root-directories whose slides have it; none: all."""

    id: int
    name: str
    fields: tuple[FormField, ...]
    roots: tuple[str, ...] = ()
    read_only: bool = False

    def is_for(self, root: str) -> bool:
        """Return whether slides of a root-directory have this form."""
        return not self.roots or root.upper() in map(str.upper, self.roots)


class Forms:
    """The calls about forms of one server, made by its one `user`. Callable from any thread.

    `check_slide` raises Refusal for a virtual path that is no slide, and returns the path as it is stored.
    """

    def __init__(self, file: Path, user: str, forms: Sequence[Form], check_slide: Callable[[object], str]) -> None:
        self._user = user
        self._forms = {form.id: form for form in forms}
        self._check_slide = check_slide
        file.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, timeout=_BUSY_SECONDS, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def definitions(self, ids: str | None, root: str | None) -> list[dict[str, Any]]:
        """Answer GetFormDefinitions: all, or those with some ids, or of a root-directory."""
        wanted = [_id(text) for text in (ids or "").split(",") if text]
        return [
            _definition(form)
            for form in self._forms.values()
            if (not wanted or form.id in wanted) and (not root or form.is_for(root))
        ]

    def available(self, path: str | None) -> list[dict[str, Any]]:
        """Answer GetForms: of the root-directory that a folder or slide is in, or of all."""
        root = (path or "").strip("/").split("/")[0]
        return [{"Key": form.id, "Value": form.name} for form in self._forms.values() if not root or form.is_for(root)]

    def submissions(self, paths: object, ids: object, current_user_only: object) -> list[dict[str, Any]]:
        """Answer GetFormSubmissions: an entry for each time that somebody has filled in a form of one of the slides."""
        if not isinstance(paths, list) or not paths:
            raise Refusal("pathOrUids is no list of slides")
        wanted = None if ids in (None, []) else ids
        if wanted is not None and (not isinstance(wanted, list) or not all(type(one) is int for one in wanted)):
            raise Refusal("formIDs is no list of numbers")
        found = []
        for slide in map(self._check_slide, paths):
            rows = self._select("SELECT form, login FROM form_data WHERE slide = ? ORDER BY form, login", slide)
            found += [
                {"FormID": form}
                for form, login in rows
                if (wanted is None or form in wanted) and (current_user_only is not True or login == self._user)
            ]
        return found

    def data(self, path: object, form_id: str | None, current_user_only: str | None) -> list[dict[str, Any]]:
        """Answer GetFormData: what each user has filled in."""
        slide, form = self._check_slide(path), self._form(_id(form_id or ""), path)
        rows = self._select(
            "SELECT login, fields FROM form_data WHERE slide = ? AND form = ? ORDER BY login", slide, form.id
        )
        own = (current_user_only or "").lower() == "true"
        return [
            {"Login": login, "FieldValues": json.loads(fields)}
            for login, fields in rows
            if not own or login == self._user
        ]

    def save(self, get: Callable[[str], Any]) -> bool:
        """Answer SaveFormData: keep what this user has filled in, in place of what they had filled in before."""
        slide = self._check_slide(get("pathoruid"))
        form = self._form(get("formid"), slide)
        if form.read_only:
            raise Refusal(f"The form {form.name!r} is read-only", code=403)
        values, fields = get("fieldvalues"), {one.id: one for one in form.fields}
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise Refusal("fieldValues is no list of values")
        kept = [_value(one, fields) for one in values]
        if len({one["FieldId"] for one in kept}) < len(kept):
            raise Refusal("fieldValues has a field twice")
        with self._lock, self._db:
            row = slide, form.id, self._user, json.dumps(kept)
            self._db.execute("INSERT OR REPLACE INTO form_data VALUES (?, ?, ?, ?)", row)
        return True

    def forget(self, path: str) -> None:
        """Delete what was filled in for a slide that has been deleted."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM form_data WHERE slide = ?", (path,))

    def _form(self, number: object, path: object) -> Form:
        form = self._forms.get(number) if type(number) is int else None
        if form is None or not form.is_for(str(path).strip("/").split("/")[0]):
            raise NotFoundRefusal(f"There is no form {number!r} for this slide")
        return form

    def _select(self, line: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(line, values).fetchall()


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise Refusal(f"{text!r} is no id of a form")
    return int(text)


def _definition(form: Form) -> dict[str, Any]:
    return {
        "FormID": form.id,
        "FormName": form.name,
        "ReadOnly": form.read_only,
        "FormFields": [
            {
                "FieldID": one.id,
                "FieldType": int(one.type),
                "Label": one.label,
                "AllowOther": one.allow_other,
                "FormList": {
                    "FormListValues": [{"ValueID": number, "Value": text} for number, text in one.values.items()]
                }
                if one.values
                else None,
            }
            for one in form.fields
        ],
    }


def _value(one: dict[str, Any], fields: Mapping[int, FormField]) -> dict[str, Any]:
    """Return what is kept of a value. Raises Refusal for one that the form would not let a user choose."""
    number, text = one.get("FieldId"), one.get("FormValue")
    chosen = fields.get(number) if isinstance(number, int) else None
    if chosen is None:
        raise Refusal(f"The form has no field {number!r}")
    if text is not None and not isinstance(text, str):
        raise Refusal(f"FormValue of the field {chosen.label!r} is no text")
    flags = {key: one.get(key, False) for key in ("IsOtherValue", "IsBelowDetectableLimit")}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise Refusal(f"The flags of the field {chosen.label!r} are not true or false")
    if flags["IsOtherValue"] and not chosen.allow_other:
        raise Refusal(f"The field {chosen.label!r} takes no other value")
    if chosen.values and text and not flags["IsOtherValue"]:
        ids = text.split("|") if chosen.type is FieldType.CHECK_BOX else [text]
        if not {str(number) for number in chosen.values} >= set(ids):
            raise Refusal(f"The field {chosen.label!r} has no such value")
    return {"FieldId": chosen.id, "FormValue": text, **flags}
