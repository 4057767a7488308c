"""What the commands that start a run have in common."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import PmarepError, UsageError, internal_error
from .stdio import cannot_write, say

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ..engine import Options
    from ..events import Summary
    from ..sites import Site
    from .render import Output


log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of glibc's malloc.h


@contextmanager
def summary_whatever_happens(json: bool) -> Iterator[None]:
    """Scripts wait for the last line of `--json`: it comes too where a run cannot even begin."""
    try:
        yield
    except PmarepError as error:
        if json:
            say_how_it_ended(error.exit_code, str(error))
        raise
    except Exception as error:  # a bug of ours, or the end of stdout: then nobody hears this
        if json:
            say_how_it_ended(1, internal_error(error))
        raise


def say_how_it_ended(exit_code: int, error: str) -> None:
    from ..events import Summary
    from .render import JsonOutput

    JsonOutput().hear(Summary(exit_code=exit_code, seconds=0.0, sites={}, error=error))


def sub_folder(to: str) -> str:
    from ..sites import fields

    try:
        return fields.sub_folder(to) if to else ""
    except ValueError as error:
        raise UsageError(str(error)) from None


def connections_of(text: str | None) -> int | Literal["auto"] | None:
    from ..sites import fields

    if text is None:
        return None
    try:
        found = fields.connections(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise UsageError(f"--connections {text!r}: {error}") from None
    return "auto" if isinstance(found, str) else found


def run_to_the_end(options: Options, sites: list[Site], passwords: Any, state_dir: Path, output: Output) -> int:
    """One run, ended cleanly by the first Ctrl-C (or SIGTERM, SIGHUP) and at once by the second. Its exit code.

    A run whose output was lost does not end as if all were well: whoever counts on the events has not got them.
    """
    import asyncio

    from ..engine import replicate
    from ..system.open_files import raise_limit
    from .signals import stop_on_signals

    share_one_heap()
    raise_limit()
    gc.freeze()  # modules stay to the end: the collector need not look at them each time, a tenth of a large re-run

    async def main() -> Summary:
        asyncio.get_running_loop().set_exception_handler(_heard)
        stop = asyncio.Event()
        with stop_on_signals(stop, output.stopping):
            return await replicate(
                options, sites, passwords=passwords, state_dir=state_dir, listener=output.hear, stop=stop
            )

    code = asyncio.run(main()).exit_code
    if output.failure is None:
        return code
    say(cannot_write(output.failure), err=True)
    return code or 1


def _heard(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """On Windows, asyncio fails to close a connection that the peer has reset, and would print a traceback.

    What has failed in a task or a future of ours is a bug: asyncio says so as it always does.
    """
    error = context.get("exception")
    if isinstance(error, ConnectionError) and not {"task", "future"} & context.keys():
        log.debug("%s (%s)", context.get("message"), type(error).__name__)
    else:
        loop.default_exception_handler(context)


def share_one_heap() -> None:
    """Before there are threads: glibc gives each a heap of its own, where what one has freed serves no other.

    In a large push that is a third of all memory.
    """
    if sys.platform == "linux" and not {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        with suppress(ImportError, OSError, AttributeError):  # a Python without ctypes, another C library
            import ctypes

            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
