"""Find the state folders of shards below the ones that a person names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..slides.shard import Shard


class StateFolder(NamedTuple):
    """A folder with a journal. `root`: the one that a person names, `shard`: whose it is below that; None: of all."""

    path: Path
    root: Path
    shard: Shard | None


def state_folders(roots: Iterable[Path]) -> list[StateFolder]:
    """Return the state folders `roots`, each once, and after each the shards' below it, in order; those that exist."""
    found = []
    for root in {root.resolve(): root for root in roots}.values():
        below = [(of, path) for path in root.glob("shard-*") if (of := Shard.of_folder(path.name)) is not None]
        found.append(StateFolder(root, root, Shard.of_folder(root.name)))
        found += [
            StateFolder(path, root, of) for of, path in sorted(below, key=lambda one: (one[0].count, one[0].number))
        ]
    return [folder for folder in found if folder.path.is_dir()]
