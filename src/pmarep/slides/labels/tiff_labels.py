"""Label and macro images of slides that are TIFFs. Which scanner wrote one is told by what is in it, not by its name.

Facts, and where they are from:

- Aperio: label and macro are pictures in strips behind the scan. NewSubfileType 1 and 9 tell them, in all of Aperio's
  files; older scanners also write `label 387x463` or `macro ...` in the second line of the description, the GT 450 no
  description (openslide-vendor-aperio.c; openslide issue 297 with Leica's own words; tifffile pull request 144;
  Bio-Formats issues 3682 and 3757). The second picture is the thumbnail.
- Hamamatsu NDPI: SourceLens (65421) is -1 in the macro image, which shows the label, and -2 in the map of the scan
  (openslide-vendor-hamamatsu.c, Bio-Formats' NDPIReader.java). There is no picture of the label alone: viewers cut it
  out of the macro image (openslide issue 219).
- Leica SCN: in its XML, a `supplementalImage` is a label or a barcode (Bio-Formats' LeicaSCNReader.java); an `image`
  whose view is all of the collection is the macro image (openslide-vendor-leica.c).
- Philips TIFF: in its XML, images of the type LABELIMAGE and MACROIMAGE in base64; or pictures whose description begins
  with `Label` or `Macro` (openslide-vendor-philips-tiff.c, tifffile).
- Ventana BIF: `Label Image` or `Label_Image` is a picture of the glass with its label: OpenSlide calls it macro,
  tifffile label, Bio-Formats "both label and overview are usually in the same image". `Probability_Image` and
  `Thumbnail` show the tissue (openslide-vendor-ventana.c).
- Akoya QPTIFF: `ImageType` in the XML of each picture: Label, Overview (Bio-Formats' VectraReader.java).
- OME-TIFF: nothing but the names of images, as those that Bio-Formats gives when it converts: `label image`, `macro
  image`, `macro`, `overview image`.
- Argos AVS: the last picture is the macro image, if it is one in strips (openslide-vendor-argos.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .model import NONE, NOT_KNOWN, Carries, LabelImages
from .tiff_pages import ARGOS_XML, DESCRIPTION, SOFTWARE, XMP, Page, TiffPages
from .xml_labels import of_ome, of_philips, of_scn

_XML_LIMIT = 32 * 1024 * 1024  # bytes; Philips' has the label itself in it
_LABEL, _MACRO = 1, 9  # NewSubfileType: a reduced image; Aperio's own sum of that and 8
_WORD = re.compile(rb"(?:^|[\r\n])\s*(label|macro|overview)(?![a-z0-9])", re.IGNORECASE)
_QPTIFF_TYPE = re.compile(rb"<ImageType>\s*([A-Za-z]+)\s*</ImageType>")
_VENTANA = (b"Label Image", b"Label_Image")
_VENTANA_OTHERS = (b"Probability_Image", b"Probability Image", b"Thumbnail")
_VENTANA_XMP = 64 * 1024  # bytes in which its root element is looked for


@dataclass(frozen=True, slots=True)
class _Tiff:
    """The pages of one file, the text that its first one has about all of them, and whether these are all pages."""

    file: TiffPages
    pages: Sequence[Page]
    complete: bool

    @property
    def first(self) -> Page:
        return self.pages[0]

    def xml(self) -> bytes:
        return self.file.whole_text(self.first, DESCRIPTION, _XML_LIMIT)

    def answer(self, answers: Sequence[LabelImages]) -> LabelImages:
        """Combine what is known of the pages; pages that were not looked at may be anything."""
        return LabelImages.all_of(answers if self.complete else [*answers, NOT_KNOWN])


def of_tiff(path: str) -> LabelImages:
    """Look at the directories of a TIFF. Raises OSError, NoTiffError, TiffError and NoIndexError."""
    with TiffPages(path) as file:
        pages, complete = file.pages()
        tiff = _Tiff(file, pages, complete)
        return next(look for tells, look in _MAKERS if tells(tiff))(tiff)


def _label(found: Carries) -> LabelImages:
    return LabelImages(found, Carries.NO)


def _macro(found: Carries) -> LabelImages:
    return LabelImages(Carries.NO, found)


def _said_in(description: bytes) -> LabelImages | None:
    """Return what a description calls its picture: a label or a macro image, or None."""
    found = _WORD.search(description)
    if found is None:
        return None
    return _label(Carries.YES) if found[1].lower() == b"label" else _macro(Carries.YES)


def _aperio(tiff: _Tiff) -> LabelImages:
    def look(page: Page) -> LabelImages:
        said = _said_in(page.description)
        if page.number == 0 or page.tiled:
            return said or NONE
        if page.subfile == _MACRO:
            return _macro(Carries.YES)
        if said is not None:
            return said
        if page.number == 1 and (page.subfile != _LABEL or b" -> " in page.description):
            return NONE  # the thumbnail
        return _label(Carries.YES) if page.subfile == _LABEL and page.number > 1 else NOT_KNOWN

    return tiff.answer([look(page) for page in tiff.pages])


def _ndpi(tiff: _Tiff) -> LabelImages:
    lenses = [page.lens for page in tiff.pages]
    answers = {-1.0: _macro(Carries.YES), None: _macro(Carries.UNKNOWN)}
    found = [NONE if lens is not None and (lens > 0 or lens == -2) else answers.get(lens, NOT_KNOWN) for lens in lenses]
    return tiff.answer(found)


def _scn(tiff: _Tiff) -> LabelImages:
    return tiff.answer([of_scn(tiff.xml(), len(tiff.pages))])


def _philips(tiff: _Tiff) -> LabelImages:
    pages = [_said_in(page.description) or NONE for page in tiff.pages[1:]]
    return tiff.answer([of_philips(tiff.xml()), *pages])


def _ventana(tiff: _Tiff) -> LabelImages:
    def look(page: Page) -> LabelImages:
        if page.description in _VENTANA:
            return LabelImages(Carries.YES, Carries.YES)
        known = page.description in _VENTANA_OTHERS or b"level=" in page.description
        return NONE if known else _said_in(page.description) or NOT_KNOWN

    return tiff.answer([look(page) for page in tiff.pages])


def _qptiff(tiff: _Tiff) -> LabelImages:
    def look(page: Page) -> LabelImages:
        found = _QPTIFF_TYPE.search(tiff.file.text(page, DESCRIPTION, _VENTANA_XMP))
        if found is None:
            return NOT_KNOWN
        kind = found[1].lower()
        if kind in (b"label", b"overview", b"macro"):
            return _label(Carries.YES) if kind == b"label" else _macro(Carries.YES)
        return NONE

    return tiff.answer([look(page) for page in tiff.pages])


def _ome(tiff: _Tiff) -> LabelImages:
    return tiff.answer([of_ome(tiff.xml())])


def _argos(tiff: _Tiff) -> LabelImages:
    return tiff.answer([_macro(Carries.said(not tiff.pages[-1].tiled, sure=True))])


def _any(tiff: _Tiff) -> LabelImages:
    """Tell only what holds for any TIFF: smaller copies of the first picture are levels, and others may be anything."""
    first = tiff.first

    def look(page: Page) -> LabelImages:
        said = _said_in(page.description)
        if said is not None:
            return said
        if page.number and page.subfile == _MACRO and not page.tiled:
            return _macro(Carries.YES)
        return NONE if _is_level(page, first) else NOT_KNOWN

    return tiff.answer([look(page) for page in tiff.pages])


def _is_level(page: Page, first: Page) -> bool:
    """Return whether a picture has the proportions of the first one, to a pixel or two, and is tiled as that is."""
    if page.number == 0:
        return True
    if page.tiled != first.tiled or not 0 < page.width <= first.width or not 0 < page.height <= first.height:
        return False
    by_width = first.height * page.width / first.width
    by_height = first.width * page.height / first.height
    return abs(by_width - page.height) <= 2 or abs(by_height - page.width) <= 2


def _is_ventana(tiff: _Tiff) -> bool:
    if any(page.description in (*_VENTANA, *_VENTANA_OTHERS[:2]) for page in tiff.pages[:4]):
        return True
    return any(b"<iScan" in tiff.file.text(page, XMP, _VENTANA_XMP) for page in tiff.pages[:4])


def _begins(*words: bytes) -> Callable[[_Tiff], bool]:
    return lambda tiff: tiff.first.description.startswith(words)


def _is_by(*words: bytes) -> Callable[[_Tiff], bool]:
    return lambda tiff: tiff.file.text(tiff.first, SOFTWARE).startswith(words)


_MAKERS: tuple[tuple[Callable[[_Tiff], bool], Callable[[_Tiff], LabelImages]], ...] = (
    (lambda tiff: tiff.file.is_ndpi, _ndpi),
    (_begins(b"Aperio"), _aperio),
    (lambda tiff: b"leica-microsystems.com/scn/" in tiff.first.description, _scn),
    (_is_by(b"Philips"), _philips),
    (_is_by(b"PerkinElmer-QPI"), _qptiff),
    (lambda tiff: b"PerkinElmer-QPI-ImageDescription" in tiff.first.description, _qptiff),
    (lambda tiff: re.search(rb"<(?:\w+:)?OME[\s>]", tiff.first.description) is not None, _ome),
    (_is_ventana, _ventana),
    (lambda tiff: tiff.file.text(tiff.first, ARGOS_XML).startswith(b"<Argos"), _argos),
    (lambda _tiff: True, _any),
)
"""Who has written a TIFF, and how its pictures tell what they are; the first that fits counts."""
