"""Slides in the layouts that people have arrive with all their files, under the names that readers look for."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree
from support.corpus_dicom import write_dicom, write_dicomdir
from support.corpus_zarr import write_zarr
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def test_all_arrive_as_they_are_and_only_once(cli: PushCli, sandbox: Sandbox) -> None:
    """DICOM files called by their UIDs, or some of them without an ending; Zarr of both versions."""
    for number, path in enumerate(write_dicom(cli.source / "uids")):
        path.rename(path.with_name(f"1.2.826.0.1.3680043.8.498.10{number}"))
    mixed = write_dicom(cli.source / "mixed", seed="mixed")
    mixed[1].rename(mixed[1].with_name("l1"))
    write_zarr(cli.source / "n.ome.zarr")
    write_zarr(cli.source / "n.zarr", version=3)
    cli.site("a", sandbox)
    first = cli.push()
    assert (first.code, first.counts("a")) == (0, (4, 0, 0)), first.stdout
    assert arrived(sandbox) == contents(cli.source)
    again = cli.push("--verify", "deep")
    assert (again.code, again.counts("a")) == (0, (0, 4, 0)), again.stdout
    fresh = cli.push("--fresh")  # nothing is known here: the server is asked
    assert (fresh.code, fresh.counts("a")) == (0, (0, 4, 0)), fresh.stdout


def test_a_medium_arrives_without_the_versions_of_its_names(cli: PushCli, sandbox: Sandbox) -> None:
    listed = write_dicomdir(cli.source)
    wanted = contents(cli.source)
    for path in [*listed, "DICOMDIR"]:
        (cli.source / path).rename(cli.source / f"{path};1")
    cli.site("a", sandbox)
    result = cli.push()
    assert (result.code, result.counts("a")) == (0, (1, 0, 0)), result.stdout
    assert arrived(sandbox) == wanted


def test_no_tile_is_sent(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "n.dzi", "n_files/0/0_0.jpeg", "n_files/1/0_0.jpeg", "n_files/1/0_1.jpeg", "a.svs")
    cli.site("a", sandbox)
    result = cli.push()
    assert (result.code, result.counts("a")) == (0, (1, 0, 0)), result.stdout
    assert [Path(path).name for path in arrived(sandbox)] == ["a.svs"]
