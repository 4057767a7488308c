"""Tell our own slide from somebody else's: what lies at a site is read back and compared with the source.

Nothing that may be a whole slide of somebody else is written over unasked. What may be is

- a beginning of ours, perhaps with zeros behind, where we have sent this slide, or begun to on a server that writes in
  place: every byte of it is in ours;
- such a beginning wherever it comes from, if it is no mere header and the server cannot open it: a torn copy;
- what has our sizes and other bytes, if the site says that nobody has written to it since we have sent it: damage.

Everything else is a conflict, for a person to decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ...errors import Remedy
from ...pmacore import NotArrived, ProtocolError, Refused, StorageKind
from ...slides import Slide
from ...state.journal import Journal
from ...state.records import BROKEN, DIFFERS, SENDING, SENT, UNREADABLE, Entry
from ..options import Existing, Options, Verify
from .action import Action
from .announced_upload import announcement_in
from .decide import OTHER_CONTENT, SENT_AGAIN, SENT_ONCE, Decision, Destination, about_other
from .verify import ContentMatch, Found, SlideVerifier

LEAST_BEGINNING = 4096
"""Bytes that a torn copy has in common with the slide at least: headers of one scanner's slides are alike."""

REPLACES = "pmarep push --existing overwrite replaces it"


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """Decides about one slide by the bytes that are at the site.

    `arrived` is called where it turns out to be our slide, before the journal says so.
    """

    slide: Slide
    at: Destination
    verifier: SlideVerifier
    journal: Journal
    options: Options
    arrived: Callable[[], Awaitable[None]]

    async def decide(self, decision: Decision) -> Decision:
        """Return what to do instead of `decision`. Raises PmaCoreError, SourceError."""
        here = self.journal.signature(self.slide)
        entry = await self.journal.entry(self.at.place)
        begun = _begun(entry, here)
        if _is_known_unreadable(entry, here, decision):
            return await self._if_it_opens(decision)
        other = about_other(decision, self.options.existing, decision.reason)
        if not begun and not decision.same and not await _is_refused(self.slide, self.verifier):
            return other  # no torn copy
        try:
            found = await self.verifier.what_is_there(
                self.slide, begun=begun and entry is not None and entry.state == SENDING
            )
        except (Refused, ProtocolError) as error:
            if error.remedy is Remedy.RETRY:
                raise
            if decision.permitted:
                return about_other(decision, Existing.OVERWRITE, f"it cannot be read back: {error}")
            if not begun and not decision.same:
                return other
            reason = f"what is there cannot be read back to see whether it is ours: {error}; use --existing overwrite"
            return replace(decision, action=Action.CONFLICT, reason=reason, same=False)
        if found.what is ContentMatch.SAME:
            return await self._if_it_opens(decision)
        if found.what is ContentMatch.TRUNCATED and (begun or await _is_torn_copy(found, self.slide, self.verifier)):
            return _finish(decision, entry, here, self.slide, self.options)
        if not decision.same and not begun:
            return other
        if decision.same and not self.options.dry_run:
            await self.journal.record_different(self.at.place, here, decision.stamp)
        return about_other(
            decision, self.options.existing, OTHER_CONTENT if decision.same else _no_longer_ours(decision)
        )

    async def _if_it_opens(self, decision: Decision) -> Decision:
        """Decide about a slide whose bytes are all there: the same bytes again would not help a server to open it."""
        here, known = self.journal.signature(self.slide), await self.journal.entry(self.at.place)
        wait = not self.options.dry_run and (known is None or known.state != UNREADABLE)
        level = Verify.NONE if self.options.verify is Verify.NONE else Verify.SIZE
        try:
            await self.verifier.inspect(self.slide, level, just_sent=wait)
        except NotArrived as error:
            if self.options.fresh:
                return replace(decision, action=Action.SEND, reason="begun again (--fresh)", ours=True, same=False)
            if not self.options.dry_run:
                await self.journal.record_unreadable(self.at.place, here, await self.verifier.stamp(self.slide))
            return replace(decision, action=Action.CONFLICT, reason=_unreadable(error), same=False)
        if not self.options.dry_run:
            await self.arrived()
            source, stamp = await self.verifier.source_now(self.slide), await self.verifier.stamp(self.slide)
            await self.journal.record_sent(self.at.place, here, stamp, source=source)
        return Decision(Action.SKIP, "already there, read back", same=True, proved=True)


def _begun(entry: Entry | None, here: str) -> bool:
    """Return whether a beginning of the slide that is there can only be ours: we have sent it, or begun to."""
    if entry is None:
        return False
    if entry.state == SENDING:  # a bucket's and a container's files are there whole or not at all
        if entry.upload is None:
            return True
        announcement = announcement_in(entry.upload)
        return announcement is not None and announcement.kind is StorageKind.FILESYSTEM
    return entry.state in (BROKEN, UNREADABLE) or (entry.state == SENT and entry.signature == here)


def _no_longer_ours(decision: Decision) -> str:
    said = decision.reason or "its content is another"
    return f"{said}; whether it was damaged or put there by somebody else cannot be told"


async def _is_torn_copy(found: Found, slide: Slide, verifier: SlideVerifier) -> bool:
    return found.beginning >= LEAST_BEGINNING and await _is_refused(slide, verifier)


async def _is_refused(slide: Slide, verifier: SlideVerifier) -> bool:
    """Return whether the server says of this slide that it cannot open it; not where it says so of this user, say."""
    try:
        return await verifier.refusal_to_open(slide) is not None
    except Refused:
        return False


def _finish(decision: Decision, entry: Entry | None, here: str, slide: Slide, options: Options) -> Decision:
    """Send over a beginning of ours: what was not acknowledged, or else all."""
    decision = replace(decision, ours=True, same=False, doubtful=False)
    unfinished = entry is not None and entry.state == SENDING and entry.signature == here and not options.fresh
    if unfinished and entry is not None and entry.files and slide.main.path not in entry.files:
        return replace(decision, action=Action.RESUME, reason="partly sent before", entry=entry)
    # Announced anew: the id of that upload may be another slide's by now.
    return replace(decision, action=Action.SEND, reason="torn there: nothing but a beginning of it")


def _is_known_unreadable(entry: Entry | None, here: str, decision: Decision) -> bool:
    return (
        entry is not None
        and entry.state == UNREADABLE
        and entry.signature == here
        and entry.stamp is not None
        and entry.stamp == decision.stamp
    )


def _unreadable(error: Exception) -> str:
    return f"its bytes are there, but {error}; {SENT_ONCE}"


async def diagnose(
    error: NotArrived,
    slide: Slide,
    at: Destination,
    verifier: SlideVerifier,
    journal: Journal,
    *,
    just_sent: bool = False,
) -> str | None:
    """Tell the journal what a look has found wrong; for people, what it is and what helps. None: it is right after all.

    Says what the next push will do. Raises PmaCoreError, SourceError.
    """
    here, stamp = journal.signature(slide), await verifier.stamp(slide)
    entry = await journal.entry(at.place)
    ours = entry is not None and entry.signature == here and entry.state == SENT
    untouched = stamp is not None and (just_sent or (entry is not None and ours and entry.stamp == stamp))
    if untouched and not just_sent and entry is not None and entry.source is not None:
        # Or else it is the source that has changed, its size and time kept, and the site has the slide that was sent.
        untouched = entry.source == await verifier.source_now(slide)
    if entry is not None and not just_sent:
        if entry.state == SENDING:
            return f"{error}; an upload of it is unfinished, and the next push looks at it"
        if entry.state == BROKEN and stamp is not None and entry.stamp == stamp:
            return f"{error}; {SENT_AGAIN}"
        if entry.state == UNREADABLE and entry.signature == here and stamp is not None and entry.stamp == stamp:
            return _unreadable(error)
    try:
        found = await verifier.what_is_there(slide)
    except (Refused, ProtocolError) as refusal:
        if refusal.remedy is Remedy.RETRY:
            raise
        if untouched:
            await journal.record_broken(at.place, here, stamp)
            return f"{error}; {SENT_AGAIN}"
        if ours or just_sent:
            await journal.record_broken(at.place, here)
        return f"{error}; it cannot be read back to see what it is ({refusal}); {REPLACES}"
    if found.what is ContentMatch.SAME:
        if await verifier.refusal_to_open(slide) is None:
            return None
        await journal.record_unreadable(at.place, here, stamp)
        return _unreadable(error)
    if found.what is ContentMatch.TRUNCATED:
        mine = just_sent or _begun(entry, here) or await _is_torn_copy(found, slide, verifier)
    else:
        mine = untouched and await verifier.has_sizes(slide)
    if mine:
        await journal.record_broken(at.place, here, stamp)
        return f"{error}; {SENT_AGAIN}"
    await journal.record_different(at.place, here, stamp)
    return f"{error}; {REPLACES}"


async def known_wrong(slide: Slide, at: Destination, verifier: SlideVerifier, journal: Journal) -> str | None:
    """Return what an earlier, closer look has found wrong with what is still there, and what helps; None if nothing."""
    entry = await journal.entry(at.place)
    if entry is None or entry.signature != journal.signature(slide) or entry.state not in (BROKEN, DIFFERS):
        return None
    if entry.stamp is None or entry.stamp != await verifier.stamp(slide):
        return None
    if entry.state == BROKEN:
        return f"an earlier look has found it damaged; {SENT_AGAIN}"
    return f"an earlier look has found another content; {REPLACES}"
