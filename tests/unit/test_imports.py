"""Imports between the packages of the distribution run down, and never in a circle."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.source_code import statements

SRC = Path(__file__).parents[2] / "src"

LAYERS = [
    {"__main__"},
    {"cli"},
    {"compare", "demo", "nodes", "places", "pull", "report"},
    {"engine"},
    {"uploaders"},
    {"source"},
    {"annotations", "remote"},
    {"limits", "sites", "state"},
    {"slides"},
    {"pmacore"},
    {"daily_window", "timetable"},
    {"aio", "daemon_thread", "retry", "system", "units"},
    {"clock", "errors", "events", "passwords", "rates", "text", "version"},
]
"""The packages and modules right below pmarep. Each imports only from those further down, never from its own layer."""

OPTIONAL = {"pmacore_sandbox", "pmarep.demo"}
"""What needs the extra `sandbox`: in the rest of pmarep it is imported in functions only."""


@dataclass(frozen=True)
class Import:
    module: str
    imported: str
    lazy: bool
    """True if it stands in a function or below `if TYPE_CHECKING`."""


def test_no_circles() -> None:
    assert [sorted(circle) for circle in circles(graph_of_imports())] == []


def test_every_package_has_a_layer() -> None:
    packages = {room(module) for module in MODULES if module.startswith("pmarep.")}
    assert packages == set().union(*LAYERS), "LAYERS names what lies right below src/pmarep"


def test_no_import_runs_up() -> None:
    depth = {name: level for level, names in enumerate(LAYERS) for name in names}
    upward = [
        f"{one.module} imports {one.imported}"
        for one in imports()
        if one.module.startswith("pmarep.") and one.imported.startswith("pmarep.")
        if (here := room(one.module)) != (there := room(one.imported)) and depth[here] >= depth[there]
    ]
    assert upward == []


def test_the_sandbox_knows_nothing_of_pmarep_but_its_errors() -> None:
    taken = {one.imported for one in imports() if one.module.startswith("pmacore_sandbox")}
    assert {module for module in taken if not module.startswith("pmacore_sandbox")} == {"pmarep.errors"}


def test_only_the_demo_and_its_command_and_the_sandbox_command_import_the_sandbox() -> None:
    users = {one.module for one in imports() if one.imported.startswith("pmacore_sandbox")}
    outside = {name for name in users if not name.startswith(("pmacore_sandbox", "pmarep.demo"))}
    assert outside == {"pmarep.cli.sandbox"}


def test_pmarep_starts_without_the_extra_sandbox() -> None:
    at_start = [
        f"{one.module} imports {one.imported}"
        for one in imports()
        if not one.lazy and one.module.startswith("pmarep.") and room(one.module) != "demo"
        if one.imported.startswith(tuple(OPTIONAL))
    ]
    assert at_start == []


def test_status_imports_no_engine() -> None:
    """`pmarep status` reads the journal, and takes a fifth of a second."""
    taken = {room(module) for module in reachable(graph_of_imports(), "pmarep.cli.status.command")}
    assert taken.isdisjoint({"engine", "uploaders"}), sorted(taken)


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [{"c", "d"}, {"a", "b"}]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, [{"a", "b", "c"}]),
    ],
)
def test_circles_are_found(graph: dict[str, set[str]], found: list[set[str]]) -> None:
    assert set(circles(graph)) == set(map(frozenset, found))


def circles(graph: dict[str, set[str]]) -> Iterator[frozenset[str]]:
    """Yield the strongly connected components of more than one module."""
    reach = {module: reachable(graph, module) for module in graph}
    seen: set[str] = set()
    for module in sorted(graph):
        circle = frozenset(other for other in reach[module] if module in reach[other])
        if len(circle) > 1 and module not in seen:
            seen |= circle
            yield circle


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for module in graph[waiting.pop()] - found:
            found.add(module)
            waiting.append(module)
    return found


def room(module: str) -> str:
    """Return the part of a dotted name right below `pmarep`."""
    return module.split(".")[1]


def all_modules() -> dict[str, Path]:
    """Return the files of both packages by dotted name; a package is its __init__.py."""
    found = {}
    for path in SRC.rglob("*.py"):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """Yield the imports of modules of ours, wherever in a file they stand."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_start = set(import_statements(tree))
    for statement in statements(tree):
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            above = package[: len(package) - statement.level + 1] if statement.level else []
            base = ".".join([*above, *([statement.module] if statement.module else [])])
            members = (f"{base}.{alias.name}" for alias in statement.names)
            names = [member if member in MODULES else base for member in members]
        for name in names:
            if name in MODULES and name != module:
                yield Import(module, name, lazy=statement not in at_start)


def import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements below a node that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case) and not (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(child)
        ):
            yield from import_statements(child)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


MODULES = all_modules()


@functools.cache  # in the one worker that runs these tests, and not in each that collects them
def imports() -> list[Import]:
    """Return the imports of all modules."""
    return [one for module, path in MODULES.items() for one in imports_of(module, path)]


def graph_of_imports() -> dict[str, set[str]]:
    """Return what each module imports."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for one in imports():
        graph[one.module].add(one.imported)
    return graph
