"""Complete names of the site book in the shell. Silent about errors."""

from __future__ import annotations

from pathlib import Path

import typer


def site_or_group(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete `--sites` and NAME arguments; after a comma the next name."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + name for name in _known(ctx, "sites", "groups", begin=last) if name not in given]


def site(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a site."""
    return _known(ctx, "sites", begin=incomplete)


def place(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the site of a place, with its colon."""
    return [f"{name}:" for name in _known(ctx, "sites", begin=incomplete)]


def group(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a group."""
    return _known(ctx, "groups", begin=incomplete)


def server(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a server."""
    return _known(ctx, "servers", begin=incomplete)


def _known(ctx: typer.Context, *kinds: str, begin: str) -> list[str]:
    try:
        from ..sites.book_stack import BookStack
        from ..sites.book_text import BookText
        from .config_files import book_path

        config = ctx.params.get("config")
        # The tables as they are, not the checked book: a mistake in one site must not hide the others.
        stack = BookStack.collect(BookText.read(book_path(Path(config) if config else None)))
        names = [name for kind in kinds for text in stack.texts for name in text.data.get(kind, {})]
    except Exception:
        return []
    return [name for name in dict.fromkeys(names) if name.startswith(begin)]
