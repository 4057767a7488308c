"""DICOM whole-slide images to test with: small, valid, and opened by OpenSlide and wsidicom."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

WHOLE_SLIDE = UID("1.2.840.10008.5.1.4.1.1.77.1.6")
TILE = 64  # pixels


@dataclass(frozen=True, slots=True)
class Slide:
    """What the images of one slide have in common."""

    study: str
    series: str
    frame_of_reference: str

    @classmethod
    def new(cls, seed: str) -> Slide:
        return cls(*(generate_uid(entropy_srcs=[seed, part]) for part in ("study", "series", "frame")))


def write_dicom(
    folder: Path,
    *,
    stem: str = "",
    size: int = 200,
    levels: int = 2,
    others: Sequence[str] = ("LABEL", "OVERVIEW"),
    native: bool = False,
    seed: str = "slide",
) -> list[Path]:
    """A slide of `levels` levels, the largest `size` pixels square, and a label and an overview: the files by name.

    `stem0.dcm` is the largest level, then come the others. JPEG in fragments, or with `native` plain pixels.
    """
    slide = Slide.new(seed)
    paths = []
    flavors = [*(["VOLUME"] * levels), *others]
    for number, flavor in enumerate(flavors):
        pixels = size >> number if flavor == "VOLUME" else TILE
        dataset = image(slide, flavor, pixels, number + 1, native=native)
        paths.append(save(dataset, folder / f"{stem}{number}.dcm"))
    return paths


def image(slide: Slide, flavor: str, pixels: int, number: int, *, frames: int = 0, native: bool = False) -> Dataset:
    """One image, `pixels` square, in tiles; with `frames` only that many of them (a member of a concatenation)."""
    across = -(-pixels // TILE)
    frames = frames or across * across
    dataset = _object(slide, WHOLE_SLIDE, "SM", number)
    dataset.ImageType = (
        ["ORIGINAL", "PRIMARY", flavor, "NONE"] if number == 1 else ["DERIVED", "PRIMARY", flavor, "NONE"]
    )
    dataset.Rows = dataset.Columns = TILE
    dataset.TotalPixelMatrixColumns = dataset.TotalPixelMatrixRows = pixels
    dataset.TotalPixelMatrixFocalPlanes = 1
    dataset.NumberOfFrames = frames
    dataset.ImagedVolumeWidth = dataset.ImagedVolumeHeight = 15.0
    dataset.ImagedVolumeDepth = 0.001
    dataset.SamplesPerPixel = 3
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.BurnedInAnnotation = dataset.SpecimenLabelInImage = "NO"
    dataset.LossyImageCompression = "00" if native else "01"
    dataset.VolumetricProperties = "VOLUME"
    dataset.FocusMethod = "AUTO"
    dataset.ExtendedDepthOfField = "NO"
    dataset.PositionReferenceIndicator = "SLIDE_CORNER"
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.NumberOfOpticalPaths = 1
    dataset.TotalPixelMatrixOriginSequence = _items(
        XOffsetInSlideCoordinateSystem=10, YOffsetInSlideCoordinateSystem=20
    )
    dataset.OpticalPathSequence = _items(
        OpticalPathIdentifier="0",
        IlluminationTypeCodeSequence=_code("111744", "DCM", "Brightfield illumination"),
        ICCProfile=bytes(3000),
    )
    dataset.SharedFunctionalGroupsSequence = _items(
        PixelMeasuresSequence=_items(
            SliceThickness=0.001, SpacingBetweenSlices=0.001, PixelSpacing=[15 / pixels, 15 / pixels]
        ),
        WholeSlideMicroscopyImageFrameTypeSequence=_items(FrameType=dataset.ImageType),
        OpticalPathIdentificationSequence=_items(OpticalPathIdentifier="0"),
    )
    _pixels(dataset, number, frames, native)
    return dataset


def _pixels(dataset: Dataset, seed: int, frames: int, native: bool) -> None:
    random = np.random.default_rng(seed)
    tiles = [random.integers(0, 255, (TILE // 16, TILE // 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)] * frames
    if native:
        dataset.PhotometricInterpretation = "RGB"
        dataset.PixelData = b"".join(tile.tobytes() for tile in tiles)
        return
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate([_jpeg(tile) for tile in tiles])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit


def _jpeg(tile: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "jpeg", quality=80, subsampling="4:2:2")
    return buffer.getvalue()


def extended_offsets(dataset: Dataset) -> Dataset:
    """The same image with an extended offset table instead of the basic one."""
    frames = [_jpeg(np.zeros((TILE, TILE, 3), np.uint8))] * int(dataset.NumberOfFrames)
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    return dataset


def undefined_lengths(dataset: Dataset) -> Dataset:
    """The same image with sequences that end with a delimiter, as PixelMed writes them."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
    return dataset


def ct_image(seed: str = "ct") -> Dataset:
    """What a CT scanner writes, but for most of it."""
    dataset = _object(Slide.new(seed), UID("1.2.840.10008.5.1.4.1.1.2"), "CT", 1)
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(32)
    return dataset


def annotation(slide: Slide) -> Dataset:
    """An annotation of a slide (Microscopy Bulk Simple Annotations) in a series of its own, as all of them are."""
    dataset = _object(Slide.new(slide.series), UID("1.2.840.10008.5.1.4.1.1.91.1"), "ANN", 1)
    dataset.ReferencedSeriesSequence = _items(SeriesInstanceUID=slide.series)
    return dataset


def _object(slide: Slide, sop_class: UID, modality: str, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[slide.series, modality, str(number)])
    dataset.Modality = modality
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = slide.study, slide.series
    dataset.FrameOfReferenceUID = slide.frame_of_reference
    dataset.InstanceNumber, dataset.SeriesNumber, dataset.StudyID = number, 1, "1"
    dataset.PatientName, dataset.PatientID = "Test^Slide", "1"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyDate = dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.ContentTime = "120000"
    dataset.AcquisitionDateTime = "20260101120000"
    dataset.Manufacturer = dataset.ManufacturerModelName = dataset.DeviceSerialNumber = "none"
    dataset.SoftwareVersions = "1"
    dataset.ContainerIdentifier = "S26-1"
    dataset.IssuerOfTheContainerIdentifierSequence = Items()
    dataset.ContainerTypeCodeSequence = _code("433466003", "SCT", "Microscope slide")
    dataset.AcquisitionContextSequence = Items()
    dataset.SpecimenDescriptionSequence = _items(
        SpecimenIdentifier="S26-1-A", SpecimenUID=generate_uid(entropy_srcs=[slide.series, "specimen"])
    )
    return dataset


def _items(**values: object) -> Items:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Items([item])


def _code(value: str, scheme: str, meaning: str) -> Items:
    return _items(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def save(dataset: Dataset, path: Path) -> Path:
    """Writes a dataset as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_concatenation(folder: Path, *, members: int = 3, total: bool = True, seed: str = "slide") -> list[Path]:
    """One level whose frames are in several files: `part1.dcm`, ... Without `total` none says how many there are."""
    slide = Slide.new(seed)
    side = members * TILE
    concatenation = generate_uid(entropy_srcs=[seed, "concatenation"])
    whole = generate_uid(entropy_srcs=[seed, "whole"])
    paths = []
    for number in range(1, members + 1):
        dataset = image(slide, "VOLUME", side, number, frames=members)
        dataset.ConcatenationUID = concatenation
        dataset.SOPInstanceUIDOfConcatenationSource = whole
        dataset.InConcatenationNumber = number
        if total:
            dataset.InConcatenationTotalNumber = members
        dataset.ConcatenationFrameOffsetNumber = (number - 1) * members
        paths.append(save(dataset, folder / f"part{number}.dcm"))
    return paths


def write_dicomdir(folder: Path, *, seed: str = "slide", ct: bool = False, slide: bool = True) -> list[str]:
    """A `DICOMDIR` as pydicom writes it, with one slide (and a CT image); the paths of what it lists."""
    files = FileSet()
    if slide:
        for number in range(3):
            flavor = "VOLUME" if number < 2 else "LABEL"
            files.add(image(Slide.new(seed), flavor, 128 >> number, number + 1))
    if ct:
        files.add(ct_image(f"{seed} ct"))
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder)
    return sorted(Path(one.path).relative_to(folder).as_posix() for one in files)
