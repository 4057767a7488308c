"""The root of every error that pmarep raises on purpose.

Each message is one line that says what happened and, after a semicolon, what to do about it: it has to be understood
from a cron mail at 3 a.m. No message ever holds a password, a session id or the query of a URL.
"""

from __future__ import annotations


class PmarepError(Exception):
    """Anything pmarep can tell a person in one line. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(PmarepError):
    """Wrong options, paths or configuration: nothing was sent."""

    exit_code = 2


class ConfigError(UsageError):
    """The site book says something that cannot be used."""


class CredentialsError(UsageError):
    """No password could be had for a site."""


class TargetBusyError(PmarepError):
    """Another run holds one of the site targets: nothing was sent."""

    exit_code = 3


class SourceError(PmarepError):
    """A file at the source cannot be read, or is not what it was when the slide was found."""
