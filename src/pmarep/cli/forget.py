"""`pmarep forget`: take out of the journal what is not needed any more."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from . import completion
from .config_files import state_path
from .options import ConfigOption, NoInputOption, StateDirOption
from .output_streams import echo
from .sites.key_options import YesOption
from .sites.prompter import TerminalPrompter, is_interactive

if TYPE_CHECKING:
    from .forgetting import Criteria, Forgettable
    from .sites.prompter import Prompter


def forget(
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What is at this site, also one that has left the book; repeatable.",
            autocompletion=completion.site,
        ),
    ] = None,
    server: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="What is at this PMA.core; repeatable.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="What runs have found in this folder, or of this slide; repeatable."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="T", help="What was neither sent nor looked at within T (90d), or since 2026-01-31."),
    ] = None,
    damaged: Annotated[
        bool,
        typer.Option("--damaged", help="Also that slides were found damaged, unreadable, or other than the ones here."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be forgotten; change nothing.")] = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Forget what was sent where: of sites and sources that are gone, or of old runs. Slides stay where they are.

    Several options together: what fits all of them. The next push there compares by names and sizes; a slide that
    differs counts as somebody else's then. Ends with 3 while a run holds what is to be forgotten.
    """
    import asyncio
    import time

    from ..units import parse_moment
    from .forgetting import Criteria
    from .option_values import parse_option

    if not (site or server or source or older_than):
        raise UsageError("say what to forget: --site NAME, --server URL, --source PATH or --older-than T")
    before = None
    if older_than is not None:
        before = parse_option("--older-than", lambda text: parse_moment(text, time.time()), older_than)
    criteria = Criteria(
        sites=tuple(name.strip() for one in site or () for name in one.split(",") if name.strip()),
        servers=tuple(server or ()),
        sources=tuple(path.expanduser().absolute() for path in source or ()),
        before=before,
        damaged=damaged,
    )
    asker = TerminalPrompter() if is_interactive(no_input) else None
    asyncio.run(forget_interactively(criteria, state_path(state_dir), config, asker, dry_run=dry_run, yes=yes))


async def forget_interactively(
    criteria: Criteria, folder: Path, config: Path | None, ask: Prompter | None, *, dry_run: bool, yes: bool
) -> None:
    """Forget what fits after asking. Without `ask` and `yes` it raises UsageError, before anything is changed."""
    from ..state.journal_cleaner import JournalCleaner
    from ..state.run_records import remove_records
    from ..state.state_folders import state_folders
    from ..units import count_of
    from .forgetting import Forgettable, find_in_all, held

    folders = [one.path for one in state_folders([folder]) if (one.path / "journal.sqlite").exists()]
    if not folders:
        echo(f"nothing to forget: no runs yet in {folder}")
        return
    with ExitStack() as stack:
        journals = {one: stack.enter_context(closing(JournalCleaner(one, read_only=dry_run))) for one in folders}
        each = await find_in_all(journals, criteria, config)
        found = Forgettable()
        for one in each.values():
            found.add(one)
        lines = list(what_is_lost(found))
        for name, slides in sorted(found.stay.items()):
            echo(f"{name}: {count_of(slides, 'slide')} found damaged or different: that stays known (--damaged)")
        if not lines:
            echo("nothing to forget")
            return
        if not dry_run:
            with held(folder, found):
                pass  # else a person would be asked in vain
        echo("\n  ".join(["to be forgotten:", *lines]))
        if dry_run:
            echo("dry run: nothing was forgotten")
            return
        if not yes and ask is None:
            raise UsageError("say --yes to forget that; nothing was changed")
        if not yes and ask is not None and not ask.yes("Forget that?", default=False):
            echo("nothing was changed")
            return
        with held(folder, found):
            for path, journal in journals.items():
                await journal.forget(each[path].entries)
                await journal.forget_runs(each[path].runs)
            remove_records(found.records)
        echo("forgotten")


def what_is_lost(found: Forgettable) -> list[str]:
    """Return a line for each site, of what is known there and what is to be sent again, and one for the runs."""
    from ..units import count_of, format_size

    lines = []
    for name in sorted({*found.known, *found.unfinished, *found.damaged}):
        parts = []
        if known := found.known[name]:
            parts.append(f"that {count_of(known, 'slide')} {'is' if known == 1 else 'are'} there")
        if unfinished := found.unfinished[name]:
            kept = f", of which {format_size(found.kept[name])} would have to be sent again" if found.kept[name] else ""
            parts.append(f"{count_of(unfinished, 'slide')} partly sent{kept}")
        if damaged := found.damaged[name]:
            parts.append(
                f"that {count_of(damaged, 'slide')} {'was' if damaged == 1 else 'were'} found damaged or different"
            )
        lines.append(f"{name}: {'; '.join(parts)}")
    if runs := max(len(found.runs), len(found.records)):
        lines.append(f"{count_of(runs, 'run')} and what {'its' if runs == 1 else 'their'} reports are made of")
    return lines
