"""Find slides as the tests of discovery look at them, and check what holds for every find."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MediaStorageDirectoryStorage, VLWholeSlideMicroscopyImageStorage

from pmarep.slides import LeftOut, Slide, SlideLookup, Why, find_slides
from pmarep.slides.folder import Scandir


@dataclass
class Discovered:
    """All that was found in a source."""

    things: list[Slide | LeftOut]

    @property
    def slides(self) -> dict[str, list[str]]:
        """Slides and the files of each, as announced, in the order of sending."""
        return {thing.path: [file.path for file in thing.files] for thing in self.things if isinstance(thing, Slide)}

    @property
    def left(self) -> dict[str, Why]:
        left = [thing for thing in self.things if isinstance(thing, LeftOut)]
        assert len({thing.path for thing in left}) == len(left), f"reported twice: {left}"
        return {thing.path: thing.why for thing in left}

    def detail(self, path: str) -> str:
        return next(thing.detail for thing in self.things if isinstance(thing, LeftOut) and thing.path == path)

    def slide(self, path: str) -> Slide:
        return next(thing for thing in self.things if isinstance(thing, Slide) and thing.path == path)


def discover(
    source: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    newer_than: float | None = None,
    min_size: int = 0,
    lookup: SlideLookup | None = None,
    scandir: Scandir = os.scandir,
) -> Discovered:
    found = Discovered(
        list(
            find_slides(
                source,
                include=include,
                exclude=exclude,
                newer_than=newer_than,
                min_size=min_size,
                lookup=lookup,
                scandir=scandir,
            )
        )
    )
    paths = [slide.local(file) for slide in found.things if isinstance(slide, Slide) for file in slide.files]
    assert len(paths) == len(set(paths)), "a file belongs to two slides"
    for slide in found.things:
        if isinstance(slide, Slide):
            assert (slide.main.local_name or slide.main.path) == slide.path.rpartition("/")[2], (
                "the main file is not the last"
            )
            for file in slide.files:
                assert slide.local(file).stat().st_size == file.size
                assert slide.local(file).stat().st_mtime_ns == file.mtime_ns
    return found


def shuffled(seed: int) -> Scandir:
    """os.scandir with the entries in another order, as another disk would have them."""

    @contextmanager
    def scandir(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with os.scandir(path) as entries:
            shuffled = list(entries)
        random.Random(seed).shuffle(shuffled)
        yield iter(shuffled)

    return scandir


def refusing(*names: str) -> Scandir:
    """os.scandir that may not look into folders of these names, also as root, whom permissions do not stop."""

    @contextmanager
    def scandir(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        if Path(path).name in names:
            raise PermissionError(13, "Permission denied", path)
        with os.scandir(path) as entries:
            yield entries

    return scandir


def written(dataset: Dataset) -> bytes:
    """A DICOM file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


@cache
def dicomdir(listed: tuple[str, ...]) -> bytes:
    """A DICOMDIR that lists whole-slide images, whatever the paths (of which DICOM allows only some)."""
    directory = Dataset()
    directory.DirectoryRecordSequence = []
    for path in listed:
        record = Dataset()
        record.RecordInUseFlag = 0xFFFF
        record.add(DataElement("ReferencedFileID", "CS", path.split("/"), validation_mode=IGNORE))
        record.ReferencedSOPClassUIDInFile = VLWholeSlideMicroscopyImageStorage
        directory.DirectoryRecordSequence.append(record)
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    return written(directory)
