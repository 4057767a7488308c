"""Reads the files of slides: off the event loop, once for all sites that keep pace, never two versions as one."""

from __future__ import annotations

from .files import CHUNK, Version, read_range
from .hands import Source
from .reader import BOUND, Reader

__all__ = ["BOUND", "CHUNK", "Reader", "Source", "Version", "read_range"]
