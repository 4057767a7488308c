"""Which folders are on a disk of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pmarep.system import file_systems
from pmarep.system.file_systems import _type_of_mount, is_on_local_disk

MOUNTS = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 0:25 / /mnt/nas rw,relatime shared:2 - nfs4 nas:/slides rw,vers=4.2
31 30 8:1 / /mnt/nas/scratch rw shared:3 - xfs /dev/sda1 rw
32 22 0:26 / /mnt/two\040words rw - cifs //nas/two rw
33 22 8:2 / /srv rw - ext4 /dev/sdb1 rw
34 33 0:27 / /srv rw - fuse.sshfs host:/srv rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/course", "nfs4"),
        ("/mnt/nasty", "ext4"),
        ("/mnt/nas/scratch/x", "xfs"),
        ("/mnt/two words/x", "cifs"),
        ("/srv/x", "fuse.sshfs"),
    ],
)
def test_type_of_the_mount_that_a_folder_is_on(folder: str, kind: str) -> None:
    assert _type_of_mount(folder, MOUNTS) == kind


@pytest.mark.skipif(sys.platform != "linux", reason="reads the mounts of Linux")
@pytest.mark.parametrize(("kind", "local"), [("ext4", True), ("nfs4", False), ("fuse.rclone", False), ("9p", False)])
def test_only_known_file_systems_are_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, local: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 259:2 / / rw - {kind} /dev/x rw\n")
    monkeypatch.setattr(file_systems, "_MOUNTS", mounts)
    assert is_on_local_disk(tmp_path) is local


def test_a_folder_that_is_not_there_is_not_local(tmp_path: Path) -> None:
    assert not is_on_local_disk(tmp_path / "gone")


def test_where_mounts_are_not_told_nothing_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows is asked otherwise")
    monkeypatch.setattr(file_systems, "_MOUNTS", tmp_path / "none")
    assert not is_on_local_disk(tmp_path)
