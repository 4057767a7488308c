"""What may be done with one slide of a push or a pull, and what `--existing` says where another one lies there."""

from __future__ import annotations

from enum import StrEnum

from ..options import Existing


class Action(StrEnum):
    """What is done with a slide, as in SlidePlanned.

    SEND, RESUME, REFUSE and EXCLUDE (by the keys of the site; only said by dry runs) are of a push, PULL and COMPLETE
    (files of a slide that is here are missing) of a pull.
    """

    SEND = "send"
    RESUME = "resume"
    PULL = "pull"
    COMPLETE = "complete"
    REPLACE = "replace"
    SKIP = "skip"
    CONFLICT = "conflict"
    REFUSE = "refuse"
    EXCLUDE = "exclude"


ABOUT_OTHER = {Existing.SKIP: Action.SKIP, Existing.OVERWRITE: Action.REPLACE, Existing.FAIL: Action.CONFLICT}
"""What is done where another slide lies at the place of one, by `--existing`."""
