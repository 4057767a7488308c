"""What every storage kind has in common: one slide on its way to one site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..pmacore import Announcement, PmaCore
from ..slides.model import Slide, SlideFile
from ..source import Source
from .link import Link


@dataclass(frozen=True, slots=True)
class Shipment:
    """`folder` is the announced virtual path; the slide's files lie relative to it."""

    core: PmaCore
    announcement: Announcement
    folder: str
    slide: Slide
    source: Source
    link: Link


class Uploader(Protocol):
    """Sends the files of one shipment. A file counts as sent when `send` returns."""

    async def send(self, file: SlideFile) -> None:
        """Raises PmaCoreError or SourceError; the file may be sent again afterwards."""
