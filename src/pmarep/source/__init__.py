"""Reads the files of slides: off the event loop, once for all sites that keep pace, never two versions as one."""

from __future__ import annotations

from .files import LocalFiles
from .interface import CHUNK, FileVersion, SourceFiles
from .reader import CACHE_BYTES, SharedReader
from .site_reader import SiteReader

__all__ = ["CACHE_BYTES", "CHUNK", "FileVersion", "LocalFiles", "SharedReader", "SiteReader", "SourceFiles"]
