"""`pmarep rm`: delete slides at sites."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import PmarepError, UsageError
from ...text import printable
from ..config_files import load_book, state_path
from ..options import AuditOption, ConfigOption, NoInputOption, StateDirOption
from ..output_streams import echo
from ..signal_handlers import INTERRUPTED
from ..sites.key_options import YesOption
from ..sites.prompter import TerminalPrompter, is_interactive
from .arguments import PlacesArgument, exit_code_of, places_in, say_error

if TYPE_CHECKING:
    from ...engine.audit import AuditLog
    from ...places.removal import FoundSlides
    from ...remote.removal import Candidate
    from ...remote.session_pool import Passwords, SessionPool
    from ...sites.place import Place
    from ...state.journal import Journal
    from ..sites.prompter import Prompter

SHOWN = 20
"""Slides that are named before a question; --dry-run names all."""


def rm(
    places: PlacesArgument = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", "-R", help="All slides below a folder; folders stay.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted; change nothing.")] = False,
    audit: AuditOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Delete slides at sites, each with all its files. There is no way back.

    It says how many slides of how many bytes it would delete at which site, and asks; without a terminal only --yes
    does it. A root-directory is never emptied as a whole. Ends with 3 while a run holds what is to be deleted from.
    """
    from ...places.folders import check_is_below_root
    from ...sites import Credentials
    from ..interruptible import run_interruptible

    chosen = places_in(places, load_book(config))
    for place in chosen:
        check_is_below_root(place, "never empties as a whole")
    removal = _Removal(
        chosen,
        state_path(state_dir),
        None if audit is None or dry_run else audit.expanduser(),
        TerminalPrompter() if is_interactive(no_input) else None,
        recursive=recursive,
        dry_run=dry_run,
        yes=yes,
    )
    try:
        code = run_interruptible(removal.run(Credentials(os.environ)), removal.how_interrupted)
    except typer.Abort:  # at the question
        echo(f"pmarep: {removal.how_interrupted()}", err=True)
        code = INTERRUPTED
    raise typer.Exit(code)


class _Removal:
    """One call of the command."""

    def __init__(
        self,
        places: Sequence[Place],
        state: Path,
        audit: Path | None,
        ask: Prompter | None,
        *,
        recursive: bool,
        dry_run: bool,
        yes: bool,
    ) -> None:
        self._places = places
        self._state = state
        self._audit = audit
        self._ask = ask
        self._recursive = recursive
        self._dry_run = dry_run
        self._yes = yes
        self._code = 0
        self._begun = False
        self._deleted = self._bytes = 0

    def how_interrupted(self) -> str:
        """Say what has been deleted when a signal has ended it."""
        if not self._begun:
            return "interrupted; nothing was deleted"
        return "interrupted; what is not said to be deleted is still there, or was just being deleted"

    async def run(self, passwords: Passwords) -> int:
        """Find, ask and delete; return the exit code. Raises UsageError, TargetBusyError: then nothing was deleted."""
        from ...places.listing import sessions_of
        from ...places.removal import held

        async with sessions_of(self._places, passwords) as sessions:
            found = await self._find(sessions)
            if not any(one.candidates for one in found):
                if not self._code:
                    echo("no slide is there; nothing was deleted")
                return self._code
            what = _what(found)
            if self._dry_run:
                _name_slides(found)
                echo(f"dry run: {what} would be deleted; nothing was")
                return self._code
            with held(self._state, found):
                pass  # else a person would be asked in vain
            if not self._may_delete(found, what):
                return self._code
            with _opened(self._state, self._audit) as (journals, audit), held(self._state, found):
                await self._delete(sessions, found, journals, audit)
            return self._code

    async def _find(self, sessions: SessionPool) -> list[FoundSlides]:
        """Find the slides at all places at once. Raises UsageError where one of them is no place to delete from."""
        import asyncio

        from ...places.removal import find_slides, without_doubles

        found = await asyncio.gather(
            *(find_slides(sessions.core(place.site), place, recursive=self._recursive) for place in self._places)
        )
        for one in found:
            if one.error is not None:
                say_error(one.place, one.error)
                self._code = max(self._code, _exit_code(one.error))
        if self._code == UsageError.exit_code:
            raise UsageError("not every place is one to delete from; name others, nothing was deleted")
        without_doubles(found)
        return list(found)

    def _may_delete(self, found: Sequence[FoundSlides], what: str) -> bool:
        if self._yes:
            return True
        if self._ask is None:
            raise UsageError(f"this would delete {what}; say --yes; nothing was deleted")
        _name_slides(found, SHOWN)
        if self._ask.yes(f"Delete {what}? There is no way back.", default=False):
            return True
        echo("nothing was deleted")
        return False

    async def _delete(
        self, sessions: SessionPool, found: Sequence[FoundSlides], journals: Sequence[Journal], audit: AuditLog | None
    ) -> None:
        import asyncio

        from ...units import count_of, format_size

        self._begun = True
        left = [one for one in found if one.candidates]
        await asyncio.gather(*(self._delete_at(sessions, one, journals, audit) for one in left))
        echo(f"deleted {count_of(self._deleted, 'slide')}, {format_size(self._bytes)}")
        if self._recursive:
            echo("folders stay, also empty ones: PMA.core has no call that removes one")

    async def _delete_at(
        self, sessions: SessionPool, found: FoundSlides, journals: Sequence[Journal], audit: AuditLog | None
    ) -> None:
        """Delete what was found at one place. What goes wrong there is said, and stops no other place."""
        from ...clock import Clock
        from ...places.removal import delete

        name = found.place.site.name
        try:
            async for one in delete(sessions.core(found.place.site), found, Clock(), journals, audit):
                path = f"{name}:/{printable(one.candidate.path)}"
                if one.error is not None:
                    echo(f"pmarep: {path} was not deleted: {one.error}", err=True)
                    self._code = self._code or 1
                elif one.before:
                    echo(f"gone already: {path}")
                else:
                    echo(f"deleted {path} {_size(one.candidate)}")
                    self._deleted += 1
                    self._bytes += one.candidate.size
        except PmarepError as error:
            echo(f"pmarep: {printable(found.place.text)}: {error}; no more is deleted there", err=True)
            self._code = self._code or 1


@contextmanager
def _opened(state: Path, audit: Path | None) -> Iterator[tuple[list[Journal], AuditLog | None]]:
    """Open the journals that there are, and the audit file, if it is asked for. Raises UsageError."""
    from ...engine.audit import AuditLog, Auditor
    from ...engine.removal import opened_journals
    from ...state.journal_takeover import other_states

    log = None if audit is None else AuditLog(audit, Auditor.here())
    try:
        with opened_journals([state, *other_states(state, None)]) as journals:
            yield journals, log
    finally:
        if log is not None:
            log.close()


def _exit_code(error: PmarepError) -> int:
    from ...errors import CredentialsError

    wrong = isinstance(error, UsageError) and not isinstance(error, CredentialsError)
    return UsageError.exit_code if wrong else exit_code_of(error)


def _name_slides(found: Sequence[FoundSlides], most: int | None = None) -> None:
    """Print the slides that would go, `most` of them at most."""
    slides = [(one.place.site.name, slide) for one in found for slide in one.candidates]
    for name, slide in slides[:most]:
        echo(f"  {name}:/{printable(slide.path)} {_size(slide)}")
    if most is not None and len(slides) > most:
        echo(f"  and {len(slides) - most:,} more (--dry-run names all)")


def _what(found: Sequence[FoundSlides]) -> str:
    """Return how many slides of how many bytes there are at which site."""
    from ...units import count_of, format_size

    by_site: dict[str, list[Candidate]] = {}
    for one in found:
        by_site.setdefault(one.place.site.name, []).extend(one.candidates)
    parts = []
    for name, slides in by_site.items():
        if slides:
            untold = sum(slide.state is None for slide in slides)
            size = format_size(sum(slide.size for slide in slides))
            size += f" and {untold} of a size that the server does not tell" if untold else ""
            parts.append(f"{count_of(len(slides), 'slide')} ({size}) at {name}")
    return " and ".join(parts)


def _size(slide: Candidate) -> str:
    from ...units import count_of, format_size

    if slide.state is None:
        return "(the server does not tell its files)"
    return f"({count_of(slide.files, 'file')}, {format_size(slide.size)})"
