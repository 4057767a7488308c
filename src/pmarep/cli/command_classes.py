"""Classes of typer's commands: help pages, no empty values, usage errors in plain words, a summary for `--json`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import UsageError
from .help_page import print_help
from .replication_run import emit_error_summary

F = TypeVar("F", bound=Callable[..., Any])

_JARGON = {
    "Value error, ": "",
    r"Input should be a valid integer.*": "write a whole number",
    r"Input should be a valid number.*": "write a number",
    r"Input should be greater than or equal to": "has to be at least",
    r"Input should be less than or equal to": "has to be at most",
}
"""Words of pydantic, by which newer versions of typer read options, and ours."""


class HelpGroup(TyperGroup):
    """A group whose help page is ours."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        print_help(self, ctx)


class NoEmptyValuesCommand(TyperCommand):
    """A command that takes no empty value: `push "$CASES"` with an unset variable would send the current folder."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        print_help(self, ctx)

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
    """A typer application whose commands take no empty values, and all have an example on their help page."""

    def __init__(self, *, help: str, example: str, cls: type[TyperGroup] = HelpGroup, **rest: Any) -> None:
        super().__init__(help=help, epilog=example, cls=cls, no_args_is_help=True, **rest)

    def command(  # type: ignore[override]  # nobody may forget the example
        self, name: str, *, example: str, cls: type[TyperCommand] = NoEmptyValuesCommand, **rest: Any
    ) -> Callable[[F], F]:
        """Register a command. `example` is one line that can be typed."""
        return super().command(name, epilog=example, cls=cls, **rest)


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


def usage_error_words(error: Exception) -> str | None:
    """Return what to say of a usage error of typer, with the help page to look at; None for other errors."""
    words = _in_plain_words(error)
    context = getattr(error, "ctx", None)
    if not words or context is None:
        return words
    return f"{words.rstrip('.')}{'' if words.endswith('?') else ';'} see {context.command_path} --help"


def _in_plain_words(error: Exception) -> str | None:
    """Return the text of a usage error of typer; None for others. Versions of typer differ in its class."""
    if getattr(error, "exit_code", None) != UsageError.exit_code or not hasattr(error, "format_message"):
        return None
    words = str(error.format_message())
    for jargon, plain in _JARGON.items():
        words = re.sub(jargon, plain, words)
    return words
