"""`PreparedFiles`: reads results of `prepare`, and refuses everything else: no file of the source is opened here."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import SourceError
from ...slides.labels import LabelImages
from ...slides.model import Slide
from ...state.records import signature
from ..files import LocalFile, LocalFiles
from ..interface import FileVersion
from .slide import PreparedSlide


class NotPrepared(SourceError):
    """The files of a result are not here (any more); `prepare` makes them again."""


class PreparedFiles(LocalFiles):
    """The SourceFiles of results below one folder. Sites with `prepare` read through nothing else.

    Everything that is not below the folder is refused before it is opened, and a link out of it when it was.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__([os.path.realpath(folder)], strict=True)
        self._below = os.path.join(folder, "")  # noqa: PTH118  (with a separator at its end)

    def open(self, version: FileVersion) -> LocalFile:
        """Open a file of a result. Raises SourceError, NotPrepared."""
        self._refuse_others(version.path)
        try:
            return super().open(version)
        except SourceError:
            _raise_if_gone(Path(version.path))
            raise

    def check(self, version: FileVersion) -> None:
        """Raise SourceError if there is another file by now, NotPrepared if none."""
        self._refuse_others(version.path)
        try:
            super().check(version)
        except SourceError:
            _raise_if_gone(Path(version.path))
            raise

    async def check_slide(self, slide: Slide) -> str:
        """Return the identity of a result: of its bytes, so that one that is made again is the same.

        Raises SourceError, NotPrepared.
        """
        self._refuse_slide(slide)
        await super().check_slide(slide)
        return signature(slide)

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the result is none that any server could read, NotPrepared if it is gone."""
        self._refuse_slide(slide)
        await super().check_content(slide)

    async def label_images(self, slide: Slide) -> LabelImages:
        """Look for label and macro images of the result. Raises SourceError, NotPrepared."""
        self._refuse_slide(slide)
        return await super().label_images(slide)

    def _refuse_slide(self, slide: Slide) -> None:
        if not isinstance(slide, PreparedSlide):
            raise _no_result(slide.path)
        for file in slide.files:
            self._refuse_others(str(slide.local(file)))
        _raise_if_gone(slide.local(slide.main))

    def _refuse_others(self, path: str) -> None:
        if not path.startswith(self._below) or ".." in Path(path).parts:
            raise _no_result(path)


def _no_result(path: str) -> SourceError:
    return SourceError(f"{path} was not made by prepare, and this site gets nothing else")


def _raise_if_gone(path: Path) -> None:
    if not path.exists():
        raise NotPrepared("what prepare has made is not here any more; the next run makes it again")
