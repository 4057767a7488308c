"""`pmarep annotations`: contains no logic, only the list of sub-commands."""

from __future__ import annotations

from ..command_classes import CommandApp
from .export import export
from .import_files import import_files

annotation_commands = CommandApp(
    help="Take the annotations of slides from a PMA.core to side files, and from those to other PMA.cores.",
    example="pmarep annotations export tokyo:2026 cases/",
)

annotation_commands.command("export", example="pmarep annotations export tokyo:2026 cases/")(export)
annotation_commands.command("import", example="pmarep annotations import cases/ --sites ghent")(import_files)
