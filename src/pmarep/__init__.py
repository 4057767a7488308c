"""pmarep replicates whole-slide images to many PMA.core servers at once.

    import os, pathlib
    import pmarep

    book = pmarep.SiteBook.load(pathlib.Path("sites.toml"))
    summary = pmarep.replicate_sync(
        pmarep.Options(sources=(pathlib.Path("cases"),)),
        book.resolve(["tokyo", "saopaulo"]),
        passwords=pmarep.Credentials(os.environ),
        state_dir=pathlib.Path("state"),
        listener=print,
    )

`replicate()` is the same as a coroutine, `replicate_events()` an async iterator of its events.

Names are loaded when they are first used, so that `pmarep --help` does not pay for HTTP and databases.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import events
    from .engine import Existing, Options, Verify, replicate, replicate_events, replicate_sync
    from .errors import ConfigError, CredentialsError, PmarepError, SourceError, TargetBusyError, UsageError
    from .pmacore import Connection, PmaCore, PmaCoreError
    from .sites import Credentials, Site, SiteBook
    from .slides import LeftOut, Slide, SlideFile, find_slides
    from .timetable import Timetable

_HOMES = {
    "events": (),
    "engine": ("Existing", "Options", "Verify", "replicate", "replicate_events", "replicate_sync"),
    "errors": ("ConfigError", "CredentialsError", "PmarepError", "SourceError", "TargetBusyError", "UsageError"),
    "pmacore": ("Connection", "PmaCore", "PmaCoreError"),
    "sites": ("Credentials", "Site", "SiteBook"),
    "slides": ("LeftOut", "Slide", "SlideFile", "find_slides"),
    "timetable": ("Timetable",),
}

__all__ = [
    "ConfigError",
    "Connection",
    "Credentials",
    "CredentialsError",
    "Existing",
    "LeftOut",
    "Options",
    "PmaCore",
    "PmaCoreError",
    "PmarepError",
    "Site",
    "SiteBook",
    "Slide",
    "SlideFile",
    "SourceError",
    "TargetBusyError",
    "Timetable",
    "UsageError",
    "Verify",
    "__version__",
    "events",
    "find_slides",
    "replicate",
    "replicate_events",
    "replicate_sync",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name == home or name in names:
            module = import_module(f".{home}", __name__)
            return module if name == home else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
