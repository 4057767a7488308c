"""Find files of one name from several origins, which would overwrite each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, cast

from ...slides import Slide
from ...system.temporary_database import TemporaryDatabase
from ...system.windows_names import collision_key

Owner = TypeVar("Owner", int, str)


class NameCollisions(TemporaryDatabase, Generic[Owner]):
    """The owner of each file name, such as the source that has it. `tables`: further ones.

    Raises TemporaryFileError.
    """

    def __init__(self, tables: Sequence[str] = ()) -> None:
        names = "CREATE TABLE names (key TEXT PRIMARY KEY, owner NOT NULL) WITHOUT ROWID"
        super().__init__((names, *tables), "names of files")

    def claim(self, names: Iterable[tuple[str, Owner]]) -> Owner | None:
        """Claim names, by their keys, for owners; return another owner that has one of them, else None.

        A name may be claimed again by the owner that has it.
        """
        names = list(names)
        with self._lock:
            for key, owner in names:
                found = self._execute("SELECT owner FROM names WHERE key = ?", (key,)).fetchone()
                if found is not None and found[0] != owner:
                    return cast(Owner, found[0])
            self._many("INSERT OR IGNORE INTO names VALUES (?, ?)", names)
        return None


def collision_keys(slide: Slide) -> Iterator[str]:
    """Yield the keys of a slide's files, by their paths below a target."""
    above, slash, _ = slide.target_path.rpartition("/")
    return (collision_key(above + slash + file.path) for file in slide.files)
