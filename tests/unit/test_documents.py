"""The documents name what exists: modules, files, names of the code, and links that lead somewhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.source_code import statements

import pmarep

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pmarep"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GUIDES = [ARCHITECTURE, ROOT / "CONTRIBUTING.md"]
"""Documents whose names of classes and functions are checked; decisions may name what is no more."""

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
WITHOUT_PATHS = {"CHANGELOG.md"}

PATH = re.compile(r"(?<![\w./-])((?:[A-Za-z_][\w-]*/)*[A-Za-z_]\w*\.(?:py|md))(?![\w/])")
"""A path of a Python or Markdown file, with or without folders."""

NAME = re.compile(r"(?:_*[A-Za-z]\w*\.)*_*[A-Za-z]\w*(?:\(\))?")
"""`Class`, `Class.method`, `module.Class.method()`, `function()`, `CONSTANT`."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def in_backquotes(path: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_architecture_names_every_module_and_no_others() -> None:
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    rooms = prose(ARCHITECTURE).partition("\n## Rooms and modules\n")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in rooms.splitlines() if line.startswith("| `")]
    named = [path for cell in first_cells for path in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == sorted(modules)


def test_the_layers_are_those_that_imports_are_checked_by() -> None:
    shown = ARCHITECTURE.read_text("utf-8").partition("\n```text\n")[2].partition("\n```")[0]
    assert [set(line.split()) for line in shown.splitlines()] == layers()[1:]


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "benchmarks" / "README.md"], ids=relative)
def test_rows_of_a_table_have_as_many_cells_as_its_head(document: Path) -> None:
    head = 0
    for line in prose(document).splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert bars == head or not (bars and head), line
        head = bars


def layers() -> list[set[str]]:
    """Return LAYERS of test_imports.py."""
    for statement in ast.parse((Path(__file__).parent / "test_imports.py").read_text("utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="LAYERS")], value=value):
                found: list[set[str]] = ast.literal_eval(value)
                return found
    raise AssertionError("test_imports.py has no LAYERS")


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.name not in WITHOUT_PATHS], ids=relative)
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = {path for quoted in in_backquotes(document) for path in PATH.findall(quoted)}
    homes = (ROOT, ROOT / "src", PACKAGE, ROOT / "src" / "pmacore_sandbox")
    assert {path for path in named if not any((home / path).exists() for home in homes) and not by_name(path)} == set()


def by_name(path: str) -> bool:
    """Return whether a path without a folder is the name of a file somewhere in the repository."""
    return "/" not in path and any(
        found for top in ("src", "tests", "benchmarks", "docs") for found in (ROOT / top).rglob(path)
    )


@pytest.mark.parametrize("document", GUIDES, ids=relative)
def test_names_of_the_code_that_a_guide_uses_exist(document: Path) -> None:
    named = {quoted for quoted in in_backquotes(document) if NAME.fullmatch(quoted) and is_of_the_code(quoted)}
    assert len(named) > 50
    assert {name for name in named if not exists(name.removesuffix("()"))} == set()


@pytest.mark.parametrize("document", GUIDES, ids=relative)
def test_names_are_in_the_modules_that_a_guide_says(document: Path) -> None:
    mentions = re.findall(r"`([\w.]+?)(?:\(\))?` (?:\(|in )`([\w/]+\.py)`", prose(document))
    assert mentions
    homes = {(name, path): source_of(path) for name, path in mentions}
    assert [key for key, code in homes.items() if not re.search(rf"\b{key[0].split('.')[0]}\b", code)] == []


def source_of(path: str) -> str:
    return next(file.read_text("utf-8") for home in (PACKAGE, ROOT) if (file := home / path).exists())


def is_of_the_code(name: str) -> bool:
    """Return whether a name is surely meant as one of the code: with capitals, underscores, dots or parentheses."""
    return bool(re.search(r"[A-Z_(]|\w\.\w", name)) and not name.endswith((".py", ".md", ".toml", ".yml", ".sqlite"))


def exists(name: str) -> bool:
    """Return whether the words of a name are in the code, and that of a class's member in that class."""
    first, _, member = name.partition(".")
    if member and classes(first):
        return member in members(first)
    return words().issuperset(name.split("."))


@cache
def members(name: str) -> set[str]:
    """Return the methods and attributes of a class and of its bases."""
    found: set[str] = set()
    for node in classes(name):
        for base in node.bases:
            found |= members(base.id) if isinstance(base, ast.Name) else set()
        for child in ast.walk(node):
            match child:
                case ast.FunctionDef(name=member) | ast.AsyncFunctionDef(name=member):
                    found.add(member)
                case ast.Attribute(value=ast.Name(id="self"), attr=member, ctx=ast.Store()):
                    found.add(member)
                case ast.Name(id=member, ctx=ast.Store()):
                    found.add(member)
    return found


@cache
def code(*folders: str) -> list[str]:
    """Return the text of every Python file in folders of the repository."""
    return [path.read_text("utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")]


@cache
def words() -> set[str]:
    return set(re.findall(r"\w+", "\n".join(code("src", "tests", "benchmarks"))))


@cache
def classes(name: str) -> list[ast.ClassDef]:
    """Return the definitions of classes of this name, but of tests."""
    texts = [text for text in code("src", "tests/support", "benchmarks") if f"class {name}" in text]
    nodes = [node for text in texts for node in statements(ast.parse(text))]
    return [node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name]


def test_good_examples_of_style_are_in_the_code() -> None:
    blocks = re.findall(
        r"^```python\n# good: (\S+)[^\n]*\n(.*?)^(?:# bad|```)", text_of_style(), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 4
    for path, example in blocks:
        lines = {line.strip() for line in source_of(path).splitlines()}
        assert [line for line in example.splitlines() if line.strip() and line.strip() not in lines] == []


def text_of_style() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("\n## Style\n")[2]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_relative_links_lead_somewhere(document: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        there = document if not path else document.parent / path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(target)
    assert wrong == []


def test_every_name_of_the_library_is_in_the_manual() -> None:
    table = (ROOT / "docs" / "python.md").read_text("utf-8").partition("\n## All names\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for cell in cells for name in re.findall(r"`(\w+)`", cell)) == sorted(pmarep.__all__)
