"""Label and macro images of DICOM slides: instances whose third value of ImageType is LABEL or OVERVIEW.

DICOM PS3.3, C.8.12.4.1.1. VOLUME and THUMBNAIL show the tissue; other values are not known.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..dicom_file import HeaderError, NoSlideError
from ..dicom_header import quiet, read_header
from .model import NONE, NOT_KNOWN, Carries, LabelImages

_FLAVORS = {
    "VOLUME": NONE,
    "THUMBNAIL": NONE,
    "LABEL": LabelImages(Carries.YES, Carries.NO),
    "OVERVIEW": LabelImages(Carries.NO, Carries.YES),
}


def of_dicom(paths: Iterable[str]) -> LabelImages:
    """Look at the headers of a slide's files. Raises OSError."""
    answers: list[LabelImages] = []
    with quiet():
        for path in paths:
            try:
                answers.append(_FLAVORS.get(read_header(path).flavor.upper(), NOT_KNOWN))
            except NoSlideError:  # another kind of object in a DICOMDIR
                continue
            except HeaderError:
                answers.append(NOT_KNOWN)
    return LabelImages.all_of(answers or [NOT_KNOWN])
