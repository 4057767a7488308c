"""Write reports to files: private ones, since names of slides may be names of patients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from ..errors import UsageError
from ..system.private_file import replace_private_file
from .exports import to_csv, to_json
from .model import Report
from .page import to_html


class ReportFormat(StrEnum):
    """The formats of a report."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


def format_of(file: Path) -> ReportFormat:
    """Return the format that a file's name asks for: HTML unless it ends in .json or .csv."""
    suffix = file.suffix.lower().removeprefix(".")
    return ReportFormat(suffix) if suffix in (ReportFormat.JSON, ReportFormat.CSV) else ReportFormat.HTML


def render(
    report: Report, kind: ReportFormat, state_dir: Path | None, thumbnails: Mapping[int, str] | None = None
) -> bytes:
    """Return a report in a format, in UTF-8. `state_dir`: where the commands in it have to name it."""
    match kind:
        case ReportFormat.JSON:
            return f"{to_json(report, state_dir)}\n".encode()
        case ReportFormat.CSV:
            return to_csv(report).encode()
    return to_html(report, state_dir, thumbnails).encode()


def check_file(file: Path, what: str) -> None:
    """Raise UsageError where a file cannot be written, as far as that can be told before hours of sending."""
    folder = file.absolute().parent
    if file.is_dir():
        raise UsageError(f"{what} {file} is a folder; name a file")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} for {what} {file.name}; make it first")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{what} {file} cannot be written: you may not write in {folder}; name another file")


def write_report(file: Path, content: bytes) -> None:
    """Write a report, in one step, readable for its owner only. Raises OSError."""
    replace_private_file(file, content)
