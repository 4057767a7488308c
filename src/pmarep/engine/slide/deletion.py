"""Tell when a slide at a site may be deleted to make room for ours. Others go by `--mirror` and `pmarep rm` only.

Some servers do not write over a slide that is there. It is deleted only

- where a person has said `--existing overwrite` to this run,
- where the server refuses to announce this very slide in words that say that it exists, and nothing else,
- after every byte of ours has been read,
- and as long as every such deletion in this run has helped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...pmacore import Refused

_NAMED = "\0"  # the slide's own name, in a refusal
_LONGEST = 1000  # characters of a refusal
_THING = r"(?:an? |the |this )?(?:file|slide|image|item)"
_NAME = rf"['\"“‘«]?{_NAMED}['\"”’»]?"
_WITH_NAME = r"(?: (?:with|of|by) (?:this|that|the same|the given) (?:file ?)?name)"
_IS_THERE = r"(?:already exists|exists already|exists|is already there|is there already|is already present)"
_HERE = r"(?: (?:here|there|(?:in|at) (?:this|that|the) (?:folder|directory|path|location|destination)))?"

_EXISTS = re.compile(
    "|".join(
        (
            rf"{_THING}(?:{_WITH_NAME}| {_NAME})? {_IS_THERE}{_HERE}",
            rf"{_NAME} {_IS_THERE}{_HERE}",
            rf"there is already {_THING}(?:{_WITH_NAME}| {_NAME}){_HERE}",
            # Win32's ERROR_ALREADY_EXISTS (183) and ERROR_FILE_EXISTS (80), as .NET passes them on
            r"cannot create a file when that file already exists",
            r"the file exists",
        )
    ),
    re.IGNORECASE,
)


def says_that_it_exists(error: Refused, names: Iterable[str]) -> bool:
    """Return whether a refusal says, in whole phrases and of this very slide, that it is there already.

    `names`: the slide's main file, as it may stand in the refusal. The words are those after `... was refused: `.
    """
    if type(error) is not Refused:  # rights, room, sizes
        return False
    _, _, words = str(error).partition(" was refused: ")
    if len(words) > _LONGEST:
        return False
    for name in sorted(filter(None, names), key=len, reverse=True):
        # Also as the server's own disk has it: `The file 'D:\slides\x.svs' already exists.`
        inner = re.escape(name).replace("/", r"[/\\]")
        words = re.sub(rf"(?<=['\"“‘«])[^'\"“”‘’«»\0]{{0,400}}[/\\]{inner}(?=['\"”’»])", _NAMED, words, flags=re.I)
        words = re.sub(rf"(?<![\w/\\.-]){inner}(?![\w/\\-])", _NAMED, words, flags=re.I)
    return _EXISTS.fullmatch(words.strip().rstrip(".! ")) is not None


class DeletionGuard:
    """The deletions of one run, at all its sites. `ended`: why nothing more is deleted, or None."""

    def __init__(self) -> None:
        self.ended: str | None = None

    def in_vain(self, path: str) -> None:
        """End all deleting: the announcement failed after a deletion too; the refusal was about something else."""
        self.ended = self.ended or f"after {path} was deleted, its announcement failed all the same"
