"""The operating system's limit of open files and sockets. macOS allows 256, which five sites can reach."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress

MAX_OPEN_FILES = 65_536
"""No more is asked for, even where there is no limit: some programs that we start close every number up to it."""

_MACOS = 10_240  # OPEN_MAX, the most that macOS takes where its hard limit is "none"

RESERVED_FILES = 64
"""For everything but sending: the journal, the list of slides, the walk, the interpreter, calls to PMA.core."""

FILES_PER_REQUEST = 6
"""A socket and a second one in a race, the file that is sent and one that was, and the next slides' calls."""

MIN_REQUESTS = 2
"""Requests at once: with fewer a site would wait for nothing but its own answers."""

TOO_MANY_OPEN_FILES = (errno.EMFILE, errno.ENFILE)
"""Error numbers of the operating system where no more files may be opened, by this process or by all. That passes."""


def raise_limit() -> None:
    """Raise this process's limit of open files to the hard limit. Windows has none worth speaking of."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    for wanted in (allowed, min(allowed, _MACOS)):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def limit() -> int | None:
    """Return this process's limit of open files; None where there is none."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def max_requests_per_site(sites: int) -> int | None:
    """Return how many requests with bodies each of `sites` may have at once; None where nothing limits them."""
    allowed = limit()
    return (
        None
        if allowed is None
        else max(MIN_REQUESTS, (allowed - RESERVED_FILES) // (FILES_PER_REQUEST * max(1, sites)))
    )
