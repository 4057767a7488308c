"""Find the state folders of shards and nodes below the ones that a person names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..slides.shard import Shard

_NODE = re.compile(r"node-(\d{1,4})", re.ASCII)


class StateFolder(NamedTuple):
    """A folder with a journal. `root`: the one that a person names, `shard`: whose it is below that; None: of all.

    `node`: its number, where it is that of a node, which has slides of any shard but no runs of its own.
    """

    path: Path
    root: Path
    shard: Shard | None
    node: int | None = None


def node_folder(root: Path, number: int) -> Path:
    """Return the state folder of the node with this number."""
    return root / f"node-{number}"


def state_folders(roots: Iterable[Path]) -> list[StateFolder]:
    """Return the state folders `roots`, each once, and after each those of shards and nodes below it, in order.

    Only those that exist.
    """
    found = []
    for root in {root.resolve(): root for root in roots}.values():
        below = [(of, path) for path in root.glob("shard-*") if (of := Shard.of_folder(path.name)) is not None]
        found.append(StateFolder(root, root, Shard.of_folder(root.name)))
        found += [
            StateFolder(path, root, of) for of, path in sorted(below, key=lambda one: (one[0].count, one[0].number))
        ]
        nodes = [(int(name[1]), path) for path in root.glob("node-*") if (name := _NODE.fullmatch(path.name))]
        found += [StateFolder(path, root, None, number) for number, path in sorted(nodes)]
    return [folder for folder in found if folder.path.is_dir()]
