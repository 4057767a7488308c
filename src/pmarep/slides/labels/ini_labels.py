"""Label and macro images of slides that an ini file describes: MIRAX and Hamamatsu VMS and VMU.

- MIRAX: `[HIERARCHICAL]` of Slidedat.ini has the layers beside the scan: `NONHIER_<i>_VAL_<k>` is
  `ScanDataLayer_SlideBarcode` for the label, `ScanDataLayer_SlideThumbnail` for a picture of the glass
  (openslide-vendor-mirax.c: label and macro); `ScanDataLayer_WholeSlide` and `ScanDataLayer_SlidePreview` are pictures
  of the glass too, which programs that take labels out of slides remove as well (wsi-anon's change log, 0.3.7).
- VMS and VMU: `MacroImage` names a picture of the glass (openslide-vendor-hamamatsu.c); there is no label of its own.
"""

from __future__ import annotations

import re

from ..index_file import IndexFileError, parse_ini, read_text
from .model import NONE, NOT_KNOWN, Carries, LabelImages

_LAYER = re.compile(r"nonhier_[0-9]+_val_[0-9]+")
_LABELS = ("barcode", "label")
_MACROS = ("slidethumbnail", "wholeslide", "preview", "macro", "overview")


def of_mirax(path: str) -> LabelImages:
    """Look at a Slidedat.ini. Raises OSError and IndexFileError."""
    section = parse_ini(read_text(path)).get("hierarchical")
    if not section or "nonhier_count" not in section:
        return NOT_KNOWN
    layers = [value.lower() for key, value in section.items() if _LAYER.fullmatch(key)]
    count = section["nonhier_count"]
    sure = bool(layers) or count == "0"
    label = any(word in layer for layer in layers for word in _LABELS)
    macro = any(word in layer for layer in layers for word in _MACROS)
    return LabelImages(Carries.said(label, sure=sure), Carries.said(macro, sure=sure))


def of_vms(path: str) -> LabelImages:
    """Look at the main file of a VMS or VMU. Raises OSError and IndexFileError."""
    sections = parse_ini(read_text(path))
    if not any(section.startswith(("virtual microscope", "uncompressed virtual")) for section in sections):
        raise IndexFileError("no index of a VMS or VMU")
    if any(section.get("macroimage") for section in sections.values()):
        return LabelImages(Carries.NO, Carries.YES)
    return NONE
