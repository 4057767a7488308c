"""The command line: parses, calls, renders. No decision about transfers lives here."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the console script: every error that we foresee becomes one line and its exit code."""
    from pmarep.errors import PmarepError

    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end a transfer.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from .app import app

        app()
    except PmarepError as error:
        sys.stdout.flush()
        print(f"pmarep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # `pmarep slides . | head`: nobody reads on, which is no error. Keep the interpreter's last flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
