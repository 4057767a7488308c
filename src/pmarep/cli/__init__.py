"""The command line: parses, calls, renders. No decision about transfers lives here."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext

from .output_streams import discard_stdout, echo, flush_error, is_broken_pipe, open_closed_streams, write_error_message
from .signal_handlers import exit_on_signals

HANGING_SECONDS = 1.0
SHOWN = 1000
"""Problems of one file that are said; nobody mends more at once."""


def main() -> None:
    """Run the console script: every expected error becomes one line and its exit code."""
    arguments = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    runs = arguments[:1] in (["push"], ["copy"], ["verify"], ["pull"])
    with exit_on_signals(events="--json" in arguments) if runs else nullcontext():
        _main()


def _main() -> None:
    open_closed_streams()
    # The command line of httpx, which brings rich and pygments: a tenth of the start of each of our commands.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end a transfer.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = _run()
    if failure := flush_error():
        code = _without_output(failure, code)
    _end_if_a_thread_hangs(code)
    sys.exit(code)


def _run() -> int:
    from pmarep.errors import PmarepError, ProblemsError, internal_error, where

    stdout = sys.stdout
    try:
        from .app import app

        # On Windows click plays the shell, in quotes too: --exclude '*.svs' would become the first slide here, and
        # those after it would be sent.
        code = app(prog_name="pmarep", standalone_mode=False, windows_expand_args=False)
    except PmarepError as error:
        flush_error()  # what was said before comes before
        if isinstance(error, ProblemsError):
            _print_problems(error.problems)
        echo(f"pmarep: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if (words := _words_of_typer(error)) is not None:
            if words:  # else a help page has said it
                echo(f"pmarep: {words}", err=True)
            return int(getattr(error, "exit_code", 1))
        if isinstance(error, OSError) and flush_error("\n"):
            return _without_output(error, 0)
        # Not foreseen: a bug of ours.
        import logging

        logging.getLogger(__name__).debug("ended in %s", where(error))
        echo(f"pmarep: {internal_error(error)}", err=True)
        return 1
    except SystemExit as end:
        if sys.stdout is not stdout:
            # Typer's way of saying that some pipe is closed, be it this one.
            sys.stdout = stdout
            if failure := flush_error("\n"):
                return _without_output(failure, 0)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return code if isinstance(code, int) else 0


def _print_problems(problems: Sequence[str]) -> None:
    for problem in problems[:SHOWN]:
        echo(problem, err=True)
    if len(problems) > SHOWN:
        echo(f"... and {len(problems) - SHOWN} more", err=True)


def _words_of_typer(error: Exception) -> str | None:
    """Return what to say of an error of typer; None for others."""
    import typer

    from .command_classes import usage_error_words

    return "aborted" if isinstance(error, typer.Abort) else usage_error_words(error)


def _without_output(failure: OSError, code: int) -> int:
    """Return the exit code after stdout failed: a closed pipe (`| head`) is no error, a full disk is one."""
    fine = is_broken_pipe(failure)
    discard_stdout()
    if fine:
        return code
    echo(write_error_message(failure), err=True)
    return code or 1


def _end_if_a_thread_hangs(code: int) -> None:
    """End the process where a thread hangs, as in a read from a lost network drive: Python would wait for it for ever.

    Everything that matters is closed and on disk by now.
    """
    end = time.monotonic() + HANGING_SECONDS
    others = [t for t in threading.enumerate() if t is not threading.current_thread() and not t.daemon]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
