"""`pmarep slides`: list what would be sent, and what would not and why."""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError
from .. import completion
from ..config_files import book_path, load_book, naming_config
from ..option_values import parse_newer_than, parse_option, parse_shard
from ..options import (
    ConfigOption,
    ExcludeOption,
    FollowLinksOption,
    IncludeOption,
    MapOnlyOption,
    MapOption,
    MinSizeOption,
    NewerThanOption,
    ShardOption,
    SourcesArgument,
)
from ..output_streams import echo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pmarep.sites.name_map import NameMap
    from pmarep.sites.site_choices import SiteChoice
    from pmarep.slides import LeftOut, Slide
    from pmarep.slides.labels import LabelImages

    from .output import SlideOutput


def _print_formats(wanted: bool) -> None:
    if wanted:
        from .formats_table import print_formats

        print_formats()
        raise typer.Exit


def slides(
    sources: SourcesArgument,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = "0",
    follow_links: FollowLinksOption = False,
    shard: ShardOption = None,
    problems: Annotated[
        bool, typer.Option("--problems", help="Only what cannot be sent, why, and what to do about it.")
    ] = False,
    sites: Annotated[
        list[str] | None,
        typer.Option(
            "--sites",
            metavar="NAME[,NAME...]",
            help="Say which of these sites take each slide, by their keys in the site book.",
            autocompletion=completion.site_or_group,
        ),
    ] = None,
    map_file: MapOption = None,
    map_only: MapOnlyOption = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="Say whether each slide carries a label or macro image.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    formats: Annotated[  # noqa: ARG001  (its callback does it)
        bool,
        typer.Option("--formats", help="List the known formats and end.", callback=_print_formats, is_eager=True),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name also every file that is no slide or excluded.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """List the slides in SRC, and what is left out, why, and what to do about it.

    Patterns as in .gitignore: '*.svs' and 'old' in any folder, '2024/*.svs' from SRC; case does not matter.
    Ends with 1 if something that should be a slide cannot be sent, with 2 if SRC or FILE.csv cannot be used.
    """
    from pmarep.sites import slides_settings
    from pmarep.slides import find_slides
    from pmarep.slides.pma_start import PmaStart
    from pmarep.slides.selection import OptionValue, describe_unmatched
    from pmarep.units import parse_size

    with naming_config(config):
        settings = slides_settings(book_path(config), needed=config is not None)
    named = _read_map(map_file, sites, config, only=map_only)
    choices = _choices(sites, config, named if map_only else None)
    part = parse_shard(shard)
    since, least = parse_newer_than(newer_than), parse_option("--min-size", parse_size, min_size)
    with ExitStack() as stack:
        trust_anybody, lookup = settings.enumerate == "always", None
        if settings.enumerate != "never":
            lookup = stack.enter_context(PmaStart(trust_anybody=trust_anybody)).lookup
        # All sources are looked at before the first line: a mistyped one is a usage error and not half a list.
        matched: set[OptionValue] = set()
        found = [
            (
                source,
                find_slides(
                    source,
                    include=include or (),
                    exclude=exclude or (),
                    newer_than=since,
                    min_size=least,
                    lookup=lookup,
                    follow_links=follow_links,
                    matched=matched,
                ),
            )
            for source in sources
        ]
        output = _output(len(sources) > 1, json=json, verbose=verbose, only_problems=problems, labels=labels)
        output.choices = choices
        check = None
        if named is not None:
            from pmarep.engine.discovery.name_check import NameCheck

            output.names = {site: named.of(site) for site in choices}
            check = stack.enter_context(closing(NameCheck(named, list(choices), only=map_only)))
        output.shard = "" if part is None else str(part)
        for source, things in found:
            output.source = source
            if check is not None:
                things = map(check.add, things)
            for thing in _as_of_now(things if part is None else (one for one in things if part.has(one.path))):
                output.add(thing)
        output.finish()
        if check is not None:
            check.finish(complete=True)
    for line in describe_unmatched(include or (), exclude or (), matched):
        echo(line, err=True)
    if output.counts.problems:
        raise typer.Exit(1)


def _read_map(file: Path | None, sites: list[str] | None, config: Path | None, *, only: bool) -> NameMap | None:
    from ..option_values import read_names

    if file is not None and not sites:
        raise UsageError("--map is about names at sites; say at which with --sites")
    return read_names(file, load_book(config), only=only) if file is not None or only else None


def _choices(names: list[str] | None, config: Path | None, only: NameMap | None) -> dict[str, SiteChoice]:
    """Return what each of the sites takes. `only`: of this map."""
    if not names:
        return {}
    from pmarep.sites.site_choices import SiteChoice

    chosen, now = load_book(config).select(names), time.time()
    return {site.name: SiteChoice(site, now, None if only is None else only.of(site.name)) for site in chosen}


def _as_of_now(things: Iterable[Slide | LeftOut]) -> Iterator[Slide | LeftOut]:
    """Replace slides that cannot be read, are broken or are being written just now by a LeftOut.

    Whatever its format says: the walk looks into few files. Only recent ones are asked about being written, as in a
    push: what was written long ago is merely open somewhere.
    """
    from pmarep.slides import LeftOut, Slide, Why
    from pmarep.slides.in_use import find_file_in_use
    from pmarep.slides.stability import StabilityPolicy, newest_mtime_ns

    from ...text import printable

    stability, now = StabilityPolicy(), time.time()
    for thing in things:
        if not isinstance(thing, Slide):
            yield thing
        elif closed := _not_readable(thing):
            words = printable(f"{os.strerror(errno.EACCES)}: {closed}")
            yield LeftOut(thing.path, Why.UNREADABLE, words, files=len(thing.files))
        elif stability.is_recent(newest_mtime_ns(thing), now) and (held := find_file_in_use(thing)):
            words = printable(f"{held[0].name} is {held[1]}")
            yield LeftOut(thing.path, Why.UNFINISHED, words, files=len(thing.files))
        else:
            yield _unless_broken(thing)


def _unless_broken(slide: Slide) -> Slide | LeftOut:
    """Return the slide, or a LeftOut where its content is broken."""
    from pmarep.slides import LeftOut, Why
    from pmarep.slides.content import check_content
    from pmarep.slides.folder import cause_of, os_error_text
    from pmarep.slides.model import BrokenFileError

    try:
        check_content(slide)
    except BrokenFileError as error:
        return LeftOut(slide.path, Why.INCOMPLETE, str(error), error.cause, files=len(slide.files))
    except OSError as error:
        return LeftOut(slide.path, Why.UNREADABLE, os_error_text(error), cause_of(error), files=len(slide.files))
    return slide


def _not_readable(slide: Slide) -> str | None:
    """Return the first file that the operating system would not let us read; None: all can be read."""
    folder = os.fspath(slide.folder)  # no Path for each of a million files
    names = (file.source_name for file in slide.files)
    return next((name for name in names if not os.access(f"{folder}/{name}", os.R_OK)), None)


def _output(several: bool, *, json: bool, verbose: bool, only_problems: bool, labels: bool) -> SlideOutput:
    import sys

    from .output import JsonSlideOutput, PlainSlideOutput, TerminalSlideOutput

    look = _look_for_labels if labels else None
    if json:
        return JsonSlideOutput(several, only_problems=only_problems, look=look)
    kind = TerminalSlideOutput if sys.stdout.isatty() else PlainSlideOutput
    return kind(verbose, only_problems=only_problems, look=look)


def _look_for_labels(slide: Slide) -> LabelImages:
    """Look for label and macro images; unknown where a file cannot be read any more."""
    from pmarep.slides.labels import NOT_KNOWN, label_images

    try:
        return label_images(slide)
    except OSError:
        return NOT_KNOWN
