"""Set up logging for `-v` and `-vv`."""

from __future__ import annotations

import logging
import sys


def start_logging(verbose: int) -> None:
    """Write log lines to stderr for `-v` (1) and `-vv` (2); URLs without their queries."""
    if verbose:
        add_to_root(logging.StreamHandler(sys.stderr), "%(asctime)s %(name)s: %(message)s", "%H:%M:%S")
        set_levels(verbose)


def add_to_root(handler: logging.Handler, line: str, time: str | None = None) -> None:
    """Let a handler have every log line, without secrets."""
    from pmarep.pmacore.redact import RedactingFilter

    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter(line, time))
    logging.getLogger().addHandler(handler)


def set_levels(verbose: int) -> None:
    """Let the log lines be made that `-v` (1) or `-vv` (2) wants."""
    logging.getLogger("pmarep").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    if verbose > 1:
        logging.getLogger("httpx").setLevel(logging.INFO)
