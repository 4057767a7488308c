"""Show a run to people and scripts. Every output is a listener of events."""

from __future__ import annotations

from .base import Output
from .jsonl import JsonOutput
from .lines import LinesOutput
from .terminal import is_live


def output_for(*, json: bool, quiet: bool, verbose: int, selection: str = "", board: bool = True) -> Output:
    """Return the output for a run: JSON lines, the live board on a terminal, or plain lines (with -q or -v too).

    `board`: False for rounds, which go on for days.
    """
    output: Output
    if json:
        output = JsonOutput()
    elif board and is_live() and not quiet and not verbose:
        from .board import BoardOutput

        output = BoardOutput()
    else:
        output = LinesOutput(quiet=quiet, verbose=verbose > 0)
    output.selection = selection
    return output


__all__ = ["JsonOutput", "LinesOutput", "Output", "output_for"]
