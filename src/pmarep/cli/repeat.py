"""Write down the command that a run was started with, so that it can be typed again from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..system.shell_words import option_words
from .config_files import named_book, named_state

if TYPE_CHECKING:
    import typer

    from ..sites.place import Place

NOT_REPEATED = ("json", "quiet", "verbose", "fresh", "every", "between", "config", "state_dir")
"""Options that say how a run is shown, that undo what was kept, that make it stay, or that are written anew."""


def repeatable_arguments(ctx: typer.Context, sources: Sequence[Path | Place]) -> tuple[str, ...]:
    """Return the words after `pmarep` that go on with what this command does, with every path in full.

    `sources`: what the argument SRC stands for.

    A site book or state folder that a variable names is named by an option: another shell has other variables.
    """
    words = [str(ctx.info_name)]
    # Arguments first: after an option that takes any number of values, nobody could tell them apart.
    for parameter in sorted(ctx.command.params, key=lambda parameter: parameter.param_type_name != "argument"):
        source = ctx.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in NOT_REPEATED:
            is_source = parameter.name == "sources"
            words += _words(parameter, sources if is_source else ctx.params[str(parameter.name)])
    if book := named_book(ctx.params.get("config")):
        words += ["--config", str(book.absolute())]
    if state := named_state(ctx.params.get("state_dir")):
        words += ["--state-dir", str(state.absolute())]
    return tuple(words)


def _words(parameter: Any, value: Any) -> Iterator[str]:
    values = value if isinstance(value, list | tuple) else [value]
    for one in values:
        text = str(one.expanduser().absolute() if isinstance(one, Path) else getattr(one, "value", one))
        text = str(getattr(one, "text", text))  # of a place
        if parameter.param_type_name == "argument":
            yield text
        elif isinstance(one, bool):
            yield parameter.opts[0] if one else parameter.secondary_opts[0]
        else:
            yield from option_words(parameter.opts[0], text)
