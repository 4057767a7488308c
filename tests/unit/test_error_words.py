"""Every error about what was typed, configured or named says, after what happened, what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.source_code import statements

SRC = Path(__file__).parents[2] / "src" / "pmarep"
KINDS = {"UsageError", "ConfigError", "CredentialsError", "TargetBusyError", "PmarepError"}

SAYS_WHAT_TO_DO = (";", "?", "say what", ": add ")
"""One of these is in a text that has an advice. What ends with a placeholder may have it from there."""


def words_of(node: ast.expr) -> str | None:
    """Return a literal's text, with `{}` for each placeholder; None for what is no literal."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values)
        case _:
            return None


def messages() -> Iterator[tuple[str, str]]:
    for path in sorted(SRC.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in statements(ast.parse(text)) if "raise " in text else ():
            match node:
                case ast.Raise(exc=ast.Call(func=ast.Name(id=kind), args=[first, *_])) if kind in KINDS:
                    if (words := words_of(first)) is not None:
                        yield f"{path.relative_to(SRC)}:{node.lineno}", words


def advises(words: str) -> bool:
    return words.endswith("{}") or any(mark in words for mark in SAYS_WHAT_TO_DO)


def test_every_error_says_what_to_do() -> None:
    found = list(messages())
    assert len(found) > 50
    assert [(place, words) for place, words in found if not advises(words)] == []


def test_an_error_without_advice_is_found() -> None:
    words = words_of(ast.parse('f"cannot write {file}: no room"', mode="eval").body)
    assert words is not None
    assert not advises(words)
