"""Find out whether a folder is on a disk of this machine, whose changes the operating system reports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_LOCAL = frozenset(
    (
        "bcachefs",
        "btrfs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "ntfs3",
        "overlay",
        "tmpfs",
        "vfat",
        "xfs",
        "zfs",
    )
)
"""File systems that only this machine writes to. All others may be changed by a machine that tells this one nothing."""

_MOUNTS = Path("/proc/self/mountinfo")
_DRIVE_REMOVABLE, _DRIVE_FIXED = 2, 3  # of GetDriveTypeW


def is_on_local_disk(folder: Path) -> bool:
    """Return whether changes in a folder can be noticed at once; False where that is unknown, as on a network."""
    try:
        folder = folder.resolve(strict=True)
    except OSError:
        return False
    if sys.platform == "win32":
        import ctypes

        return ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) in (_DRIVE_REMOVABLE, _DRIVE_FIXED)
    try:
        return _type_of_mount(str(folder), _MOUNTS.read_text(errors="surrogateescape")) in _LOCAL
    except OSError:
        return False


def _type_of_mount(folder: str, mounts: str) -> str:
    """Return the type of the file system that a folder is on, by the lines of mountinfo (proc_pid_mountinfo(5))."""
    best, found = -1, ""
    for line in mounts.splitlines():
        mount, _, about = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not about:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        below = point.rstrip("/") + "/"
        # Of two at one point the later one hides the other.
        if (folder + "/").startswith(below) and len(below) >= best:
            best, found = len(below), about.split(" ")[0]
    return found
