"""Tell whether the files of a slide at a site have been written since somebody looked at them.

A disk that loses bits and another machine that puts a slide of its own there look the same by names and sizes, and may
by most of the bytes. What tells them apart is when the site says that the files were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ...pmacore import RemoteFile
from ...system.windows_names import normalized_key


def stamp_of(path: str, files: Sequence[RemoteFile]) -> str | None:
    """Make a stamp of names, sizes and moments, `<main file>;<all files>`: equal as long as nobody writes to the files.

    `path` is the virtual path of the slide. None where the site does not say when its files were written.
    """
    facts = {normalized_key(file.path.strip("/")): (file.size, file.modified) for file in files}
    main = facts.get(normalized_key(path))
    if main is None or any(modified is None for _, modified in facts.values()):
        return None
    everything = hashlib.sha256(json.dumps(sorted(facts.items())).encode()).hexdigest()
    return f"{main[0]} {main[1]};{everything}"


def same_main(one: str | None, other: str | None) -> bool:
    """Return whether two stamps are of the same main file, which comes last: no slide was completed between the two."""
    return one is not None and other is not None and one.rpartition(";")[0] == other.rpartition(";")[0]
