"""Label and macro images: does a slide carry a picture of its label, or of the whole glass with the label on it?

`label_images()` says yes, no or unknown for each of the two, by a few reads of directories, indexes and headers; no
pixels are looked at. A no is about pictures that the format has a place for. It says nothing of texts (the barcode in a
header, a file name), and nothing of what can be seen in the scan itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from ..index_file import IndexFileError
from ..model import Slide
from ..ome_xml import LIMIT, NoIndexError
from ..tiff import NoTiffError, TiffError
from .czi_labels import of_czi
from .dicom_labels import of_dicom
from .ini_labels import of_mirax, of_vms
from .isyntax_labels import of_isyntax
from .model import NONE, NOT_KNOWN, Carries, LabelImages
from .tiff_labels import of_tiff
from .xml_labels import of_ome

__all__ = ["NOT_KNOWN", "Carries", "LabelImages", "label_images"]

_MOST = 2000  # files of one slide that are looked into

Look = Callable[[Slide, Callable[[], object]], LabelImages]


def label_images(slide: Slide, looked: Callable[[], object] = lambda: None) -> LabelImages:
    """Look for label and macro images in a slide. Blocks; `looked` is called after each file. Raises OSError.

    What is broken, or of a format that is not read here, is unknown.
    """
    return _LOOKS.get(slide.format, _unknown)(slide, looked)


def _unknown(_slide: Slide, _looked: Callable[[], object]) -> LabelImages:
    return NOT_KNOWN


def _none(_slide: Slide, _looked: Callable[[], object]) -> LabelImages:
    return NONE


def _tolerant(look: Callable[[str], LabelImages]) -> Callable[[str], LabelImages]:
    """Make what is broken unknown. OSError is raised on."""

    def tolerant(path: str) -> LabelImages:
        try:
            return look(path)
        except (TiffError, NoTiffError, NoIndexError, IndexFileError):
            return NOT_KNOWN

    return tolerant


def _main(look: Callable[[str], LabelImages]) -> Look:
    """Look at the main file, and nothing else."""
    tolerant = _tolerant(look)
    return lambda slide, _looked: tolerant(os.fspath(slide.local(slide.main)))


def _files(slide: Slide, looked: Callable[[], object], *endings: str) -> Iterator[str]:
    """Return the local paths of the files with one of these endings, "" for all; `looked` is called between them."""
    for file in slide.files:
        if file.path.lower().endswith(endings):
            yield os.fspath(slide.local(file))
            looked()


def _each(look: Callable[[str], LabelImages], *endings: str) -> Look:
    """Look at each file of the slide that has one of these endings."""

    tolerant = _tolerant(look)

    def every(slide: Slide, looked: Callable[[], object]) -> LabelImages:
        answers: list[LabelImages] = []
        for path in _files(slide, looked, *endings):
            if len(answers) == _MOST:
                answers.append(NOT_KNOWN)
                break
            answers.append(tolerant(path))
        return LabelImages.all_of(answers or [NOT_KNOWN])

    return every


def _dicom(slide: Slide, looked: Callable[[], object]) -> LabelImages:
    paths = _files(slide, looked, "")
    found = of_dicom(path for _, path in zip(range(_MOST), paths, strict=False))
    return found if len(slide.files) <= _MOST else LabelImages.all_of([found, NOT_KNOWN])


def _ome_companion(path: str) -> LabelImages:
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read(LIMIT + 1)
    return of_ome(data) if len(data) <= LIMIT else NOT_KNOWN


_tiff = _main(of_tiff)

_LOOKS: dict[str, Look] = {
    "3DHISTECH MIRAX": _each(of_mirax, "slidedat.ini"),
    "Hamamatsu NDPIS": _each(of_tiff, ".ndpi"),
    "Hamamatsu VMS": _main(of_vms),
    "Hamamatsu VMU": _main(of_vms),
    "Aperio AFI": _each(of_tiff, ".svs", ".tif"),
    "Aperio SVS": _tiff,
    "Hamamatsu NDPI": _tiff,
    "Leica SCN": _tiff,
    "Zeiss CZI": _each(of_czi, ".czi"),
    "Ventana BIF": _tiff,
    "Philips iSyntax": _main(of_isyntax),
    "Akoya QPTIFF": _tiff,
    "ZIF": _tiff,
    "ARGOS AVS": _tiff,
    "DICOMDIR": _dicom,
    "DICOM": _dicom,
    "OME companion": _main(_ome_companion),
    "OME-TIFF": _tiff,
    "TIFF": _tiff,
    "JPEG": _none,
    "PNG": _none,
}
"""How to look at a slide, by the name of its format; others are unknown."""
