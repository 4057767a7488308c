"""The command line: parses, calls, renders. No decision about transfers lives here."""

from __future__ import annotations

import os
import sys
import threading
import time

HANGING_SECONDS = 1.0


def main() -> None:
    """Entry point of the console script: every error that we foresee becomes one line and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end a transfer.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = _run()
    _end_if_a_thread_hangs(code)
    sys.exit(code)


def _run() -> int:
    from pmarep.errors import PmarepError

    try:
        from .app import app

        app()
    except PmarepError as error:
        sys.stdout.flush()
        print(f"pmarep: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # `pmarep slides . | head`: nobody reads on, which is no error. Keep the interpreter's last flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _end_if_a_thread_hangs(code: int) -> None:
    """A read from a network drive that has gone away may never return, and Python would wait for its thread.

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
