"""Names of sites, groups and servers: check them, and propose the nearest ones to a mistyped one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from itertools import islice

from ..text import printable

NEAREST = 3  # names that are proposed, at most
NAMES_COMPARED = 2000  # names that are compared, at most: a server may have any number of root-directories

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str) -> str:
    """Return the name, or raise ValueError. A leading `-` would look like an option, a leading `.` like a path."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'the name "{printable(name)}" cannot be used; '
            'allowed: letters a-z and A-Z, digits, "-", "_" and ".", the first one a letter or digit'
        )
    return name


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the names nearest to `word`, best first, ignoring case. Of very many, only the first are compared."""
    by_fold: dict[str, list[str]] = {}
    for name in islice(known, NAMES_COMPARED):
        by_fold.setdefault(name.casefold(), []).append(name)
    close = difflib.get_close_matches(word.casefold(), by_fold, n=NEAREST, cutoff=0.6)
    return [name for fold in close for name in by_fold[fold]][:NEAREST]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "tokyo"?`, or nothing."""
    close = nearest(word, known)
    return f"; did you mean {' or '.join(f'{quoted(name)}' for name in close)}?" if close else ""


def quoted(text: str) -> str:
    """Return the text in double quotes, on one line."""
    return f'"{printable(text)}"'


def password_variable(name: str) -> str:
    """Return the variable for the password of a site or server: `PMAREP_PASSWORD_BOX_ANNA` for `box-anna`."""
    return "PMAREP_PASSWORD_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def is_pattern(name: str) -> bool:
    """Return whether it is a pattern for several names, such as `box-*`. No name has these characters."""
    return any(c in name for c in "*?[")
