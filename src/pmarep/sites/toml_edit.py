"""Set, remove, rename and add keys and tables in the TOML text of a book, keeping every other line as it was written.

Each function changes whole statements, which `book_text.statements` finds, with tomlkit. Before a text is
given back it is read again and has to say exactly what was meant; a book written in a way that this is no match for is
refused, never spoiled.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import tomlkit
from tomlkit.items import InlineTable

from .book_text import BookText, KeyPath, statements, table_header
from .toml_lines import (
    Value,
    assignment,
    descend,
    dotted_parts,
    indentation,
    insert_line,
    insertion_index,
    is_header,
    key_offset,
    line_ending,
    node_in_statement,
    parse_statement,
    remove_key,
    replace_statement,
    split_lines,
    statement_with_value,
    statements_setting,
    table_block,
    toml_item,
    written_key,
)


def set_key(book_text: BookText, table: KeyPath, key: str, value: Value) -> BookText:
    """Set a key in a table that is there: in its place if it is set already, else at the table's end."""
    expected = copy.deepcopy(book_text.data)
    descend(expected, table)[key] = value
    lines = split_lines(book_text)
    if said := statements_setting(book_text, (*table, key)):
        replace_statement(lines, said[-1], statement_with_value(lines, said[-1], (*table, key), value))
        return _checked(book_text, lines, expected, table)
    section = [statement for statement in statements(book_text.text) if statement.table == table]
    if section:
        last = section[-1]
        indent = "" if is_header(last) else indentation(lines, last)
        insert_line(book_text, lines, last.last, indent + assignment(key, value))
    elif owners := statements_setting(book_text, table):
        last = owners[-1]
        if isinstance(node_in_statement(lines, last, table), InlineTable):
            replace_statement(lines, last, statement_with_value(lines, last, (*table, key), value))
        else:
            prefix = "".join(f"{part.strip()}." for part in dotted_parts(lines, last)[: len(table) - len(last.table)])
            insert_line(book_text, lines, last.last, indentation(lines, last) + prefix + assignment(key, value))
    return _checked(book_text, lines, expected, table)


def unset_key(book_text: BookText, table: KeyPath, key: str) -> BookText:
    """Remove a key, which has to be there."""
    expected = copy.deepcopy(book_text.data)
    del descend(expected, table)[key]
    lines = split_lines(book_text)
    for statement in reversed(statements_setting(book_text, (*table, key))):
        remove_key(lines, statement, (*table, key))
    return _checked(book_text, lines, expected, table)


def swap_key(book_text: BookText, table: KeyPath, old: str, key: str, value: Value) -> BookText:
    """Replace a key by another one in its line, where it has one of its own; else at the table's end."""
    said = statements_setting(book_text, (*table, old))[-1]
    if said.table != table or book_text.has((*table, key)):
        return set_key(unset_key(book_text, table, old), table, key, value)
    expected = copy.deepcopy(book_text.data)
    del descend(expected, table)[old]
    descend(expected, table)[key] = value
    lines = split_lines(book_text)
    replace_statement(lines, said, indentation(lines, said) + assignment(key, value) + line_ending(book_text))
    return _checked(book_text, lines, expected, table)


def add_tables(book_text: BookText, kind: str, bodies: Mapping[str, str]) -> BookText:
    """Add tables with these lines after the last of their kind, so that groups stay where they are."""
    if not bodies:
        return book_text
    expected = copy.deepcopy(book_text.data)
    expected[kind] = expected.get(kind, {}) | {name: tomllib.loads(body) for name, body in bodies.items()}
    lines, newline = split_lines(book_text), line_ending(book_text)
    blocks = [f"{table_header((kind, name))}\n{body}".rstrip("\n") + "\n" for name, body in bodies.items()]
    text = "\n".join(blocks).replace("\r\n", "\n").replace("\n", newline)
    after = insertion_index(book_text, lines, kind)
    head, tail = "".join(lines[:after]), "".join(lines[after:])
    if head and not head.endswith("\n"):
        head += newline
    if after and lines[after - 1].strip():
        head += newline
    if tail and lines[after].strip():
        tail = newline + tail
    return _checked(book_text, [head, text, tail], expected, (kind, next(iter(bodies))))


def table_body(values: Mapping[str, Value]) -> str:
    """Return the lines of a table with these keys."""
    return "".join(assignment(key, value) + "\n" for key, value in values.items())


def key_lines(book_text: BookText, table: KeyPath, key: str) -> str:
    """Return a key as it is written, with its comment, to be moved to another table."""
    lines = split_lines(book_text)
    statement = statements_setting(book_text, (*table, key))[-1]
    if statement.table == table:
        return "".join(lines[statement.first - 1 : statement.last]).lstrip()
    return assignment(key, descend(book_text.data, table)[key]) + "\n"


def remove_table(book_text: BookText, table: KeyPath) -> BookText:
    """Remove a table, its comments, and the comment right above it."""
    expected = copy.deepcopy(book_text.data)
    del expected[table[0]][table[1]]
    lines = split_lines(book_text)
    section = [statement for statement in statements(book_text.text) if statement.table == table]
    if section:
        start, end = table_block(lines, section[0].first - 1, section[-1].last)
        lines[start:end] = []
    else:
        for statement in reversed(statements_setting(book_text, table)):
            remove_key(lines, statement, table)
    return _checked(book_text, lines, expected, table)


def rename_table(book_text: BookText, table: KeyPath, name: str) -> BookText:
    """Rename a table in its place."""
    renamed = (*table[:-1], name)
    expected = copy.deepcopy(book_text.data)
    expected[table[0]] = {name if key == table[1] else key: value for key, value in expected[table[0]].items()}
    lines = split_lines(book_text)
    for statement in statements_setting(book_text, table):
        depth = len(table) - 1 - (0 if is_header(statement) else len(statement.table))
        if 0 <= depth < len(parts := dotted_parts(lines, statement)):
            line = lines[statement.first - 1]
            at = key_offset(line) + sum(len(part) + 1 for part in parts[:depth])
            old = parts[depth]
            new = old.replace(old.strip(), written_key(name, old.strip()[0]))
            lines[statement.first - 1] = line[:at] + new + line[at + len(old) :]
    return _checked(book_text, lines, expected, renamed)


def set_group(book_text: BookText, group: str, members: Sequence[str]) -> BookText:
    """Set the members of a group; those that stay keep their positions and comments."""
    key = ("groups", group)
    said = statements_setting(book_text, key)
    if not said:
        return _new_group(book_text, group, members)
    expected = copy.deepcopy(book_text.data)
    expected["groups"][group] = list(members)
    lines = split_lines(book_text)
    document = parse_statement(lines, said[-1])
    parent = descend(document, key[len(said[-1].table) : -1])
    array = parent[group]
    for index in reversed(range(len(array))):
        if array[index] not in members or array[index] in array[:index]:
            del array[index]
    if list(array) == list(members[: len(array)]):
        for member in members[len(array) :]:
            array.append(member)
    else:
        parent[group] = toml_item(list(members))
    replace_statement(lines, said[-1], tomlkit.dumps(document))
    return _checked(book_text, lines, expected, key)


def rename_member(book_text: BookText, old: str, new: str) -> BookText:
    """Rename a member in all groups of this text."""
    expected = copy.deepcopy(book_text.data)
    lines = split_lines(book_text)
    for group, members in book_text.data.get("groups", {}).items():
        if old not in members:
            continue
        expected["groups"][group] = [new if member == old else member for member in members]
        statement = statements_setting(book_text, ("groups", group))[-1]
        # The statement may hold several groups: what was changed in it before is read again from the lines.
        document = parse_statement(lines, statement)
        array = descend(document, ("groups", group)[len(statement.table) :])
        for index, member in enumerate(list(array)):
            if member == old:
                array[index] = new
        replace_statement(lines, statement, tomlkit.dumps(document))
    return _checked(book_text, lines, expected, ("groups",))


def _new_group(book_text: BookText, group: str, members: Sequence[str]) -> BookText:
    if statements_setting(book_text, ("groups",)):
        return set_key(book_text, ("groups",), group, list(members))
    expected = {**copy.deepcopy(book_text.data), "groups": {group: list(members)}}
    lines, newline = split_lines(book_text), line_ending(book_text)
    insert_line(book_text, lines, len(lines), "[groups]")
    if len(lines) > 1:
        lines.insert(-1, newline)
    insert_line(book_text, lines, len(lines), assignment(group, list(members)))
    return _checked(book_text, lines, expected, ("groups",))


def _checked(book_text: BookText, lines: list[str], expected: Mapping[str, Any], table: KeyPath) -> BookText:
    text = "".join(lines)
    try:
        # An empty [groups] is none.
        right = _full(tomllib.loads(text)) == _full(expected)
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise book_text.error(
            f"{table_header(table)} is written in a way that pmarep cannot change; change it by hand, "
            f"or write it under a header {table_header(table)} of its own",
            table,
            table[:1],
        )
    # Its lines are not those of the file that a person would look at.
    return replace(book_text, text=text, numbered=False)


def _full(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value != {}}
