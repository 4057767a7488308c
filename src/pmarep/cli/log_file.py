"""`--log-file`: log lines and the lines of a run in a file that rotates."""

from __future__ import annotations

import logging
import logging.handlers
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from ..errors import PmarepError, UsageError, internal_error
from ..events import Event, Summary
from ..text import printable
from ..version import __version__
from .log_output import add_to_root, set_levels, start_logging
from .output_streams import echo
from .render import LinesOutput
from .run_observers import RunObserver


@contextmanager
def logging_to_file(
    path: Path, max_size: int, max_backups: int, verbose: int, *, rounds: bool = False
) -> Iterator[RunObserver]:
    """Log what happens inside to a file, and an error that ends it; to stderr too where it is to be `verbose`.

    The file has what `-v` prints, with `-vv` what that prints, and the lines of the run; of `rounds`, unless it is to
    be `verbose`, only their lines, without skipped slides. Of `max_size` bytes (0: of any size) it becomes FILE.1, and
    so on; `max_backups` are kept. Raises UsageError for a file that cannot be written.
    """
    start_logging(verbose)
    handler = _PrivateRotatingFile(path, max_size, max_backups)
    brief = rounds and not verbose
    if not verbose:  # a handler at the root ends Python's own way of showing warnings
        warnings = logging.StreamHandler(sys.stderr)
        warnings.setLevel(logging.WARNING)
        add_to_root(warnings, "%(message)s")
    add_to_root(handler, "%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    if not brief:
        set_levels(max(verbose, 1))
    observer = _RunLog(handler, brief)
    observer.write(f"pmarep {__version__}: {shlex.join(sys.argv[1:])}")
    try:
        yield observer
    except PmarepError as error:
        observer.write(f"exit code {error.exit_code}: {error}", logging.ERROR)
        raise
    except Exception as error:
        observer.write(internal_error(error), logging.ERROR)
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # what is still to be written, and was told
            handler.close()


class _PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A log file that only its owner can read, since names may be patients'; a full one becomes FILE.1, FILE.2, ...

    `failed`: a line could not be written. That is said once a run, and the run goes on.
    """

    def __init__(self, path: Path, max_size: int, max_backups: int) -> None:
        self.failed = False
        try:
            super().__init__(
                path, maxBytes=max_size, backupCount=max_backups, encoding="utf-8", errors="backslashreplace"
            )
        except OSError as error:
            raise UsageError(
                f"cannot write the log file {path}: {error.strerror}; name another with --log-file"
            ) from None

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        mode, encoding, errors = self.mode, self.encoding, self.errors
        file = open(self.baseFilename, mode, encoding=encoding, errors=errors, opener=private)  # noqa: SIM115
        return cast(TextIOWrapper, file)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        if not self.failed:
            reason = getattr(error, "strerror", None) or type(error).__name__
            echo(f"pmarep: cannot write the log file {self.baseFilename}: {reason}; the run goes on", err=True)
        self.failed = True


class _RunLog(RunObserver):
    """Writes the lines of each run to the log file; not `brief`: skipped slides too, and how it ended."""

    def __init__(self, handler: _PrivateRotatingFile, brief: bool) -> None:
        self._handler = handler
        self._brief = brief
        self._lines = _Lines(self.write, brief)

    def write(self, text: str, level: int = logging.INFO) -> None:
        """Write a line to the file only: what else hears of a run prints it itself."""
        line = {"name": "pmarep", "levelno": level, "levelname": logging.getLevelName(level), "msg": printable(text)}
        self._handler.handle(logging.makeLogRecord(line))

    def before(self) -> None:
        self._lines = _Lines(self.write, self._brief)  # of this run: there may be many

    def handle(self, event: Event) -> None:
        self._lines.handle(event)

    def after(self, summary: Summary) -> bool:
        has_begun = bool(summary.sites)  # else its error says how it ended
        if has_begun and not (self._brief and summary.exit_code == 0):
            self.write(f"exit code {summary.exit_code}")
        failed, self._handler.failed = self._handler.failed, False  # the next round may have room again
        return not failed


class _Lines(LinesOutput):
    """The lines of a run as they are printed elsewhere than on a terminal, for `write`; `brief`: no skipped slides.

    Without their times, which every line of a log has; what needs attention is a warning.
    """

    def __init__(self, write: Callable[[str, int], None], brief: bool) -> None:
        super().__init__(quiet=False, verbose=not brief)
        self._write = write

    def _print(self, text: str, at: datetime | None = None, wrong: bool = False) -> None:  # noqa: ARG002
        self._write(text, logging.WARNING if wrong else logging.INFO)
