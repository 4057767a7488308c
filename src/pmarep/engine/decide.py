"""What is to be done about one slide at one site. Only looks; nothing is changed here but the journal's knowledge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

from ..journal import BROKEN, DIFFERS, SEEN, SENDING, SENT, UNREADABLE, Entry, Journal, Known, Place
from ..pmacore import NotArrived, PmaCore, Refused, Unreadable
from ..sites import Site
from ..slides import Slide
from .inspector import Inspector, There
from .options import Existing, Options, Verify
from .remote import Remote, differences, shortened


class Action(Enum):
    SEND = "send"
    RESUME = "resume"
    REPLACE = "replace"
    SKIP = "skip"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a slide goes at a site: `folder` and `path` are virtual paths, of its folder and its main file."""

    site: Site
    folder: str
    path: str

    @property
    def place(self) -> Place:
        return Place(self.site.url, self.path)


@dataclass(frozen=True, slots=True)
class Decision:
    """`entry` is what the journal knows where an upload of ours is unfinished; `over` what lies there already.

    `ours`: that is not a slide to be replaced, but what we have left there, unfinished or wrong. `same`: as far as is
    known, the slide at the site is this one. `changed`: its files have changed here since then, and kept their sizes.
    `doubtful`: it has to be read back to know what it is; see `without_doubt`.
    """

    action: Action
    reason: str
    entry: Entry | None = None
    over: str | None = None
    ours: bool = False
    same: bool = False
    changed: bool = False
    doubtful: bool = False

    @property
    def sends(self) -> bool:
        return self.action in (Action.SEND, Action.RESUME, Action.REPLACE)


SENT_AGAIN = "the next run sends it again"
SENT_ONCE = "it is not sent again unless it changes, or with --fresh"

_NEW = Decision(Action.SEND, "not there")
_KNOWN = {
    SENT: Decision(Action.SKIP, "sent by an earlier run", same=True),
    SEEN: Decision(Action.SKIP, "already there", same=True),
}
_AT_REST = (SENT, SEEN, DIFFERS)  # nothing of ours is unfinished there


def destination(site: Site, to: str, slide: Slide) -> Destination:
    folder = "/".join([part for part in (site.target, to, slide.path.rpartition("/")[0]) if part])
    return Destination(site, folder, f"{folder}/{slide.main.path}")


def foreseen(known: Known | None, here: str, there: str | None) -> Decision | None:
    """What is to be done where that can be said without asking further; None where it cannot.

    `known` is from the journal; `here` is the slide's signature, `there` its path in the site's listing.
    """
    if known is not None and known.state not in _AT_REST:
        return None
    if there is None:
        return _NEW
    if known is not None and known.signature == here:
        return _KNOWN.get(known.state)
    return None


async def decide(
    slide: Slide, at: Destination, core: PmaCore, remote: Remote, journal: Journal, options: Options
) -> Decision:
    """Raises PmaCoreError."""
    entry = await journal.entry(at.place)
    here = journal.signature(slide)
    there = await remote.slide_in(at.folder, at.path)
    if entry is not None and entry.state == UNREADABLE and entry.signature == here and not options.fresh:
        return await _of_unreadable(slide, at, there, core, journal, options)
    if entry is not None and _left_unfinished(entry, there):
        # Ours, so never a conflict, whatever is at the site by now.
        ours = not entry.replaces
        if entry.state in (BROKEN, UNREADABLE):
            return Decision(Action.SEND, "sent before, but not there as it should be", over=there, ours=ours)
        if options.fresh:
            return Decision(Action.SEND, "partly sent before, begun again (--fresh)", over=there, ours=ours)
        if entry.signature != here:
            return Decision(Action.SEND, "partly sent before, but changed since", over=there, ours=ours)
        return Decision(Action.RESUME, "partly sent before", entry, over=there, ours=ours)
    known = None if entry is None or entry.state not in _AT_REST else Known(entry.state, entry.signature)
    if (decision := foreseen(known, here, there)) is not None:
        return decision
    assert there is not None  # noqa: S101  (for mypy)
    if known is not None and known.state == DIFFERS and known.signature == here:
        return _about_other(options.existing, there, "its content is another, found by reading it back")
    try:
        found = await differences(core, there, slide)
    except Refused as error:
        found = [f"the server cannot tell its files: {error}"]
    # What a run that was killed had announced may have arrived unnoticed, whole or torn.
    begun = entry is not None and entry.state == SENDING
    changed = entry is not None and entry.signature != here
    if found:
        decision = _about_other(options.existing, there, shortened(found))
        return decision if decision.sends else replace(decision, over=there, doubtful=begun)
    if changed and options.existing is Existing.OVERWRITE:
        return Decision(Action.REPLACE, "same files and sizes, but changed here since it was sent", over=there)
    if entry is None and not options.dry_run:
        await journal.seen(at.place, here)
    doubtful = begun or (changed and (options.verify is Verify.DEEP or (known is not None and known.state == DIFFERS)))
    reason = "already there, with these files and sizes, but changed here since" if changed else "already there"
    return Decision(Action.SKIP, reason, over=there, same=True, changed=changed, doubtful=doubtful)


async def _of_unreadable(
    slide: Slide, at: Destination, there: str | None, core: PmaCore, journal: Journal, options: Options
) -> Decision:
    """About a slide that a server could not read when it was sent: by now it may have learned to."""
    with suppress(Refused):
        if there is not None and not await differences(core, there, slide):
            await core.image_info(there)
            if not options.dry_run:
                await journal.seen(at.place, journal.signature(slide))
            return Decision(Action.SKIP, "already there, and the server can read it by now", over=there, same=True)
    return Decision(Action.CONFLICT, f"the server could not read it when it was sent; {SENT_ONCE}")


async def without_doubt(
    decision: Decision,
    slide: Slide,
    at: Destination,
    inspector: Inspector,
    journal: Journal,
    options: Options,
    arrived: Callable[[], Awaitable[None]],
) -> Decision:
    """What is to be done, by the bytes that are at the site. Raises PmaCoreError, SourceError.

    `arrived` is called where it turns out to be our slide, before the journal says so.
    """
    there, here = decision.over or at.path, journal.signature(slide)
    try:
        found = await inspector.what_is_there(slide)
    except Refused as error:
        reason = f"what is there cannot be read back to see whether it is ours: {error}; use --existing overwrite"
        return Decision(Action.CONFLICT, reason)
    if found is There.SAME:
        try:
            await inspector.inspect(slide, Verify.NONE if options.verify is Verify.NONE else Verify.SIZE)
        except Unreadable as error:
            await journal.unreadable(at.place, here)
            raise Unreadable(f"its bytes are there, but {error}", SENT_ONCE) from None
        except NotArrived as error:
            await journal.broken(at.place, here)
            raise NotArrived(f"its bytes are there, but {error}", SENT_AGAIN) from None
        await arrived()
        await journal.sent(at.place, here)
        return Decision(Action.SKIP, "already there, read back", same=True)
    entry = await journal.entry(at.place)
    if found is There.TORN and entry is not None and entry.state == SENDING:
        # Announced anew: nothing can be resumed, and the id of that upload may be another slide's by now.
        return Decision(Action.SEND, "torn when it was sent before", over=there, ours=True)
    if not decision.same:
        return decision
    await journal.differs(at.place, here)
    return _about_other(options.existing, there, "its content is another, found by reading it back")


async def remember_wrong(journal: Journal, place: Place, slide: Slide, error: str) -> str:
    """What was found wrong with a slide at a site, and what helps. Only what we have sent is sent again unasked."""
    entry, here = await journal.entry(place), journal.signature(slide)
    if entry is not None and entry.state == SENT and entry.signature == here:
        await journal.broken(place, here)
        return f"{error}; the next push sends it again"
    await journal.differs(place, here)
    return f"{error}; pmarep push --existing overwrite replaces it"


def _left_unfinished(entry: Entry, there: str | None) -> bool:
    """Whether an earlier run of ours has left something at the site that is to be finished.

    Where it was killed before anything had arrived, and now a slide is there, then that is somebody else's.
    """
    if entry.state in _AT_REST:
        return False
    return there is None or entry.replaces or entry.state in (BROKEN, UNREADABLE) or bool(entry.files or entry.parts)


def _about_other(existing: Existing, there: str, found: str) -> Decision:
    if existing is Existing.SKIP:
        return Decision(Action.SKIP, f"differs, left as it is (--existing skip): {found}")
    if existing is Existing.OVERWRITE:
        return Decision(Action.REPLACE, f"differs: {found}", over=there)
    return Decision(Action.CONFLICT, f"another slide of this name is there ({found}); use --existing overwrite or skip")
