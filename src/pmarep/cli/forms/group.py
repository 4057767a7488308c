"""Lists the sub-commands of `pmarep forms`."""

from __future__ import annotations

from ..command_classes import CommandApp
from .compare import compare

forms = CommandApp(
    help="Look at the forms of sites and at what users have filled in.",
    example="pmarep forms compare tokyo: saopaulo:",
)
forms.command("compare", example="pmarep forms compare tokyo:2026 saopaulo:2026")(compare)
