"""What was filled in at all sides, by slide, form and user: in a temporary database, since there may be much of it."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from itertools import groupby

from ..system.temporary_database import TemporaryDatabase, to_bytes, to_text
from .form_rows import Submission, form_key
from .table import slide_key

_BATCH = 500

Found = tuple[int, str, Submission]
"""A side, the path of the slide as it is spelled there, and what was filled in."""


class SubmissionTable(TemporaryDatabase):
    """What was filled in. Raises TemporaryFileError."""

    def __init__(self) -> None:
        super().__init__(
            (
                "CREATE TABLE submission (slide BLOB, form BLOB, login BLOB, side INT, path BLOB, packed BLOB,"
                " PRIMARY KEY (slide, form, login, side)) WITHOUT ROWID",
            )
        )

    def add(self, side: int, path: str, submission: Submission) -> None:
        """Add what a user has filled into a form for a slide; of a second one of the same names the first one stays."""
        keys = slide_key(path), form_key(submission.form), form_key(submission.login)
        packed = marshal.dumps((submission.form, submission.login, sorted(submission.values.items())))
        with self._lock:
            self._execute(
                "INSERT OR IGNORE INTO submission VALUES (?, ?, ?, ?, ?, ?)",
                (*map(to_bytes, keys), side, to_bytes(path), packed),
            )

    def rows(self) -> Iterator[tuple[bytes, list[Found]]]:
        """Yield the key of a slide with what one user has filled into one form of it, at all sides that have it."""
        for keys, group in groupby(self._stored(), lambda one: one[0]):
            yield keys[0], [found for _, found in group]

    def _stored(self) -> Iterator[tuple[tuple[bytes, bytes, bytes], Found]]:
        last: tuple[bytes, bytes, bytes, int] = b"", b"", b"", -1
        while True:
            with self._lock:
                rows = self._execute(
                    "SELECT slide, form, login, side, path, packed FROM submission"
                    " WHERE (slide, form, login, side) > (?, ?, ?, ?) ORDER BY slide, form, login, side LIMIT ?",
                    (*last, _BATCH),
                ).fetchall()
            if not rows:
                return
            for slide, form, login, side, path, packed in rows:
                name, user, values = marshal.loads(packed)  # noqa: S302  (nobody else can open this file)
                yield (slide, form, login), (side, to_text(path), Submission(name, user, dict(values)))
            last = tuple(rows[-1][:4])
