"""Detection of files that another program is writing at this moment, where the platform can tell; leaves no trace.

- Linux: the kernel refuses a read lease on a file that is open for writing (fcntl(2), F_SETLEASE), by whomever and
  however old the last write is. It gives leases to the file's owner and to root only, and not on network drives. Locks
  by flock() and fcntl() of programs on this machine are in /proc/locks.
- Windows: a file cannot be opened without letting others write where somebody has it open for writing, or has it for
  himself alone (CreateFileW, dwShareMode; ERROR_SHARING_VIOLATION).
- macOS: locks of other programs (fcntl(2), F_GETLK); who has a file open cannot be asked there.

Where it cannot be told, a file counts as free: the size and time of a file are looked at anyhow.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from functools import lru_cache
from pathlib import Path

from .model import Slide

_REMOTE = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "afs", "gfs", "ocfs", "lustre", "glusterfs", "ncp", "virtiofs")
OPEN = "open for writing in another program"
LOCKED = "locked by another program"


def find_file_in_use(slide: Slide) -> tuple[Path, str] | None:
    """Return the first file of a slide that another program has OPEN or LOCKED, and which of the two. Blocks."""
    locks = _locks()
    for file in slide.files:
        path = slide.local(file)
        how = _state_of(path, locks)
        if how:
            return path, how
    return None


@lru_cache(maxsize=64)
def file_system_of(device: int) -> str | None:
    """Return the kind of file system of a `st_dev`, as Linux calls it ("ext4"); "" for a part of one (a subvolume).

    None where nobody tells, as on other platforms.
    """
    if sys.platform != "linux":
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in mounts:  # `36 35 98:0 /root /mount options - ext4 ...` (proc(5))
        words, _, kind = line.partition(" - ")
        if words.split()[2:3] == [wanted]:
            return kind.partition(" ")[0]
    return ""


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateFileW.restype = wintypes.HANDLE
    _kernel32.CreateFileW.argtypes = (
        *(wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID),
        *(wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE),
    )
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _GENERIC_READ = 0x80000000
    _FILE_SHARE_READ_DELETE = 0x1 | 0x4
    _OPEN_EXISTING = 3
    _ERROR_SHARING_VIOLATION = 32
    _INVALID_HANDLE = wintypes.HANDLE(-1).value

    def _locks() -> frozenset[tuple[int, int, int]]:
        return frozenset()

    def _state_of(path: Path, _: frozenset[tuple[int, int, int]]) -> str:
        # Readers do no harm (another site reads this slide too), so reading is shared. Open for microseconds only: it
        # is the one moment in which the other program could not begin to write.
        handle = _kernel32.CreateFileW(
            os.fspath(path), _GENERIC_READ, _FILE_SHARE_READ_DELETE, None, _OPEN_EXISTING, 0, None
        )
        if handle == _INVALID_HANDLE:
            return OPEN if ctypes.get_last_error() == _ERROR_SHARING_VIOLATION else ""
        _kernel32.CloseHandle(handle)
        return ""

else:
    import fcntl
    import signal

    def _locks() -> frozenset[tuple[int, int, int]]:
        """Return the files with a lock to write: major and minor number of the device, inode."""
        try:
            lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return frozenset()
        return frozenset(found for line in lines if (found := _lock(line)) is not None)

    def _lock(line: str) -> tuple[int, int, int] | None:
        """Parse a line of /proc/locks: `4: POSIX ADVISORY WRITE 1234 08:01:131 0 EOF`; None of one that waits."""
        words = line.split()
        if len(words) < 6 or words[1] not in ("FLOCK", "POSIX", "OFDLCK") or words[3] != "WRITE":
            return None
        try:
            major, minor, inode = words[5].split(":")
            return int(major, 16), int(minor, 16), int(inode)
        except ValueError:
            return None

    def _state_of(path: Path, locks: frozenset[tuple[int, int, int]]) -> str:
        """Return OPEN or LOCKED if another program is writing this file; "" if not, or if nobody can tell."""
        try:
            # O_NONBLOCK: a file on which somebody has a lease for writing is refused at once and not after 45 seconds.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return LOCKED if error.errno == errno.EWOULDBLOCK else ""
        try:
            info = os.fstat(handle)
            if (os.major(info.st_dev), os.minor(info.st_dev), info.st_ino) in locks:
                return LOCKED
            return _held(handle)
        except OSError:
            return ""
        finally:
            os.close(handle)

    if sys.platform == "linux":

        def _held(handle: int) -> str:
            try:
                # Whoever opens the file while we have the lease makes the kernel send us a signal: SIGIO by default,
                # which would end this process. SIGURG does nothing to a process that does not ask for it.
                fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
                fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except OSError as error:
                return OPEN if error.errno == errno.EAGAIN and _is_local(os.fstat(handle).st_dev) else ""
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return ""

        def _is_local(device: int) -> bool:
            """Return whether a device is no network drive: those refuse leases also where nobody has the file open."""
            kind = file_system_of(device)
            return kind is not None and not kind.startswith(_REMOTE)

    else:

        def _held(handle: int) -> str:
            # macOS's struct flock: start, length, pid, type, whence (sys/fcntl.h). Other systems have others.
            if sys.platform != "darwin":
                return ""
            question = struct.pack("qqihh", 0, 0, 0, fcntl.F_RDLCK, os.SEEK_SET)
            answer = struct.unpack("qqihh", fcntl.fcntl(handle, fcntl.F_GETLK, question))
            return LOCKED if answer[3] == fcntl.F_WRLCK else ""
