"""Classes of typer's commands: refuse empty values, word usage errors plainly, end `--json` with a summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import UsageError
from .replication_run import emit_error_summary

F = TypeVar("F", bound=Callable[..., Any])

_JARGON = "Value error, "  # of pydantic, by which newer versions of typer read options


class PlainErrorsGroup(TyperGroup):
    """The top group: usage errors of all commands are in plain words."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            _in_plain_words(error)
            raise


class NoEmptyValuesCommand(TyperCommand):
    """A command that takes no empty value: `push "$CASES"` with an unset variable would send the current folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and any(arg == "" or arg.endswith("=") for arg in args):
            self._refuse_empty(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_empty(self, ctx: Any, args: Sequence[str]) -> None:
        """Raises UsageError; before values are converted, since an empty path is the current folder then."""
        given: dict[str, Any] = self.make_parser(ctx).parse_args(args=list(args))[0]
        for parameter in self.get_params(ctx):
            value = given.get(str(parameter.name))
            if value == "" or (isinstance(value, list | tuple) and "" in value):
                told = (parameter.metavar or str(parameter.name).upper()).strip("[].")
                name = parameter.opts[0] if parameter.param_type_name == "option" else told
                raise UsageError(f"{name} is empty; perhaps from a variable that is not set")


class CommandApp(typer.Typer):
    """A typer application whose commands take no empty values."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = NoEmptyValuesCommand, **rest: Any
    ) -> Callable[[F], F]:
        return super().command(name, cls=cls, **rest)


class JsonEventsCommand(NoEmptyValuesCommand):
    """A command whose `--json` ends with a summary also where its own arguments are wrong."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        asked = "--json" in (args[: args.index("--")] if "--" in args else args)
        try:
            return super().make_context(info_name, args, *rest, **extra)
        except Exception as error:
            words = str(error) if isinstance(error, UsageError) else _in_plain_words(error)
            if asked and words is not None:
                emit_error_summary(UsageError.exit_code, words)
            raise


def _in_plain_words(error: Exception) -> str | None:
    """Reword a usage error of typer and return its text; None for others. Versions of typer differ in its class."""
    if getattr(error, "exit_code", None) != UsageError.exit_code or not hasattr(error, "format_message"):
        return None
    error.message = str(getattr(error, "message", "")).replace(_JARGON, "")  # type: ignore[attr-defined]
    return str(error.format_message())
