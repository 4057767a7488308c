"""Draw the `--help` of a command: its options in panels by what they are about, and an example.

Not typer's own pages, which cut the names of options at 60 columns and give a switch the type `<bool>`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

PANELS = {
    "What": (
        "--recursive", "--files", "--site", "--source", "--older-than", "--damaged", "--include", "--exclude",
        "--newer-than", "--min-size", "--allow-empty", "--follow-links", "--existing", "--mirror", "--max-delete",
        "--annotations", "--fresh", "--dry-run", "--problems", "--formats", "--labels", "--unset", "--update",
        "--write", "--names", "--map-only", "--discard", "--fault", "--shard",
    ),
    "Where": (
        "--sites", "--to", "--map", "--url", "--server", "--username", "--target", "--password-command",
        "--password-file", "--ca-bundle", "--client-cert", "--proxy", "--data", "--port", "--host", "--path", "--user",
        "--password", "--root", "--s3-root", "--s3-endpoint", "--azure-root", "--azure-endpoint", "--kind", "--slides",
        "--spool", "--spool-size", "--scheduler", "--scheduler-file",
    ),
    "How fast": (
        "--connections", "--bwlimit", "--max-duration", "--stop-at", "--hard", "--patience", "--connect-timeout",
        "--timeout", "--every", "--between", "--congestion", "--part-size", "--url-lifetime", "--rate", "--latency",
    ),
    "How sure": (
        "--verify", "--level", "--check", "--fingerprint", "--recheck", "--settle", "--verify-tls",
        "--allow-http-uploads", "--label-images", "--require", "--prepare", "--deep",
    ),
    "Output": (
        "--all", "--details", "--csv", "--report", "--format", "--output", "--thumbnails", "--at-all-sites", "--audit",
        "--metrics", "--metrics-label", "--log-file", "--log-file-max-size", "--log-file-max-backups", "--runs",
        "--json", "--quiet", "--verbose", "--values",
    ),
    "General": (
        "--config", "--state-dir", "--yes", "--no-input", "--version", "--install-completion", "--show-completion",
        "--help",
    ),
}  # fmt: skip
"""The panels of all help pages, in their order, with the options that stand in them whatever the command."""

ARGUMENTS = "What"
"""The panel in which arguments come first."""

WIDEST = 110
"""Columns of a page at most: longer lines are hard to read."""
NAMES_SHARE = 0.4
"""What of the width the names of options take at most; the text of one with a longer name begins below it."""
_GAP = 2


def print_help(command: Any, ctx: Any) -> None:
    """Print the help page of a command or group on stdout, as wide as the terminal."""
    from rich.console import Console

    columns, lines = shutil.get_terminal_size()
    # Both, since rich takes 80 columns for any terminal that is called dumb.
    console = Console(width=min(columns, WIDEST), height=lines, highlight=False, file=sys.stdout)
    for block in _blocks(command, ctx, console):
        console.print(block)


def usage(command: Any, ctx: Any) -> str:
    """Return how a command is called: its arguments and the options that it needs."""
    words = [ctx.command_path]
    if hasattr(command, "commands"):
        return f"{ctx.command_path} COMMAND ..."
    needed = [p for p in command.get_params(ctx) if p.param_type_name == "argument" or p.required]
    words += [_name(parameter) for parameter in needed]
    return " ".join([*words, "[OPTIONS]"])


def panels(command: Any, ctx: Any) -> dict[str, list[Any]]:
    """Return the parameters of a command by their panels. One that PANELS has not is in a panel called Options."""
    of = {option: panel for panel, options in PANELS.items() for option in options}
    found: dict[str, list[Any]] = {panel: [] for panel in (*PANELS, "Options")}
    parameters = [p for p in command.get_params(ctx) if not getattr(p, "hidden", False)]
    for parameter in sorted(parameters, key=lambda p: p.param_type_name != "argument"):
        argument = parameter.param_type_name == "argument"
        found[ARGUMENTS if argument else of.get(_long(parameter), "Options")].append(parameter)
    return {panel: inside for panel, inside in found.items() if inside}


def _blocks(command: Any, ctx: Any, console: Console) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    def paragraph(text: str, title: str = "", below: int = 1) -> Padding:
        return Padding(Text.assemble((title, "bold"), text, overflow="fold"), (0, 1, below, 1))

    yield ""
    yield paragraph(usage(command, ctx), "Usage: ")
    for text in (command.help or "").split("\n\n"):
        yield paragraph(" ".join(text.split()))
    if hasattr(command, "commands"):
        rows = [(Text(name, "bold cyan"), Text(_summary(one))) for name, one in command.commands.items()]
        yield _panel("Commands", rows, console, max(len(name) for name in command.commands))
    shown = {panel: [(_styled(p), _description(p)) for p in inside] for panel, inside in panels(command, ctx).items()}
    limit = int(console.width * NAMES_SHARE)
    lengths = [len(name) for rows in shown.values() for name, _ in rows]
    width = max((length for length in lengths if length <= limit), default=0)
    for panel, rows in shown.items():
        yield _panel(panel, rows, console, width)
    yield ""
    yield paragraph(command.epilog or "", "Example: ", below=0)


def _panel(title: str, rows: Iterable[tuple[Text, Text]], console: Console, width: int) -> RenderableType:
    """Draw names beside their texts, `width` columns for the names; where one is longer, its text is below it."""
    from rich.panel import Panel
    from rich.text import Text

    # Not a table for each row: on the page of push, tables take a tenth of a second.
    inner = console.width - 4
    lines: list[Text] = []
    for name, text in rows:
        wrapped = list(text.wrap(console, max(inner - width - _GAP, 1))) or [Text()]
        if len(name) <= width:
            name.pad_right(width + _GAP - len(name))
            lines.append(name + wrapped.pop(0))
        else:
            lines += name.wrap(console, inner)
        lines += [Text(" " * (width + _GAP)) + line for line in wrapped]
    return Panel(Text("\n").join(lines), title=title, title_align="left", border_style="dim", width=console.width)


def _summary(command: Any) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _long(parameter: Any) -> str:
    return next((option for option in parameter.opts if option.startswith("--")), str(parameter.opts[0]))


def _name(parameter: Any) -> str:
    """Return a parameter as it is typed, in its long form, with what stands for its value."""
    return " ".join(filter(None, (*_names(parameter)[:1], value_name(parameter))))


def _names(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return []
    short = [option for option in parameter.opts if not option.startswith("--")]
    return [_long(parameter), *short, *parameter.secondary_opts]


def value_name(parameter: Any) -> str:
    """Return what stands for the value of an option or an argument: `PATTERN`, `size|deep`; "" for a switch."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(parameter.metavar or "")


def _styled(parameter: Any) -> Text:
    from rich.text import Text

    text = Text(overflow="fold")
    text.append(", ".join(_names(parameter)), "bold cyan")
    value = value_name(parameter)
    return text.append(f"{' ' if text else ''}{value}" if value else "", "green")


def _description(parameter: Any) -> Text:
    from rich.text import Text

    notes = []
    if variable := getattr(parameter, "envvar", None):
        notes.append(f"variable: {variable}")
    default = getattr(parameter.default, "value", parameter.default)
    if isinstance(default, str | int | float) and default not in ("", True, False) and not _counts(parameter):
        notes.append(f"default: {default}")
    if parameter.required and parameter.param_type_name == "option":
        notes.append("required")
    text = Text(getattr(parameter, "help", None) or "", overflow="fold")
    for note in notes:
        text.append(f" [{note}]", "dim")
    return text


def _counts(parameter: Any) -> bool:
    return bool(getattr(parameter, "count", False))
