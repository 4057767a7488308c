"""Decide what is to be done about one slide at one site. Nothing is changed here but the journal's knowledge.

What the journal says that we have begun gives no right over what lies at the site: somebody else may have put it there
since. What is not known to be ours by its stamp has to be read back before it is written over: see ownership.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...pmacore import PmaCore, Refused, RemoteFile
from ...sites import Site
from ...slides import Slide
from ...slides.model import value
from ...source.prepared import PreparedSlide
from ...state.journal import Journal
from ...state.records import (
    DIFFERS,
    SEEN,
    SENDING,
    SENT,
    UNREADABLE,
    Entry,
    KnownState,
    RemotePath,
    are_of_one_source,
)
from ..options import Existing, Options, Verify
from ..remote_listing import RemoteListing, differences_in, harmful, shortened
from .action import ABOUT_OTHER, Action
from .stamp import same_main, stamp_of


@value
class Destination:
    """Where a slide goes at a site: `folder` and `path` are virtual paths, of its folder and its main file."""

    site: Site
    folder: str
    path: str

    @property
    def place(self) -> RemotePath:
        return RemotePath(self.site.url, self.path)


@dataclass(frozen=True, slots=True)
class Decision:
    """`entry` is what the journal knows where an upload of ours is to be resumed; `over` what lies there already, and
    `stamp` what the site says of it.

    `ours`: that is not a slide to be replaced, but what we have left there, unfinished or wrong. `permitted`: it may be
    replaced whoever it is from, since a person has said so. `same`: as far as is known, the slide at the site is this
    one; `compared`: the site was asked for its files now; `proved`: byte for byte. `changed`: its files have changed
    here since then, and kept their sizes. `left`: another slide is there, and stays. `doubtful`: it has to be read back
    to know what it is. `left_out`: refused by `require`, which is no failure.
    """

    action: Action
    reason: str
    entry: Entry | None = None
    over: str | None = None
    stamp: str | None = None
    ours: bool = False
    permitted: bool = False
    same: bool = False
    compared: bool = False
    proved: bool = False
    changed: bool = False
    left: bool = False
    doubtful: bool = False
    left_out: bool = False

    @property
    def sends(self) -> bool:
        return self.action in (Action.SEND, Action.RESUME, Action.REPLACE)


SENT_AGAIN = "the next run sends it again"
SENT_ONCE = "it is not sent again unless it changes, or with --fresh"
OTHER_CONTENT = "its content is another, found by reading it back"

_NEW = Decision(Action.SEND, "not there")
_KNOWN = {
    SENT: Decision(Action.SKIP, "sent by an earlier run", same=True),
    SEEN: Decision(Action.SKIP, "already there", same=True),
}
_AT_REST = (SENT, SEEN, DIFFERS)  # nothing of ours is unfinished there


def destination(site: Site, to: str, slide: Slide) -> Destination:
    folder = "/".join([part for part in (site.target, to, slide.target_path.rpartition("/")[0]) if part])
    return Destination(site, folder, f"{folder}/{slide.main.path}")


def foreseen(known: KnownState | None, here: str, there: str | None) -> Decision | None:
    """Decide without asking further; None where that cannot be done.

    `known` is from the journal; `here` is the slide's signature, `there` its path in the site's listing.
    """
    if known is not None and known.state not in _AT_REST:
        return None
    if there is None:
        return _NEW
    if known is not None and known.signature == here:
        return _KNOWN.get(known.state)
    return None


def looks_again(options: Options) -> bool:
    """Return whether slides that the journal knows to be at a site are looked at all the same, one by one."""
    compares = options.verify in (Verify.FINGERPRINT, Verify.DEEP)
    return compares or options.fresh or options.existing is Existing.OVERWRITE or options.at_all_sites is not None


async def decide(
    slide: Slide,
    at: Destination,
    core: PmaCore,
    listings: RemoteListing,
    journal: Journal,
    options: Options,
    *,
    look: bool = False,
) -> Decision:
    """Decide by the journal, the listings and the slide's files at the site. Raises PmaCoreError.

    `look`: the journal is not believed, whatever the options say.
    """
    entry = await journal.entry(at.place)
    here = journal.signature(slide)
    there = await listings.slide_in(at.folder, at.path)
    known = None if entry is None or entry.state not in _AT_REST else KnownState(entry.state, entry.signature)
    if there is None:
        return _NEW if entry is None or known is not None else _unfinished(entry, here, options)
    if not (look or looks_again(options)) and (decision := foreseen(known, here, there)) is not None:
        return decision
    files: Sequence[RemoteFile] = ()
    try:
        files = await core.slide_files(there)
        differences = differences_in(files, there, slide)
    except Refused as error:
        differences = [f"the server cannot tell its files: {error}"]
    if known in (KnownState(SENT, here), KnownState(SEEN, here)):  # as for a recheck
        differences = harmful(differences)
    lies = Decision(
        Action.CONFLICT,
        shortened(differences) if differences else "",
        over=there,
        stamp=stamp_of(there, files),
        permitted=options.existing is Existing.OVERWRITE,
        same=not differences,
        compared=True,
    )
    if entry is not None and known is None:
        return _about_unfinished(entry, here, lies, options)
    if differences:
        torn = _may_be_torn(files, slide) or (known is not None and known == KnownState(SENT, here))
        if torn and options.existing is not Existing.OVERWRITE:
            return replace(lies, doubtful=True)
        return about_other(lies, options.existing, lies.reason)
    return await _about_equal(slide, at, entry, lies, journal, options)


def _unfinished(entry: Entry, here: str, options: Options) -> Decision:
    """Decide where the rest of an earlier upload may be written."""
    if entry.state == UNREADABLE and entry.signature == here and not options.fresh:
        return Decision(Action.CONFLICT, f"the server could not read it when it was sent; {SENT_ONCE}")
    if entry.state != SENDING:
        return Decision(Action.SEND, "sent before, but not there as it should be")
    if options.fresh:
        return Decision(Action.SEND, "partly sent before, begun again (--fresh)")
    if entry.signature != here:
        return Decision(Action.SEND, "partly sent before, but changed since")
    return Decision(Action.RESUME, "partly sent before", entry)


def _about_unfinished(entry: Entry, here: str, lies: Decision, options: Options) -> Decision:
    """Decide where an earlier run had begun to send the slide, or had sent it in vain, and something is there."""
    if entry.state == SENDING:
        # Still what was to be replaced then: the main file comes last.
        known = entry.replaces and same_main(entry.stamp, lies.stamp)
    else:
        known = entry.stamp is not None and entry.stamp == lies.stamp
    opens_at_last = entry.state == UNREADABLE and entry.signature == here and not options.fresh
    if not known or opens_at_last:
        return replace(lies, doubtful=True)
    decision = _unfinished(entry, here, options)
    ours = entry.state != SENDING
    return replace(decision, over=lies.over, stamp=lies.stamp, permitted=lies.permitted, ours=ours)


async def _about_equal(
    slide: Slide, at: Destination, entry: Entry | None, lies: Decision, journal: Journal, options: Options
) -> Decision:
    """Decide about a slide that is there with our names and sizes."""
    here = journal.signature(slide)
    if entry is None:
        if not options.dry_run:
            await journal.record_seen(at.place, here)
        return replace(lies, action=Action.SKIP, reason="already there")
    if entry.signature == here:
        if entry.state != DIFFERS:
            return replace(lies, action=Action.SKIP, reason=_KNOWN[entry.state].reason)
        if entry.stamp in (None, lies.stamp):
            return about_other(lies, options.existing, OTHER_CONTENT)
        return replace(lies, doubtful=True)
    if isinstance(slide, PreparedSlide) and entry.state in (SENT, SEEN):  # its signature is one of its content
        return about_other(lies, options.existing, "it was sent before prepare made of the slide what it makes now")
    if not are_of_one_source(entry.signature, here) and entry.state in (SENT, SEEN):
        return replace(lies, action=Action.SKIP, reason="already there, from another source")
    if options.existing is Existing.OVERWRITE:
        return replace(lies, action=Action.REPLACE, reason="same files and sizes, but changed here since it was sent")
    doubtful = options.verify is Verify.DEEP or entry.state == DIFFERS
    reason = "already there, with these files and sizes, but changed here since"
    return replace(lies, action=Action.SKIP, reason=reason, changed=True, doubtful=doubtful)


def about_other(lies: Decision, existing: Existing, found: str) -> Decision:
    """Decide about another slide that is there, as --existing says."""
    action = ABOUT_OTHER[existing]
    reason = {
        Action.SKIP: f"differs, left as it is (--existing skip): {found}",
        Action.REPLACE: f"differs: {found}",
        Action.CONFLICT: f"another slide of this name is there ({found}); use --existing overwrite or skip",
    }[action]
    return replace(lies, same=False, doubtful=False, action=action, reason=reason, left=action is Action.SKIP)


def _may_be_torn(files: Sequence[RemoteFile], slide: Slide) -> bool:
    """Return whether it may be nothing but a beginning of ours, by its sizes or as the server knows none."""
    return len(files) <= len(slide.files) and sum(file.size for file in files) < slide.size
