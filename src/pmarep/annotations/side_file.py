"""Side files: the annotations of one slide in a JSON file beside it, `x.svs.annotations.json`.

docs/annotations.schema.json is the schema. A later version that adds keys keeps `pmarep_annotations` at 1.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PmarepError
from ..pmacore import Annotation, PmaCoreError
from ..slides.file_names import ANNOTATIONS_SUFFIX
from ..system.private_file import replace_private_file
from ..system.windows_names import is_altered_by_windows, is_windows_device
from ..text import printable

VERSION = 1
MAX_BYTES = 256 * 1024 * 1024


class SideFileError(PmarepError):
    """A side file that cannot be read or written."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """What a side file says. `fingerprint`: of the slide, as the server that the annotations come from has it."""

    fingerprint: str | None
    annotations: tuple[Annotation, ...]

    async def fingerprint_of_slide(self) -> str:
        """Return the fingerprint. Raises SideFileError where there is none."""
        if not self.fingerprint:
            raise SideFileError("its side file names no fingerprint of the slide; export it again")
        return self.fingerprint


def side_file_of(main: Path) -> Path:
    """Return the path of the side file of a slide, by that of its main file."""
    return main.with_name(main.name + ANNOTATIONS_SUFFIX)


def read_side_file(file: Path) -> SideFile | None:
    """Read a side file; None where there is none. Blocks. Raises SideFileError."""
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SideFileError(f"cannot read {printable(file.name)}: {error.strerror}; look at the file") from None
    if len(content) > MAX_BYTES:
        raise _no_side_file(file, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise _no_side_file(file, "no JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
        raise _no_side_file(file, "without a list of annotations")
    version, fingerprint = data.get("pmarep_annotations"), data.get("fingerprint")
    if version != VERSION:
        raise _no_side_file(file, f"of version {printable(str(version)[:20])}, and this pmarep reads {VERSION}")
    if not (fingerprint is None or isinstance(fingerprint, str)):
        raise _no_side_file(file, "with a fingerprint that is no text")
    try:
        found = tuple(Annotation.read(one, file.name) for one in data["annotations"])
    except PmaCoreError:
        raise _no_side_file(file, "with an annotation that has a value of another kind") from None
    return SideFile(fingerprint, found)


def write_side_file(
    file: Path, slide: str, fingerprint: str | None, annotations: list[Annotation], exported: str
) -> None:
    """Write a side file that only its owner reads, in one step. `exported`: when, ISO 8601. Blocks. Raises
    SideFileError.
    """
    data: dict[str, Any] = {
        "pmarep_annotations": VERSION,
        "slide": slide,
        "fingerprint": fingerprint,
        "exported": exported,
        "annotations": [
            {**one.fields(), "AuditCreatedBy": one.created_by, "AuditCreatedOn": one.created_on} for one in annotations
        ],
    }
    # Names may hold what is no text.
    content = json.dumps(data, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace") + b"\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_private_file(file, content)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SideFileError("its name is too long for a side file on this disk; shorten it at the site") from None
        raise SideFileError(f"cannot write {printable(str(file))}: {error.strerror}; name another folder") from None


def local_side_file(folder: Path, path: str) -> Path:
    """Return where the side file of a slide goes below a folder. `path`: the slide's there, as a server says it.

    Raises SideFileError for a name that would lie elsewhere, or that this disk cannot have.
    """
    parts = path.split("/")
    for part in parts:
        forbidden = os.name == "nt" and (is_altered_by_windows(part) or is_windows_device(part))
        if part in ("", ".", "..") or "\\" in part or "\0" in part or forbidden:
            raise SideFileError(f"a file cannot be called {printable(part)!r} here; rename the slide at the site")
    file = side_file_of(folder.joinpath(*parts))
    try:
        if not file.parent.resolve().is_relative_to(folder.resolve()):
            raise SideFileError(f"{printable(str(file.parent))} leads out of {printable(str(folder))}; remove the link")
    except OSError as error:
        raise SideFileError(f"cannot write {printable(str(file))}: {error.strerror}; name another folder") from None
    return file


def _no_side_file(file: Path, what: str) -> SideFileError:
    return SideFileError(f"{printable(file.name)} is no side file that can be used: {what}; export it again")
