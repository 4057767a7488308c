"""Copy a DICOM slide without its label and overview: a `prepare` of pmarep's site book.

    prepare = ["python3", "/opt/rules/strip_label_dicom.py", "{slide}", "{out}"]

Needs pydicom. A slide's files are those of one series in one folder, and `{slide}` is one of them. Attributes such as
the patient's name stay as they are.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

PICTURES = {"LABEL", "OVERVIEW"}


def head_of(file: Path) -> Dataset | None:
    """Return what is needed of a file's attributes; None where it is no DICOM."""
    try:
        return dcmread(file, stop_before_pixels=True, specific_tags=["ImageType", "SeriesInstanceUID"])
    except InvalidDicomError:
        return None


def main() -> None:
    slide, out = map(Path, sys.argv[1:])
    series = dcmread(slide, stop_before_pixels=True).SeriesInstanceUID
    for file in sorted(path for path in slide.parent.iterdir() if path.is_file()):
        head = head_of(file)
        if head is not None and head.get("SeriesInstanceUID") == series and not PICTURES & set(head.ImageType):
            shutil.copyfile(file, out / file.name)


if __name__ == "__main__":
    main()
