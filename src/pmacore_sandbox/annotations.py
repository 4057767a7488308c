"""Annotations of slides: what lies in PMA.core's database and not in the slides' files.

They are kept in an SQLite file, which several sandboxes may share as several PMA.cores share a database: then a virtual
path has the same annotations, with the same ids, at all of them. What the calls take and answer is what `pma_python`
and PMA.UI (context.js, annotations.js) send and read.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .refusals import NotFoundRefusal, Refusal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS annotation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, slide TEXT NOT NULL, layer INTEGER NOT NULL, fields TEXT NOT NULL,
    created_by TEXT NOT NULL, created_on INTEGER NOT NULL, modified_by TEXT NOT NULL, modified_on INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS of_slide ON annotation (slide);
"""
_TEXTS = ("Geometry", "Classification", "Notes", "Color", "FillColor", "Context", "UpdateInfo")
_OTHERS = ("Dimensions", "LineThickness", "DrawingType")
_WKT = re.compile(r"[A-Za-z]+(\s+(Z|M|ZM))?\s*(EMPTY|\([-+.,()\w\s]*\))", re.IGNORECASE)
_BUSY_SECONDS = 30.0  # while another sandbox writes to the same file


class AnnotationStore:
    """The file of annotations. Callable from any thread."""

    def __init__(self, file: Path) -> None:
        file.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, timeout=_BUSY_SECONDS, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def of(self, slide: str, user: str | None = None) -> list[dict[str, Any]]:
        """Return the annotations of a slide as GetAnnotations has them, oldest first; `user`: only that one's."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM annotation WHERE slide = ? ORDER BY id", (slide,)).fetchall()
        return [_answer(row) for row in rows if user in (None, row["created_by"])]

    def slides(self) -> list[str]:
        """Return the virtual paths of all slides that have annotations."""
        with self._lock:
            return [path for (path,) in self._db.execute("SELECT DISTINCT slide FROM annotation ORDER BY slide")]

    def change(
        self,
        slide: str,
        user: str,
        added: list[dict[str, Any]],
        updated: list[dict[str, Any]] = [],  # noqa: B006  (never changed)
        deleted: list[int] = [],  # noqa: B006
    ) -> list[int]:
        """Add, update and delete annotations of one slide, all or none; return the new ids. Raises NotFoundRefusal."""
        now, ids = time.time_ns() // 1_000_000, []
        with self._lock, self._db:
            for fields in added:
                row = slide, fields["LayerID"], json.dumps(fields), user, now, user, now
                ids.append(self._db.execute("INSERT INTO annotation VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid)
            for fields in updated:
                values = fields["LayerID"], json.dumps(fields), user, now, fields["AnnotationID"], slide
                self._check_one(
                    self._db.execute(
                        "UPDATE annotation SET layer = ?, fields = ?, modified_by = ?, modified_on = ? "
                        "WHERE id = ? AND slide = ?",
                        values,
                    ),
                    fields["AnnotationID"],
                )
            for number in deleted:
                self._check_one(
                    self._db.execute("DELETE FROM annotation WHERE id = ? AND slide = ?", (number, slide)), number
                )
        return [number for number in ids if number is not None]

    def delete(self, slide: str, layer: int | None = None) -> None:
        """Delete the annotations of a slide, all of them or those of one layer."""
        with self._lock, self._db:
            if layer is None:
                self._db.execute("DELETE FROM annotation WHERE slide = ?", (slide,))
            else:
                self._db.execute("DELETE FROM annotation WHERE slide = ? AND layer = ?", (slide, layer))

    def _check_one(self, changed: sqlite3.Cursor, number: object) -> None:
        if changed.rowcount != 1:
            raise NotFoundRefusal(f"The slide has no annotation {number}")


class Annotations:
    """The calls about annotations of one server, made by its one `user`, who may write them if `may_write`.

    `check_slide` raises Refusal for a virtual path that is no slide, and returns the path as it is stored.
    `fingerprint`: of a slide. `strict_geometry`: refuse what is no WKT.
    """

    def __init__(
        self,
        file: Path,
        user: str,
        check_slide: Callable[[object], str],
        fingerprint: Callable[[object], str],
        *,
        may_write: bool = True,
        strict_geometry: bool = False,
    ) -> None:
        self._store = AnnotationStore(file)
        self._user = user
        self._check_slide = check_slide
        self._fingerprint = fingerprint
        self._may_write = may_write
        self._strict_geometry = strict_geometry

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def get(self, path: object, fingerprint: str | None, current_user_only: str | None) -> list[dict[str, Any]]:
        """Answer GetAnnotations: of a slide, or of all slides with a fingerprint, which then counts alone."""
        user = self._user if (current_user_only or "").lower() == "true" else None
        if not fingerprint:
            return self._store.of(self._check_slide(path), user)
        found = []
        for slide in self._store.slides():
            try:
                same = self._fingerprint(slide) == fingerprint
            except Refusal:  # it was deleted, or lies at another server with this database
                continue
            found += self._store.of(slide, user) if same else []
        return found

    def save(self, body: dict[str, Any], at_most: float | None = None) -> list[int]:
        """Answer SaveAnnotations: the ids of the `added` ones, in their order.

        `at_most`: save this share of them only, as a server that breaks down in the middle.
        """
        self._check_right()
        slide = self._check_slide(body.get("pathoruid"))
        added, updated, deleted = (_list(body, name) for name in ("added", "updated", "deleted"))
        new = [self._fields(one) for one in added]
        for one in added:
            if one.get("AnnotationID") not in (None, 0):
                raise Refusal("An annotation that is to be added has an AnnotationID already")
        if at_most is not None:
            return self._store.change(slide, self._user, new[: int(len(new) * at_most)])
        changed = [{**self._fields(one), "AnnotationID": _number(one, "AnnotationID")} for one in updated]
        return self._store.change(slide, self._user, new, changed, [_number(one, "AnnotationID") for one in deleted])

    def add(self, body: dict[str, Any]) -> int:
        """Answer AddAnnotation: the new id."""
        self._check_right()
        keys = {"Classification", "Notes", "Geometry", "Color"}
        fields = self._fields({key: body.get(key.lower()) for key in keys} | {"LayerID": body.get("layerid")})
        return self._store.change(self._check_slide(body.get("pathoruid")), self._user, [fields])[0]

    def delete(self, body: dict[str, Any]) -> bool:
        """Answer DeleteAnnotations: all of one layer of a slide."""
        self._check_right()
        self._store.delete(
            self._check_slide(body.get("pathoruid")), _number({"layerID": body.get("layerid")}, "layerID")
        )
        return True

    def forget(self, path: str) -> None:
        """Delete the annotations of a slide that has been deleted."""
        self._store.delete(path)

    def _check_right(self) -> None:
        if not self._may_write:
            raise Refusal(f"The user {self._user!r} is not allowed to annotate (CanAnnotate)", status=403, code=403)

    def _fields(self, one: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of an annotation that is to be saved; unknown keys are ignored. Raises Refusal."""
        fields: dict[str, Any] = {"LayerID": _number(one, "LayerID")}
        for key in _TEXTS:
            value = one.get(key)
            if value is not None and not isinstance(value, str):
                raise Refusal(f"{key} of an annotation is no text")
            fields[key] = value
        for key in _OTHERS:
            value = one.get(key)
            if isinstance(value, dict | list):
                raise Refusal(f"{key} of an annotation is no plain value")
            fields[key] = value
        if not fields["Geometry"]:
            raise Refusal("An annotation has no Geometry")
        if self._strict_geometry and not _WKT.fullmatch(fields["Geometry"].strip()):
            raise Refusal("The Geometry of an annotation is no WKT")
        return fields


def _answer(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "AnnotationID": row["id"],
        **json.loads(row["fields"]),
        "Image": row["slide"],
        "AuditCreatedBy": row["created_by"],
        "AuditCreatedOn": f"/Date({row['created_on']}+0000)/",
        "AuditLastModifiedBy": row["modified_by"],
        "AuditLastModifiedOn": f"/Date({row['modified_on']}+0000)/",
    }


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refusal(f"{name!r} is no list of annotations")
    return value


def _number(one: dict[str, Any], key: str) -> int:
    value = one.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(f"{key} of an annotation is no number")
    return value
