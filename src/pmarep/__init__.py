"""pmarep replicates whole-slide images to many PMA.core servers at once.

Everything a Python program needs is here; see `replicate`. Names are loaded when they are first used, so that
`pmarep --help` does not pay for HTTP and databases.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .errors import PmarepError

_HOMES = {
    "PmarepError": "errors",
}

__all__ = ["PmarepError", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
