"""Slides that lie at a PMA.core: listed there, and read by ranges into a spool on this disk."""

from __future__ import annotations

from .files import PlaceFiles
from .scanner import PlaceScanner
from .spool import SMALLEST_SPOOL, Spool, spool_size

__all__ = ["SMALLEST_SPOOL", "PlaceFiles", "PlaceScanner", "Spool", "spool_size"]
