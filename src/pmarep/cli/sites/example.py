"""`pmarep sites example`: a site book with every key, to begin with."""

from __future__ import annotations

from pathlib import Path

from ..output_streams import echo

NAME = "sites.example.toml"
_PACKAGE = Path(__file__).parents[2]


def example() -> None:
    """Print a site book that has every key, each with a comment.

    Write it to a file and change it, or copy from it what you need.
    """
    # In an installed pmarep it is in the package; in its sources it is at their top, where people look for it.
    file = next(place / NAME for place in (_PACKAGE, *_PACKAGE.parents) if (place / NAME).is_file())
    echo(file.read_text("utf-8").removesuffix("\n"))
