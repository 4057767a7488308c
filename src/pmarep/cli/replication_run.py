"""Run a push, verify or pull for a command: signals, summary, exit code."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import PmarepError, internal_error
from .output_streams import discard_stdout, echo, write_error_message

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event
    from collections.abc import Callable, Coroutine

    from ..engine import Options
    from ..events import Event as AnyEvent
    from ..events import Listener, RoundStarted, Summary
    from ..sites import Site
    from .render import Output
    from .run_observers import RunObserver


log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of glibc's malloc.h


class PreparedRun(NamedTuple):
    """A command whose options and site book were looked at. `run` runs it once; it gets the round that begins, if any.

    `folders`: its sources on this disk.
    """

    run: Callable[[RoundStarted | None], int]
    folders: tuple[Path, ...]


@contextmanager
def always_emit_summary(json: bool) -> Iterator[None]:
    """Print a `summary` event where a run fails before it could: scripts wait for the last line of `--json`."""
    try:
        yield
    except PmarepError as error:
        if json:
            emit_error_summary(error.exit_code, str(error))
        raise
    except Exception as error:  # a bug of ours, or the end of stdout: then nobody hears this
        if json:
            emit_error_summary(1, internal_error(error))
        raise


def emit_error_summary(exit_code: int, error: str) -> None:
    """Print the `summary` event of a run that could not begin."""
    from ..events import Summary
    from .render import JsonOutput

    JsonOutput().handle(Summary(exit_code=exit_code, seconds=0.0, sites={}, error=error))


def run_replication(
    options: Options,
    sites: list[Site],
    passwords: Any,
    state_dir: Path,
    output: Output,
    observers: Sequence[RunObserver] = (),
    begins: RoundStarted | None = None,
) -> int:
    """Run a push or verify to the end, as `run_to_end` does, and return the exit code. `begins`: of a round."""
    from ..engine import replicate

    def run(listener: Listener, stop: Event) -> Coroutine[Any, Any, Summary]:
        if begins is not None:
            listener(begins)
        return replicate(options, sites, passwords=passwords, state_dir=state_dir, listener=listener, stop=stop)

    return run_to_end(run, output, observers, is_round=begins is not None)


def run_to_end(
    run: Callable[[Listener, Event], Coroutine[Any, Any, Summary]],
    output: Output,
    observers: Sequence[RunObserver] = (),
    *,
    is_round: bool = False,
) -> int:
    """Run to the end and return the exit code. The first Ctrl-C (SIGTERM, SIGHUP) ends it cleanly, the second at once.

    `run` gets who hears its events, and what is set when it is to end. A run whose output was lost does not end as if
    all were well: whoever counts on the events has not got them. `is_round`: others may follow, with an
    output that takes lines again.
    """
    from ..events import Notice, Summary
    from ..system.service_manager import alive_for

    use_one_malloc_arena()
    for observer in observers:
        with alive_for(observer.longest):
            observer.before()
    try:
        with output:
            summary = _run(run, output, observers)
    except Exception as error:
        code, words = (error.exit_code, str(error)) if isinstance(error, PmarepError) else (1, internal_error(error))
        _tell_end(observers, Summary(exit_code=code, seconds=0.0, sites={}, error=words))
        raise
    if output.write_error is not None:
        words = write_error_message(output.write_error)
        for observer in observers:
            observer.handle(Notice(text=words.removeprefix("pmarep: ")))
        with suppress(OSError):  # stderr may lead to the same disk
            echo(words, err=True)
        if not is_round:
            discard_stdout()
        summary = _failed(summary)
    return _tell_end(observers, summary)


def _run(
    run: Callable[[Listener, Event], Coroutine[Any, Any, Summary]], output: Output, observers: Sequence[RunObserver]
) -> Summary:
    import asyncio

    from ..system.open_files import raise_limit
    from ..system.service_manager import keep_alive
    from .signal_handlers import stop_on_signals

    raise_limit()
    gc.freeze()  # modules stay to the end: the collector need not look at them each time, a tenth of a large re-run
    listeners = [output.handle, *(observer.handle for observer in observers)]

    def tell_all(event: AnyEvent) -> None:
        for listener in listeners:
            listener(event)

    async def main() -> Summary:
        asyncio.get_running_loop().set_exception_handler(log_connection_errors)
        stop = asyncio.Event()
        alive = asyncio.create_task(keep_alive())
        try:
            with stop_on_signals(stop, output.announce_stopping):
                return await run(tell_all, stop)
        finally:
            alive.cancel()

    return asyncio.run(main())


def _tell_end(observers: Sequence[RunObserver], summary: Summary) -> int:
    """Tell the observers how a run ended; return the exit code, 1 instead of 0 where one of them could not write."""
    from ..system.service_manager import alive_for

    for observer in observers:
        with alive_for(observer.longest):
            written = observer.after(summary)
        if not written:
            summary = _failed(summary)
    return summary.exit_code


def _failed(summary: Summary) -> Summary:
    """Return the summary with an exit code that says that something failed."""
    from ..events import LEFT_OUT_CODE

    return replace(summary, exit_code=1 if summary.exit_code in (0, LEFT_OUT_CODE) else summary.exit_code)


def log_connection_errors(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log broken connections that asyncio reports, instead of a traceback: on Windows it fails to close reset ones.

    What has failed in a task or a future of ours is a bug: asyncio says so as it always does.
    """
    error = context.get("exception")
    if isinstance(error, ConnectionError) and not {"task", "future"} & context.keys():
        log.debug("%s (%s)", context.get("message"), type(error).__name__)
    else:
        loop.default_exception_handler(context)


def use_one_malloc_arena() -> None:
    """Make all threads share one heap, before there are any: glibc gives each its own, and memory freed in one is lost.

    In a large push that is a third of all memory.
    """
    if sys.platform == "linux" and not {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        with suppress(ImportError, OSError, AttributeError):  # a Python without ctypes, another C library
            import ctypes

            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
