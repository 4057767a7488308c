"""The text of a site book, with the line of every key, so that errors can name it."""

from __future__ import annotations

import ast
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .site_names import quoted

KeyPath = tuple[str, ...]

LARGEST = 16 * 1024**2
"""Bytes of a site book: of some 100,000 sites."""


class NoBookError(ConfigError):
    """There is no such book. `options`: what `pmarep sites add` needs so that it makes this one."""

    def __init__(self, path: Path, options: str = "") -> None:
        super().__init__(f"{path} is not there; add a first site with `pmarep sites add NAME{options}`")
        self.path = path


@dataclass(frozen=True)
class BookText:
    """The text of a book and where it comes from. `numbered`: errors name lines, since the text is the file's."""

    path: Path
    text: str
    numbered: bool = True

    @classmethod
    def read(cls, path: Path) -> BookText:
        """Read a book from disk. Raises NoBookError, or ConfigError where it cannot be read."""
        try:
            return cls.decode(path, read_bytes(path))
        except FileNotFoundError:
            raise NoBookError(path) from None
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}); look at its rights, or name another book"
            ) from None

    @classmethod
    def decode(cls, path: Path, content: bytes) -> BookText:
        """Decode UTF-8, with or without a byte order mark. Raises ConfigError with the line."""
        try:
            return cls(path, content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{path}, line {line}: the file is not UTF-8; save it as UTF-8") from None

    @cached_property
    def data(self) -> dict[str, Any]:
        """The parsed TOML. Raises ConfigError with line and column."""
        try:
            return tomllib.loads(self.text)
        except RecursionError:
            raise ConfigError(
                f"{self.path}: too many tables or lists within one another; this cannot be a site book"
            ) from None
        except tomllib.TOMLDecodeError as error:
            match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
            words, line, column = match.groups() if match else (str(error), None, None)
            if line is None:
                lines = self.text.rstrip("\n").split("\n")
                line, column = str(len(lines)), str(len(lines[-1]) + 1)
            # tomllib's words name keys and single characters, never values.
            where = f"{self.path}, line {line}, column {column}"
            raise ConfigError(f"{where}: {_said_of_toml(words, self.text.split(chr(10))[int(line) - 1])}") from None

    def has(self, key: KeyPath) -> bool:
        """Return whether this text has the key, be it a table or a value."""
        node: Any = self.data
        for part in key:
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    def error(self, message: str, *keys: KeyPath) -> ConfigError:
        """Return an error that names the line of the first of these keys that is in the text."""
        line = next((self._lines[key] for key in keys if key in self._lines), None)
        where = f"{self.path}, line {line}" if line and self.numbered else f"{self.path}"
        return ConfigError(f"{where}: {message}")

    def line(self, key: KeyPath) -> int:
        """Return the line of a key; after all others when it is unknown."""
        return self._lines.get(key, self.text.count("\n") + 2)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        lines: dict[KeyPath, int] = {}
        for statement in statements(self.text):
            for key in statement.keys:
                lines.setdefault(key, statement.first)
        return lines


_SHOWN = "username|ca_bundle|client_cert|target"
"""Keys whose values an error may repeat."""


def _said_of_toml(words: str, line: str) -> str:
    """Rewrite an error text of tomllib where words about a site book are clearer."""
    if found := re.fullmatch(r"Cannot declare (\(.*\)) twice", words, re.DOTALL):
        return f"{table_header(ast.literal_eval(found[1]))} is there twice; leave one out"
    if words.startswith(("Unescaped '\\'", "Invalid hex value")):
        typed = re.match(rf"\s*({_SHOWN})\s*=\s*\"([^\"']*)\"", line)
        instead = f"{typed[1]} = '{typed[2]}'" if typed else r"username = 'DOMAIN\user'"
        return f"this is not TOML: in double quotes \\ begins an escape; write it in single quotes: {instead}"
    return f"this is not TOML: {words}{'; text needs quotes' if words == 'Invalid value' else ''}"


def read_bytes(path: Path) -> bytes:
    """Read a book, also from a pipe, up to `LARGEST` bytes. Raises OSError, ConfigError."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigError(f"{path} is larger than {LARGEST // 1024**2} MiB; this cannot be a site book")
    return content


@dataclass(frozen=True)
class Statement:
    """A table's header or one `key = value`, with its lines counted from 1 and every key that it sets."""

    first: int
    last: int
    table: KeyPath
    keys: tuple[KeyPath, ...]


def statements(text: str) -> Iterator[Statement]:
    """Split a valid TOML text into its statements.

    A statement begins on a line of its own, and is TOML by itself; the beginning of one that has more lines (in a list
    or a long string) is not. So tomllib itself tells where each one ends, and nothing is guessed.
    """
    table: KeyPath = ()
    pending: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        pending.append(line)
        if len(pending) > 1 and not re.search(r"""[]}]|\"{3}|'{3}""", line):
            continue  # Cannot be the end of a list or a long string: a group of thousands is not parsed line by line.
        try:
            parsed = tomllib.loads("\n".join(pending) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        first, is_header = number - len(pending) + 1, pending[0].lstrip().startswith("[")
        pending = []
        if is_header:
            table = _deepest(parsed)
            yield Statement(first, number, table, tuple(table[: i + 1] for i in range(len(table))))
        elif parsed:
            yield Statement(first, number, table, tuple(_key_paths(parsed, table)))


def _deepest(parsed: Any) -> KeyPath:
    keys: list[str] = []
    while parsed:
        # `[[a]]` is a list of tables; a book has none, but its error should have a line as well.
        parsed = parsed[0] if isinstance(parsed, list) else parsed
        if parsed:
            key, parsed = next(iter(parsed.items()))
            keys.append(key)
    return tuple(keys)


def _key_paths(parsed: Mapping[str, Any], table: KeyPath) -> Iterator[KeyPath]:
    for key, value in parsed.items():
        yield (*table, key)
        if isinstance(value, dict):
            yield from _key_paths(value, (*table, key))


def table_header(table: KeyPath) -> str:
    """Return the header of a table as it is written: `[sites.tokyo]`."""
    return f"[{'.'.join(key if re.fullmatch(r'[A-Za-z0-9_-]+', key) else quoted(key) for key in table)}]"


def readable_by_others(path: Path) -> bool:
    """Return whether other users of this machine may read the file; always False on Windows, which has no mode bits."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
