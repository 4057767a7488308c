"""Usage errors that typer finds: in plain words, and with a summary where events are asked for."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from ..errors import UsageError
from .run import say_how_it_ended

_JARGON = "Value error, "  # of pydantic, by which newer versions of typer read options


class PlainGroup(TyperGroup):
    """All commands: what is said about a wrong argument is for people."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            _in_plain_words(error)
            raise


class EventsCommand(TyperCommand):
    """A command whose `--json` ends with a summary also where its own arguments are wrong."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        asked = "--json" in (args[: args.index("--")] if "--" in args else args)
        try:
            return super().make_context(info_name, args, *rest, **extra)
        except Exception as error:
            words = _in_plain_words(error)
            if asked and words is not None:
                say_how_it_ended(UsageError.exit_code, words)
            raise


def _in_plain_words(error: Exception) -> str | None:
    """What typer will say of a usage error; None for another. Not by its class: not every typer has one of its own."""
    if getattr(error, "exit_code", None) != UsageError.exit_code or not hasattr(error, "format_message"):
        return None
    error.message = str(getattr(error, "message", "")).replace(_JARGON, "")  # type: ignore[attr-defined]
    return str(error.format_message())
