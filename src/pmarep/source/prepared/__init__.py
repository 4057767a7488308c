"""Slides that a command has made of others: what `prepare` of the site book leaves is what is sent."""

from __future__ import annotations

from .cache import NoRoomError, ResultCache
from .files import NotPrepared, PreparedFiles
from .known import KnownResults, Result
from .result import ResultError
from .slide import PreparedSlide, source_of

__all__ = [
    "KnownResults",
    "NoRoomError",
    "NotPrepared",
    "PreparedFiles",
    "PreparedSlide",
    "Result",
    "ResultCache",
    "ResultError",
    "source_of",
]
