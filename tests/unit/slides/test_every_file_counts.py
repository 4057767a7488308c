"""Every file below a source is in a slide, in something that is told as a problem, or counted as left out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.corpus import tree, write_mirax, write_svs, write_vsi
from support.discovery import Discovered, discover, refusing
from test_slides_properties import trees

from pmarep.slides import LeftOut, Slide, Why
from pmarep.slides.ignore_file import NAME as IGNORE
from pmarep.slides.source_counts import SourceCounts
from pmarep.system.windows_names import windows_key

rules = st.lists(st.sampled_from(["*.svs", "n/", "!n.*", "N/", "*.dat", "/_n_", "x y/", "m/"]), max_size=2)
globs = st.lists(st.sampled_from(["*.svs", "n/**", "N.*", "*.ndpis", "**/_n_/*", "*.xyz"]), max_size=2)
extras = st.sets(
    st.sampled_from(
        [
            *(".DS_Store", "@Recycle/a.svs", "n/.hidden", ".n.svs.icloud", "n/.Data0.dat.icloud", "m/.b.mrxs.icloud"),
            *("~$n.svs", "n/__MACOSX/n.svs", "x y/readme", "scan_00001", "scan.oir", "n (1).czi", "n.czi", "n/n.mrxs"),
            *("n_data/Slidedat.ini", "n_data/Index.dat", "_v_/_n_/a.ets", "_n_/n.vsi", "n.Full", "a.oif"),
            *("a.oif.files/s_C001.tif", "n.xlef", "n.pmarep", "_n_/s/.a.ets.icloud"),
            *(
                "t.dzi",
                "t_files/0/0_0.jpeg",
                "t_files/1/0_0.jpeg",
                "t_files/1/n.svs",
                "t_files/notes.txt",
                "t_files/x/a",
            ),
            *("z.zarr/.zgroup", "z.zarr/0/.zarray", "z.zarr/0/0", "z.zarr/n.svs", "y.zarr/0/0", ".zattrs", "0/0/0.png"),
            *("0/zarr.json", "1/1/1.png", "1/1/.DS_Store", "TileGroup0/0-0-0.jpg", "ImageProperties.xml"),
        ]
    ),
    max_size=8,
)


def twins(paths: list[str]) -> bool:
    """Whether two folders differ only in case."""
    folders = {path.rpartition("/")[0] for path in paths}
    above = {"/".join(folder.split("/")[:depth]) for folder in folders for depth in range(1, folder.count("/") + 2)}
    return len({windows_key(folder) for folder in above}) < len(above)


def counts_of(found: Discovered) -> SourceCounts:
    counts = SourceCounts()
    for thing in found.things:
        counts.add(thing)
    return counts


def check(top: Path, found: Discovered) -> None:
    """The sum is what is there. Folders that nobody looked into count as one each, and all below them with them.

    Unless a slide above such a folder has files in it: those count with the slide.
    """
    left = [thing for thing in found.things if isinstance(thing, LeftOut)]
    unseen = [thing for thing in left if not thing.files and (top / thing.path).is_dir()]
    whole = {thing.path: thing for thing in unseen if thing.why is not Why.INCOMPLETE}
    seen = shared = 0
    for folder, _, files in os.walk(top):
        here = sum(name != IGNORE for name in files)
        below = Path(folder).relative_to(top)
        if any(path.as_posix() in whole for path in (below, *below.parents)):
            shared += here
        else:
            seen += here
    counts = counts_of(found)
    counted = counts.sent + counts.reported + sum(counts.left_out.values())
    counted -= sum(not thing.why.is_problem for thing in whole.values())
    assert seen <= counted <= seen + shared


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(trees(), extras, rules, globs, st.booleans())
def test_of_any_folder(
    made: tuple[dict[str, bytes], dict[str, list[str]]],
    more: set[str],
    ignored: list[str],
    exclude: list[str],
    include: bool,
) -> None:
    # What is claimed in two folders that are one on Windows may count twice.
    assume(not twins([*made[0], *more]))
    with tempfile.TemporaryDirectory() as made_here:
        top = Path(made_here)
        for path, content in made[0].items():
            tree(top, path, content=content)
        for path in sorted(more):
            if not any(folder.is_file() for folder in (top / path).parents) and not (top / path).is_dir():
                tree(top, path)
        if ignored:
            (top / IGNORE).write_text("\n".join(ignored))
        check(top, discover(top, exclude=exclude, include=["*.svs", "n.*"] if include else []))


@pytest.mark.parametrize("source", [".", "n", "_v_"])
def test_of_folders_whose_slide_is_elsewhere(tmp_path: Path, source: str) -> None:
    write_mirax(tmp_path / "n.mrxs")
    write_vsi(tmp_path / "v.vsi")
    tree(tmp_path, "n/more.dat", "_v_/more.bin", "n/b.svs")
    for main in ("n.mrxs", "v.vsi"):
        (tmp_path / main).unlink()
    found = discover(tmp_path / source)
    check(tmp_path / source, found)
    assert counts_of(found).unknown == 0


def test_folders_that_cannot_be_read_are_reported_and_counted(tmp_path: Path) -> None:
    write_mirax(tmp_path / "n.mrxs")
    write_svs(tmp_path / "closed" / "a.svs")
    found = discover(tmp_path, scandir=refusing("n", "closed"))
    assert set(found.left.values()) == {Why.UNREADABLE}
    counts = counts_of(found)
    assert (counts.sent, counts.reported, sum(counts.left_out.values())) == (0, 1, 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("notes.txt", "other"),
        ("n.ndpi.ndpa", "other"),
        ("README", "other"),
        ("scan_00001", "unknown"),
        ("n.Full", "unknown"),
        ("Data0001.dat", "unknown"),
        ("x.unheard-of", "unknown"),
        (".DS_Store", "system"),
        ("Thumbs.db", "system"),
        ("~$a.svs", "system"),
        ("@Recycle/a.svs", "system"),
        ("@Recently-Snapshot/GMT+01/a.svs", "system"),
        ("RECYCLER/a.svs", "system"),
        ("Recycle Bin/a.svs", "system"),
        ("@tmp/a.svs", "system"),
        ("@Trash/a.svs", "system"),
        ("__MACOSX/a.svs", "system"),
        ("@GMT-2026.01.01-00.00.00/a.svs", "system"),
        (".b.txt.icloud", "other"),
    ],
)
def test_by_kind(tmp_path: Path, name: str, kind: str) -> None:
    tree(tmp_path, name, "good.svs")
    counts = counts_of(discover(tmp_path))
    assert counts.left_out == {"unknown": 0, "other": 0, "system": 0, "excluded": 0} | {kind: 1}
    assert (counts.sent, counts.reported) == (1, 0)


def test_what_may_be_a_slide_can_be_excluded(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "a.unheard-of", "b.unheard-of", "c.unheard-of", "n.txt")
    (tmp_path / IGNORE).write_text("b.*")
    found = discover(tmp_path, exclude=["a.unheard-of"])
    assert found.left == {
        "a.unheard-of": Why.EXCLUDED,
        "b.unheard-of": Why.EXCLUDED,
        "c.unheard-of": Why.NOT_A_SLIDE,
        "n.txt": Why.NOT_A_SLIDE,
    }
    assert discover(tmp_path, include=["*.svs"]).left["c.unheard-of"] is Why.EXCLUDED


def test_a_placeholder_of_a_cloud_is_reported(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", ".b.svs.icloud", "c.svs", ".c.svs.icloud")
    write_mirax(tmp_path / "n.mrxs")
    (tmp_path / "n" / "Data0001.dat").rename(tmp_path / "n" / ".Data0001.dat.icloud")
    found = discover(tmp_path)
    assert set(found.slides) == {"a.svs", "c.svs"}
    assert found.left == {"b.svs": Why.UNREADABLE, "n.mrxs": Why.UNREADABLE, ".c.svs.icloud": Why.NOT_A_SLIDE}
    assert "not downloaded to this machine: n/Data0001.dat" in found.detail("n.mrxs")
    assert not [thing for thing in discover(tmp_path, exclude=["b.svs", "n.mrxs"]).things if is_problem(thing)]


def is_problem(thing: Slide | LeftOut) -> bool:
    return isinstance(thing, LeftOut) and thing.why.is_problem
