"""What people and scripts see of a run. Every output is a listener of events."""

from __future__ import annotations

import sys

from .base import Output
from .jsonl import JsonOutput
from .lines import LinesOutput


def output_for(*, json: bool, quiet: bool, verbose: int) -> Output:
    """JSON lines, the live board on a terminal, or plain lines. Log lines and a board do not go together."""
    if json:
        return JsonOutput()
    if sys.stdout.isatty() and not quiet and not verbose:
        from .board import BoardOutput

        return BoardOutput()
    return LinesOutput(quiet=quiet, verbose=verbose > 0)


__all__ = ["JsonOutput", "LinesOutput", "Output", "output_for"]
