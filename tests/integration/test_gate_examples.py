"""The examples of the manual's page about the gate: labels of an SVS and of a DICOM series never arrive."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from support.corpus_dicom import Slide, image, save, write_dicom
from support.corpus_labels import APERIO_LABEL, APERIO_MACRO, GT450_LABEL, GT450_MACRO, Picture, aperio, write_tiff
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox
from pmarep.slides import find_slides
from pmarep.slides.labels import Carries, label_images
from pmarep.slides.model import Slide as FoundSlide

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

PATIENT = b"PATIENT: Jane Doe, born 1970-01-01"
TISSUE = b"a piece of liver"


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def prepare(script: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / script), "{slide}", "{out}"]


def with_name(path: Path) -> None:
    """Write a patient's name into the label and the macro image, and TISSUE into the scan."""
    with tifffile.TiffFile(path) as tiff:
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    with path.open("rb+") as file:
        for page, text in zip([pages[0], *pages[-2:]], (TISSUE, PATIENT, PATIENT), strict=True):
            file.seek(page.dataoffsets[0])
            file.write(text)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("pictures", [(APERIO_LABEL, APERIO_MACRO), (GT450_LABEL, GT450_MACRO)], ids=["AT2", "GT450"])
def test_the_label_of_an_svs_is_removed(
    cli: PushCli, sandbox: Sandbox, bigtiff: bool, pictures: tuple[Picture, ...]
) -> None:
    cli.site("a", sandbox, prepare=prepare("strip_label_svs.py"), label_images="refuse")
    slide = write_tiff(cli.source / "Jane's liver.svs", aperio(*pictures), bigtiff=bigtiff)
    with_name(slide)
    before = slide.read_bytes()
    assert before.count(PATIENT) == 2
    result = cli.push()
    assert result.code == 0, result.finished("a")
    assert slide.read_bytes() == before
    there = sandbox.data / "Slides" / "in" / slide.name
    assert [name for name, content in contents(sandbox.data).items() if PATIENT in content] == []
    [found] = [one for one in find_slides(there.parent) if isinstance(one, FoundSlide)]
    assert label_images(found).either is Carries.NO
    with openslide.OpenSlide(there) as sent, openslide.OpenSlide(slide) as ours:
        assert set(ours.associated_images) >= {"thumbnail"}
        assert set(sent.associated_images) == {"thumbnail"}
        assert sent.level_dimensions == ours.level_dimensions
    assert TISSUE in there.read_bytes()
    assert np.array_equal(tifffile.imread(there, key=0), tifffile.imread(slide, key=0))


def test_the_label_of_a_dicom_series_is_removed(cli: PushCli, sandbox: Sandbox) -> None:
    import wsidicom

    cli.site("a", sandbox, prepare=prepare("strip_label_dicom.py"), label_images="refuse")
    folder = cli.source / "case 1"
    folder.mkdir(parents=True)
    write_dicom(folder)
    label = image(Slide.new("slide"), "LABEL", 64, 9, native=True)
    label.LabelText = PATIENT.decode()
    save(label, folder / "0-label.dcm")
    write_dicom(folder, stem="other ", seed="other", others=())  # another slide in the same folder
    before = contents(cli.source)
    result = cli.push("--verify", "deep")
    assert result.code == 0, result.finished("a")
    assert contents(cli.source) == before
    there = arrived(sandbox)
    assert set(there) == {f"case 1/{name}.dcm" for name in ("0", "1", "other 0", "other 1")}
    assert [name for name, content in contents(sandbox.data).items() if PATIENT in content] == []
    series = sandbox.data / "Slides" / "in" / "case 1"
    for file in series.glob("other*"):
        file.unlink()
    with wsidicom.WsiDicom.open(series) as wsi:
        assert not wsi.labels
        assert not wsi.overviews
