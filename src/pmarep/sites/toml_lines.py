"""Find and replace statements and blocks in the text of a book as a list of lines; the helpers of `toml_edit`."""

from __future__ import annotations

import re
from typing import Any

import tomlkit
from tomlkit.items import Array, InlineTable

from .book_text import BookText, KeyPath, Statement, statements
from .site_names import quoted

Value = str | int | float | bool | list[str]
_PART = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*""")
_WIDE = 100  # characters; a longer list has a line for each name


def statements_setting(book_text: BookText, key: KeyPath) -> list[Statement]:
    return [statement for statement in statements(book_text.text) if key in statement.keys]


def is_header(statement: Statement) -> bool:
    return len(statement.keys) == len(statement.table) and statement.keys[-1:] == (statement.table,)


def split_lines(book_text: BookText) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", book_text.text)


def line_ending(book_text: BookText) -> str:
    return "\r\n" if "\r\n" in book_text.text else "\n"


def indentation(lines: list[str], statement: Statement) -> str:
    line = lines[statement.first - 1]
    return line[: len(line) - len(line.lstrip())]


def insert_line(book_text: BookText, lines: list[str], after: int, text: str) -> None:
    newline = line_ending(book_text)
    if after and not lines[after - 1].endswith("\n"):
        lines[after - 1] += newline
    lines.insert(after, text.replace("\n", newline) + newline)


def replace_statement(lines: list[str], statement: Statement, text: str) -> None:
    """Replace a statement's text in as many list entries as before: other statements keep their line numbers."""
    lines[statement.first - 1 : statement.last] = [text, *[""] * (statement.last - statement.first)]


def remove_key(lines: list[str], statement: Statement, key: KeyPath) -> None:
    document = parse_statement(lines, statement)
    parent = descend(document, key[len(statement.table) : -1])
    if isinstance(parent, InlineTable):
        del parent[key[-1]]
        replace_statement(lines, statement, tomlkit.dumps(document))
    else:
        replace_statement(lines, statement, "")


def statement_with_value(lines: list[str], statement: Statement, key: KeyPath, value: Value) -> str:
    document = parse_statement(lines, statement)
    descend(document, key[len(statement.table) : -1])[key[-1]] = toml_item(value)
    return tomlkit.dumps(document)


def parse_statement(lines: list[str], statement: Statement) -> tomlkit.TOMLDocument:
    return tomlkit.parse("".join(lines[statement.first - 1 : statement.last]))


def node_in_statement(lines: list[str], statement: Statement, key: KeyPath) -> Any:
    return descend(parse_statement(lines, statement), key[len(statement.table) :])


def descend(node: Any, keys: KeyPath) -> Any:
    for key in keys:
        node = node[key]
    return node


def key_offset(line: str) -> int:
    """Return the column at which a statement's keys begin."""
    match = re.match(r"\s*\[?", line)
    return match.end() if match else 0


def dotted_parts(lines: list[str], statement: Statement) -> list[str]:
    """Return the parts of the dotted key at the beginning of a statement, with the blanks around them."""
    line = lines[statement.first - 1]
    at, parts = key_offset(line), []
    while match := _PART.match(line, at):
        parts.append(match.group())
        at = match.end()
        if line[at : at + 1] != ".":
            break
        at += 1
    return parts


def written_key(name: str, quote: str = "") -> str:
    """Return a key as TOML has it, in the quotes that it had."""
    if quote in ('"', "'") and quote:
        return f"{quote}{name}{quote}"
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def toml_item(value: Value) -> Any:
    toml_item = tomlkit.item(value)
    if isinstance(toml_item, Array) and len(toml_item.as_string()) > _WIDE:
        toml_item.multiline(True)
    return toml_item


def assignment(key: str, value: Value) -> str:
    return f"{written_key(key)} = {toml_item(value).as_string()}"


def table_block(lines: list[str], start: int, end: int) -> tuple[int, int]:
    """Return first and last line of a table with the comments that belong to it and the blank lines of one side."""

    def is_comment(index: int) -> bool:
        return lines[index].lstrip().startswith("#")

    def is_blank(index: int) -> bool:
        return not 0 <= index < len(lines) or not lines[index].strip()

    above = start
    while above and is_comment(above - 1):
        above -= 1
    # A comment at the top of the file is about the file.
    start = above if above else start
    below = end
    while below < len(lines) and is_comment(below):
        below += 1
    # Right above the next header it is about that one.
    end = below if is_blank(below) else end
    if start == 0 or is_blank(start - 1):
        while end < len(lines) and is_blank(end):
            end += 1
    if end == len(lines):
        while start and is_blank(start - 1):
            start -= 1
    return start, end


def insertion_index(book_text: BookText, lines: list[str], kind: str) -> int:
    """Return how many lines come before a new table: up to the end of the last of its kind, with the comments of that.

    The first server comes before the first site.
    """
    known = list(statements(book_text.text))
    mine = [i for i, statement in enumerate(known) if statement.table[:1] == (kind,)]
    if not mine and kind == "servers":
        following = [i for i, statement in enumerate(known) if statement.table[:1] == ("sites",)][:1]
        if following:
            end = known[following[0] - 1].last if following[0] else 0
            return _above(lines, known[following[0]].first - 1, end)
    if not mine or mine[-1] == len(known) - 1:
        return len(lines)
    return _above(lines, known[mine[-1] + 1].first - 1, known[mine[-1]].last)


def _above(lines: list[str], start: int, end: int) -> int:
    """Return the first line of the comments right above a header, which belong to it."""
    while start > end and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return start
