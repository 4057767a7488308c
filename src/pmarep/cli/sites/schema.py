"""`pmarep sites schema`: the JSON schema of the site book."""

from __future__ import annotations

import sys

from ..list_output import print_json


def schema() -> None:
    """Print the JSON schema of the site book, from which editors complete and check it.

    With taplo (Even Better TOML): write it to a file, and `#:schema ./sites.schema.json` into the book's first line.
    """
    from ...sites.schema import book_schema

    sys.stdout.flush()
    print_json(book_schema())
