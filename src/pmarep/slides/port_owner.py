"""The owner of the program that listens at a local port: anybody's may, on a machine that several people use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path


class PortOwner(Enum):
    """Whose program listens at a port. TRUSTED: this user's, or the system's; OTHER_USER: at least one is another's."""

    NOBODY = auto()
    TRUSTED = auto()
    OTHER_USER = auto()
    UNKNOWN = auto()  # the platform does not tell


TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"  # TCP_LISTEN of the kernel's tcp_states.h, as these tables have it


def port_owner(port: int) -> PortOwner:
    """Return who owns the program that listens at a port, at whichever address, as the operating system knows it."""
    if sys.platform == "linux":
        return _owner_of_all(uid in (0, os.geteuid()) for uid in _uids(port))
    if sys.platform == "win32":
        from .port_owner_windows import is_trusted, pids

        return _owner_of_all(is_trusted(pid) for pid in pids(port))
    return PortOwner.UNKNOWN


def _owner_of_all(trusted: Iterator[bool]) -> PortOwner:
    try:
        found = list(trusted)
    except (OSError, ValueError, IndexError):
        return PortOwner.UNKNOWN
    if not found:
        return PortOwner.NOBODY
    return PortOwner.TRUSTED if all(found) else PortOwner.OTHER_USER


def _uids(port: int) -> Iterator[int]:
    """Yield the user ids of programs that listen at a port, from the tables of proc_net_tcp.rst.

    A line of them: `0: 0100007F:D2F1 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 ...`
    """
    for table in TABLES:
        if table == TABLES[-1] and not os.path.exists(table):  # noqa: PTH110  (a kernel without IPv6)
            return
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield int(words[7])
