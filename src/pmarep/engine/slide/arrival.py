"""Check that a slide has arrived: the server can read it, and shows its files with their sizes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ...clock import Clock
from ...pmacore import (
    NotArrived,
    PermissionDenied,
    PmaCore,
    PmaCoreError,
    Refused,
    StorageFull,
    Unreadable,
    UploadStatus,
)
from ...slides import Slide
from ..remote_listing import differences, harmful, shortened

READABLE_SECONDS = 60.0
"""Seconds that a server gets to understand a new slide; published clients wait for some seconds."""

LISTED_SECONDS = 15.0
"""What a server gets to report the files of a new slide, once it can read it: sizes were seen to be 2 s late."""


def check_status(status: UploadStatus, slide: Slide) -> None:
    """Check that the server calls all files of the upload complete. Raises NotArrived."""
    if not status.complete:
        return  # not every server says
    missing = [f"{file.path} is not complete there" for file in slide.files if not status.complete.get(file.path)]
    if missing:
        raise NotArrived(f"the server has not got everything: {shortened(missing)}")


async def check_arrived(core: PmaCore, path: str, slide: Slide, clock: Clock, *, wait: bool = True) -> None:
    """Make sure that the server can read the slide, perhaps after a while, and has its files with their sizes.

    `wait`: it has just been sent, so that what is wrong may only be late. Raises NotArrived.
    """
    # Both at once: over a long way, the last slide's questions are time in which nothing moves.
    early = asyncio.create_task(_wrong(core, path, slide))
    try:
        try:
            await _wait_until_readable(core, path, clock, just_sent=wait)
        except Unreadable:
            with suppress(Refused):  # of what it cannot open it may not know the files either
                if wrong := await _wrong(core, path, slide):
                    raise NotArrived(shortened(wrong)) from None
            raise
        with suppress(PmaCoreError):
            if not await early:
                return
    finally:
        early.cancel()
        await asyncio.gather(early, return_exceptions=True)
    await _wait_until_listed(core, path, slide, clock, LISTED_SECONDS if wait else 0.0)


async def _wait_until_listed(core: PmaCore, path: str, slide: Slide, clock: Clock, seconds: float) -> None:
    """Ask for names and sizes until they are right: some servers show them seconds after the last byte."""
    end, pause = clock.monotonic() + seconds, 0.1
    while True:
        late = clock.monotonic() + pause > end
        try:
            if not (wrong := await _wrong(core, path, slide)):
                return
            if late:
                raise NotArrived(shortened(wrong))
        except (PermissionDenied, StorageFull):
            raise  # says nothing about the slide
        except Refused:
            if late:
                raise
        await clock.sleep(pause)
        pause = min(pause * 2, 2.0)


async def _wrong(core: PmaCore, path: str, slide: Slide) -> list[str]:
    return harmful(await differences(core, path, slide))


async def _wait_until_readable(core: PmaCore, path: str, clock: Clock, *, just_sent: bool) -> None:
    end, pause = clock.monotonic() + READABLE_SECONDS, 0.1
    while True:
        try:
            await core.image_info(path)
            return
        except (PermissionDenied, StorageFull):
            raise  # says nothing about the slide
        except Refused as error:
            if not just_sent:  # no reason to send it again
                raise
            if clock.monotonic() + pause > end:
                raise Unreadable(
                    f"the server cannot read the slide ({error})", "does it open where it came from?"
                ) from None
        await clock.sleep(pause)
        pause = min(pause * 2, 5.0)
