"""Read the statements of a module: a tenth of its nodes, of which `ast.walk` looks at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements below a node, at any depth, and the handlers and cases around some."""
    for block in _BLOCKS:
        inside = getattr(node, block, ())
        for child in inside if isinstance(inside, list) else ():
            yield child
            yield from statements(child)
