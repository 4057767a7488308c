"""What arrives can be opened: real readers open each slide of the formats they know, at the site."""

from __future__ import annotations

from pathlib import Path

import openslide
import pytest
import tifffile
from support.corpus import tree, write_afi, write_mirax, write_pyramidal_tiff, write_svs
from support.corpus_dicom import Slide, annotation, ct_image, save, write_concatenation, write_dicom, write_dicomdir
from support.corpus_ome import write_companion, write_ome
from support.push_cli import PushCli, Result, contents, files_sent
from support.sandboxes import StartSandbox

from pmacore_sandbox import Sandbox


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def site(cli: PushCli, sandbox: Sandbox) -> Path:
    """The folder in which slides arrive."""
    cli.site("a", sandbox)
    return sandbox.data / "Slides" / "in"


def problems(result: Result) -> dict[str, str]:
    return {event["path"]: event["detail"] for event in result.events if event["event"] == "source_problem"}


def sent(result: Result) -> list[str]:
    return sorted(slide for slide, event in result.finished("a").items() if event["status"] == "sent")


def opened(path: Path) -> tuple[str, tuple[int, int], bytes]:
    """By OpenSlide: the maker, the size and some of the picture."""
    with openslide.OpenSlide(path) as slide:
        region = slide.read_region((32, 32), 0, (64, 64))
        assert slide.get_thumbnail((32, 32)).getbbox() is not None
        return slide.properties["openslide.vendor"], slide.dimensions, region.tobytes()


def test_openslide_opens_what_arrived(cli: PushCli, site: Path) -> None:
    source = cli.source
    write_svs(source / "a.svs", width=300, height=300)
    write_pyramidal_tiff(source / "b.tif", width=300, height=300)
    write_afi(source / "c.afi")
    write_dicom(source / "jpeg", levels=3, seed="jpeg")
    write_dicom(source / "native", levels=3, seed="native", native=True)
    write_concatenation(source / "parts")
    assert cli.push().code == 0
    vendors = {
        "a.svs": "aperio",
        "b.tif": "generic-tiff",
        "c_DAPI.svs": "aperio",
        "jpeg/0.dcm": "dicom",
        "native/0.dcm": "dicom",
        "parts/part1.dcm": "dicom",
    }
    for name, vendor in vendors.items():
        there = opened(site / name)
        assert there[0] == vendor
        assert there == opened(source / name)


def test_wsidicom_opens_what_arrived(cli: PushCli, site: Path) -> None:
    import wsidicom

    write_dicom(cli.source / "series", levels=3)
    write_dicomdir(cli.source / "media", ct=True)
    result = cli.push()
    assert sent(result) == ["media/DICOMDIR", "series/0.dcm"]
    with wsidicom.WsiDicom.open(site / "series") as wsi:
        assert len(wsi.levels) == 3
        assert wsi.read_region((0, 0), 0, (64, 64)).getbbox() is not None
        assert wsi.read_label().size == (64, 64)
    with wsidicom.WsiDicom.open_dicomdir(site / "media" / "DICOMDIR") as wsi:
        assert len(wsi.levels) == 2


def test_tifffile_opens_what_arrived(cli: PushCli, site: Path) -> None:
    write_ome(cli.source / "set.ome.tif")
    write_ome(cli.source / "big.ome.tif", big=True)
    assert sent(cli.push()) == ["big_C0.ome.tif", "set_C0.ome.tif"]
    for name in ("set_C0.ome.tif", "big_C0.ome.tif"):
        with tifffile.TiffFile(site / name) as there, tifffile.TiffFile(cli.source / name) as here:
            assert there.series[0].shape == (3, 48, 64)
            assert (there.series[0].asarray() == here.series[0].asarray()).all()


def test_disks_that_do_not_keep_the_case_of_names(cli: PushCli, site: Path) -> None:
    """The names that an index expects are those that arrive, so that a reader there finds all files."""
    import wsidicom

    listed = write_dicomdir(cli.source / "media")
    for path in sorted((cli.source / "media").rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    (cli.source / "media" / "dicomdir").rename(cli.source / "media" / "DICOMDIR")
    _, second, _ = write_ome(cli.source / "set.ome.tif")
    second.rename(second.with_name(second.name.upper()))
    result = cli.push()
    assert (result.code, problems(result)) == (0, {})
    assert sorted(path for path in contents(site) if path.startswith("media/")) == sorted(
        ["media/DICOMDIR", *(f"media/{path}" for path in listed)]
    )
    with wsidicom.WsiDicom.open_dicomdir(site / "media" / "DICOMDIR") as wsi:
        assert len(wsi.levels) == 2
    with tifffile.TiffFile(site / "set_C0.ome.tif") as file:
        assert file.series[0].asarray().any(axis=(1, 2)).all()


def test_strangers_stay_and_what_is_incomplete_is_reported(cli: PushCli, site: Path) -> None:
    source = cli.source
    write_dicom(source / "good", seed="good")
    save(ct_image(), source / "good" / "ct.dcm")
    save(annotation(Slide.new("good")), source / "good" / "drawn.dcm")
    write_dicomdir(source / "radiology", ct=True, slide=False)
    write_dicom(source / "labels", levels=0)
    write_concatenation(source / "parts")[1].unlink()
    cut = write_dicom(source / "cut", seed="cut")[1]
    cut.write_bytes(cut.read_bytes()[:-500])
    write_ome(source / "ome.ome.tif")[1].unlink()
    write_companion(source / "c.companion.ome")[1].unlink()
    tree(source, "good/notes.txt")
    result = cli.push()
    assert result.code == 1
    assert sent(result) == ["good/0.dcm"]
    assert problems(result) == {
        "labels/0.dcm": "its series has no VOLUME image, only LABEL, OVERVIEW",
        "parts/part1.dcm": "missing: file 2 of 3 of the concatenation that part1.dcm belongs to",
        "cut/0.dcm": "cut off: 1.dcm",
        "ome_C0.ome.tif": "missing: ome_C1.ome.tif",
        "c.companion.ome": "missing: c_C1.ome.tif",
    }
    assert sorted(path for path in contents(site) if path.startswith("good/")) == [
        f"good/{number}.dcm" for number in range(4)
    ]


def test_mirax_and_dicom_are_the_same_files_at_two_sites(cli: PushCli, start_sandbox: StartSandbox) -> None:
    write_mirax(cli.source / "m.mrxs")
    write_dicom(cli.source, stem="präparat ")
    tokyo = start_sandbox("tokyo")
    cli.site("tokyo", tokyo)
    cli.site("saopaulo", start_sandbox("saopaulo"))
    assert cli.push().code == 0
    assert [name for name in files_sent(tokyo) if name.endswith(".dcm")][-1] == "präparat 0.dcm"  # the main file
    for name in ("tokyo", "saopaulo"):
        folder = cli.source.parent.parent / name / "Slides" / "in"
        assert contents(folder) == contents(cli.source)
        assert opened(folder / "präparat 0.dcm")[0] == "dicom"
