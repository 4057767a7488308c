"""Changes to the text of a book that keep every other line, comment and blank as a person wrote it.

Each function changes whole statements, which `source.statements` finds, and those through tomlkit. Before a text is
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

from .layout import (
    Value,
    assignment,
    block_of,
    drop,
    indent_of,
    insert,
    is_header,
    item,
    newline_of,
    node_at,
    offset,
    parsed,
    parts_of,
    place_for,
    put,
    saying,
    split,
    walk,
    with_value,
    written_key,
)
from .source import BookText, KeyPath, described, statements


def set_key(source: BookText, table: KeyPath, key: str, value: Value) -> BookText:
    """The key in a table that is there: in its place if it is said already, else at the table's end."""
    expected = copy.deepcopy(source.data)
    walk(expected, table)[key] = value
    lines = split(source)
    if said := saying(source, (*table, key)):
        put(lines, said[-1], with_value(lines, said[-1], (*table, key), value))
        return _checked(source, lines, expected, table)
    section = [statement for statement in statements(source.text) if statement.table == table]
    if section:
        last = section[-1]
        indent = "" if is_header(last) else indent_of(lines, last)
        insert(source, lines, last.last, indent + assignment(key, value))
    elif owners := saying(source, table):
        last = owners[-1]
        if isinstance(node_at(lines, last, table), InlineTable):
            put(lines, last, with_value(lines, last, (*table, key), value))
        else:
            prefix = "".join(f"{part.strip()}." for part in parts_of(lines, last)[: len(table) - len(last.table)])
            insert(source, lines, last.last, indent_of(lines, last) + prefix + assignment(key, value))
    return _checked(source, lines, expected, table)


def unset_key(source: BookText, table: KeyPath, key: str) -> BookText:
    """Without the key, which has to be there."""
    expected = copy.deepcopy(source.data)
    del walk(expected, table)[key]
    lines = split(source)
    for statement in reversed(saying(source, (*table, key))):
        drop(lines, statement, (*table, key))
    return _checked(source, lines, expected, table)


def swap_key(source: BookText, table: KeyPath, old: str, key: str, value: Value) -> BookText:
    """Another key in the place of an old one, where that has a line of its own; else at the end."""
    said = saying(source, (*table, old))[-1]
    if said.table != table or source.has((*table, key)):
        return set_key(unset_key(source, table, old), table, key, value)
    expected = copy.deepcopy(source.data)
    del walk(expected, table)[old]
    walk(expected, table)[key] = value
    lines = split(source)
    put(lines, said, indent_of(lines, said) + assignment(key, value) + newline_of(source))
    return _checked(source, lines, expected, table)


def add_tables(source: BookText, kind: str, bodies: Mapping[str, str]) -> BookText:
    """More tables, with these lines each: after the last of their kind, so that groups stay where they are."""
    if not bodies:
        return source
    expected = copy.deepcopy(source.data)
    expected[kind] = expected.get(kind, {}) | {name: tomllib.loads(body) for name, body in bodies.items()}
    lines, newline = split(source), newline_of(source)
    blocks = [f"{described((kind, name))}\n{body}".rstrip("\n") + "\n" for name, body in bodies.items()]
    text = "\n".join(blocks).replace("\r\n", "\n").replace("\n", newline)
    after = place_for(source, lines, kind)
    head, tail = "".join(lines[:after]), "".join(lines[after:])
    if head and not head.endswith("\n"):
        head += newline
    if after and lines[after - 1].strip():
        head += newline
    if tail and lines[after].strip():
        tail = newline + tail
    return _checked(source, [head, text, tail], expected, (kind, next(iter(bodies))))


def table_body(values: Mapping[str, Value]) -> str:
    """The lines of a table."""
    return "".join(assignment(key, value) + "\n" for key, value in values.items())


def key_lines(source: BookText, table: KeyPath, key: str) -> str:
    """The key as it is written, with its comment, to be moved to another table."""
    lines = split(source)
    statement = saying(source, (*table, key))[-1]
    if statement.table == table:
        return "".join(lines[statement.first - 1 : statement.last]).lstrip()
    return assignment(key, walk(source.data, table)[key]) + "\n"


def remove_table(source: BookText, table: KeyPath) -> BookText:
    """Without the table, its comments, and the comment right above it."""
    expected = copy.deepcopy(source.data)
    del expected[table[0]][table[1]]
    lines = split(source)
    section = [statement for statement in statements(source.text) if statement.table == table]
    if section:
        start, end = block_of(lines, section[0].first - 1, section[-1].last)
        lines[start:end] = []
    else:
        for statement in reversed(saying(source, table)):
            drop(lines, statement, table)
    return _checked(source, lines, expected, table)


def rename_table(source: BookText, table: KeyPath, name: str) -> BookText:
    """The table under another name, in its place."""
    renamed = (*table[:-1], name)
    expected = copy.deepcopy(source.data)
    expected[table[0]] = {name if key == table[1] else key: value for key, value in expected[table[0]].items()}
    lines = split(source)
    for statement in saying(source, table):
        depth = len(table) - 1 - (0 if is_header(statement) else len(statement.table))
        if 0 <= depth < len(parts := parts_of(lines, statement)):
            line = lines[statement.first - 1]
            at = offset(line) + sum(len(part) + 1 for part in parts[:depth])
            old = parts[depth]
            new = old.replace(old.strip(), written_key(name, old.strip()[0]))
            lines[statement.first - 1] = line[:at] + new + line[at + len(old) :]
    return _checked(source, lines, expected, renamed)


def set_group(source: BookText, group: str, members: Sequence[str]) -> BookText:
    """The group with these members; those that stay keep their places and comments."""
    key = ("groups", group)
    said = saying(source, key)
    if not said:
        return _new_group(source, group, members)
    expected = copy.deepcopy(source.data)
    expected["groups"][group] = list(members)
    lines = split(source)
    document = parsed(lines, said[-1])
    parent = walk(document, key[len(said[-1].table) : -1])
    array = parent[group]
    for index in reversed(range(len(array))):
        if array[index] not in members or array[index] in array[:index]:
            del array[index]
    if list(array) == list(members[: len(array)]):
        for member in members[len(array) :]:
            array.append(member)
    else:
        parent[group] = item(list(members))
    put(lines, said[-1], tomlkit.dumps(document))
    return _checked(source, lines, expected, key)


def rename_member(source: BookText, old: str, new: str) -> BookText:
    """All groups of this text with another name for one of their members."""
    expected = copy.deepcopy(source.data)
    lines = split(source)
    for group, members in source.data.get("groups", {}).items():
        if old not in members:
            continue
        expected["groups"][group] = [new if member == old else member for member in members]
        statement = saying(source, ("groups", group))[-1]
        # The statement may hold several groups: what was changed in it before is read again from the lines.
        document = parsed(lines, statement)
        array = walk(document, ("groups", group)[len(statement.table) :])
        for index, member in enumerate(list(array)):
            if member == old:
                array[index] = new
        put(lines, statement, tomlkit.dumps(document))
    return _checked(source, lines, expected, ("groups",))


def _new_group(source: BookText, group: str, members: Sequence[str]) -> BookText:
    if saying(source, ("groups",)):
        return set_key(source, ("groups",), group, list(members))
    expected = {**copy.deepcopy(source.data), "groups": {group: list(members)}}
    lines, newline = split(source), newline_of(source)
    insert(source, lines, len(lines), "[groups]")
    if len(lines) > 1:
        lines.insert(-1, newline)
    insert(source, lines, len(lines), assignment(group, list(members)))
    return _checked(source, lines, expected, ("groups",))


def _checked(source: BookText, lines: list[str], expected: Mapping[str, Any], table: KeyPath) -> BookText:
    text = "".join(lines)
    try:
        # An empty [groups] is none.
        right = _full(tomllib.loads(text)) == _full(expected)
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise source.error(
            f"{described(table)} is written in a way that pmarep cannot change; change it by hand, "
            f"or write it under a header {described(table)} of its own",
            table,
            table[:1],
        )
    # Its lines are not those of the file that a person would look at.
    return replace(source, text=text, numbered=False)


def _full(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value != {}}
