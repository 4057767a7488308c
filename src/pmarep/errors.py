"""The root of every error that pmarep raises on purpose.

Each message is one line that says what happened and, after a semicolon, what to do about it: it has to be understood
from a cron mail at 3 a.m. No message ever holds a password, a session id or the query of a URL.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import ClassVar


class Remedy(Enum):
    """The reaction to an error. Each error class names one, so the classes together are the table.

    Besides these, a session that has ended is renewed at once and the call repeated, without any error.
    """

    RETRY = "the request is tried again after a pause; if that does not help, the slide or the site waits"
    RETRY_SOURCE = "the site is paused until the file can be read again"
    ANNOUNCE = "the slide is announced again"
    GIVE_UP_SLIDE = "the slide fails at this site; the next run tries it again"
    STOP_SITE = "the site gets nothing more in this run"
    STOP_RUN = "the run ends for all sites"


class PmarepError(Exception):
    """The base of all errors that are told in one line. `exit_code` is what the command line ends with."""

    exit_code = 1
    remedy: ClassVar[Remedy] = Remedy.GIVE_UP_SLIDE


class UsageError(PmarepError):
    """Wrong options, paths or configuration: nothing was sent."""

    exit_code = 2


class ConfigError(UsageError):
    """The site book says something that cannot be used."""


class ProblemsError(ConfigError):
    """A file for people has mistakes: `problems` are all of them, each in a line of its own."""

    def __init__(self, text: str, problems: Sequence[str]) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class CredentialsError(UsageError):
    """No password could be had for a site."""


class TargetBusyError(PmarepError):
    """Another run holds one of the site targets: nothing was sent."""

    exit_code = 3


class SourceError(PmarepError):
    """A file at the source cannot be read, or is not what it was when the slide was found."""


class SourceAway(SourceError):
    """The disk or the NAS that holds the source does not answer; that passes."""

    remedy = Remedy.RETRY_SOURCE


class TemporaryFileError(PmarepError):
    """The temporary folder does not hold what a run has to note there."""


def internal_error(error: BaseException) -> str:
    """Return one line about a bug of ours. Only its name: what some errors quote could be a secret."""
    return f"internal error ({type(error).__name__}); please report it, with the output of -vv"


def where(error: BaseException) -> str:
    """Return the lines of code that an error came through, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
