"""Set up logging for `-v` and `-vv`."""

from __future__ import annotations

import logging
import sys


def start_logging(verbose: int) -> None:
    """Write log lines to stderr for `-v` (1) and `-vv` (2); URLs without their queries."""
    if not verbose:
        return
    from pmarep.pmacore.redact import RedactingFilter

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("pmarep").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    if verbose > 1:
        logging.getLogger("httpx").setLevel(logging.INFO)
