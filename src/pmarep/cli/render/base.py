"""The base class of all outputs, and the lines that they share: summary, dry run, waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from ...events import LEFT_OUT_CODE, Event, SiteSummary, SlidePlanned, SourceWaiting, Summary
from ...units import count_of, format_duration, format_size
from ..output_streams import discard_stdout, is_broken_pipe


class Output(ABC):
    """A listener of one run; a context manager, so that a terminal is put right again whatever happens.

    `write_error`: why lines were lost, None for a closed pipe. `selection`: the options that select slides, as typed.
    """

    selection: str = ""
    write_error: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def handle(self, event: Event) -> None:
        """Show an event. Called for each, in order, in the run's event loop, so it has to be quick."""

    def write_line(self, text: str) -> None:
        """Print a line. A closed pipe or terminal, or a full disk behind `>`, is no reason to stop sending.

        Where a disk is full each line is tried: rounds go on for days, and somebody makes room.
        """
        try:
            print(text, flush=True)
        except OSError as error:
            if is_broken_pipe(error):
                discard_stdout()
            else:
                self.write_error = self.write_error or error

    def announce_stopping(self) -> None:  # noqa: B027  (an output may say nothing)
        """Say that the run was interrupted and is ending."""


def summary_lines(summary: Summary, selection: str = "") -> list[str]:
    """Return one line per site, one about what came from places, and one that says how the run ended."""
    width = max(map(len, summary.sites), default=0)
    lines = [f"{name:{width}}  {_site_line(site, summary)}" for name, site in summary.sites.items()]
    if summary.bytes_downloaded:
        lines.append(f"{format_size(summary.bytes_downloaded)} came from the source")
    shard = f"shard {summary.shard}: " if summary.shard else ""
    return [*lines, shard + _verdict(summary, selection)]


def left_out_line(summary: Summary) -> str:
    """Return the line about files that were neither sent nor reported as a problem; empty where there are none."""
    unknown, other, system, excluded = (
        summary.left_out.get(key, 0) for key in ("unknown", "other", "system", "excluded")
    )
    parts = []
    if unknown:
        what = "slides or parts of one" if unknown > 1 else "a slide or a part of one"
        parts.append(f"{count_of(unknown, 'file')} that may be {what} (pmarep slides SRC says which)")
    if other:
        parts.append(count_of(other, "other file"))
    if (side_files := summary.left_out.get("annotations", 0)) and not (summary.annotations or summary.verify_only):
        take = "takes it along" if side_files == 1 else "takes them along"
        parts.append(f"{count_of(side_files, 'side file')} with annotations (--annotations {take})")
    if system:
        parts.append(f"{system} system files and folders" if system > 1 else "1 system file or folder")
    if excluded:
        parts.append(f"{excluded} excluded")
    return f"left out: {', '.join(parts)}" if parts else ""


def _site_line(site: SiteSummary, of: Summary) -> str:
    if of.pull:
        parts = [f"{site.pulled} {'to pull' if of.dry_run else 'pulled'}, {site.skipped} skipped, {site.failed} failed"]
        parts[0] += f", {site.not_begun} not begun" if site.not_begun else ""
    elif of.verify_only:
        parts = [f"{site.verified} verified, {site.failed} failed{_left_out(site)}", format_duration(site.seconds)]
    else:
        parts = [f"{site.sent} {'to send' if of.dry_run else 'sent'}, {site.skipped} skipped, {site.failed} failed"]
        parts[0] += _left_out(site)
        parts[0] += f", {site.not_begun} not begun" if site.not_begun else ""
    if not of.dry_run and not of.verify_only:
        parts.append(f"{format_size(site.bytes_sent)} in {format_duration(site.seconds)}")
        if site.bytes_sent and site.seconds > 0:
            parts.append(f"{format_size(site.bytes_sent / site.seconds)}/s")
        if site.bytes_resumed:
            parts.append(f"{format_size(site.bytes_resumed)} were there from an earlier run")
    if site.excluded:
        parts.append(f"{site.excluded} excluded by the site book{' or the map' if of.map_only else ''}")
    if of.annotations:
        parts.append(annotations_text(site.annotations_added, site.annotations_there, planned=of.dry_run))
    if of.mirror:
        parts.append(_mirror_text(site, of))
    if site.error:
        parts.append("STOPPED, see above")  # once is enough to read it
    return "; ".join(parts)


def unfinished_text(slides: int) -> str:
    """Return `2 slides are still being written`."""
    return f"{count_of(slides, 'slide')} {'is' if slides == 1 else 'are'} still being written"


def _left_out(site: SiteSummary) -> str:
    return f", {site.left_out} left out" if site.left_out else ""


def _mirror_text(site: SiteSummary, of: Summary) -> str:
    if site.mirror_error is not None and not site.deleted:
        return f"nothing deleted, {site.extra} not in the source" if site.extra else "nothing deleted"
    if of.dry_run:
        return f"{site.extra} to delete"
    return f"{site.deleted} deleted{f', {site.extra} not in the source' if site.extra else ''}"


def _verdict(summary: Summary, selection: str) -> str:
    if summary.pull:
        return _pull_verdict(summary, selection)
    unequal = [*_ruled_out(summary), *_unequal(summary)]
    if summary.error:
        return "; ".join([summary.error, *unequal])
    problems = []
    if summary.source.empty and not summary.source.may_be_empty:
        folders = ", ".join(summary.source.empty)
        problems.append(f"no slide is in {folders}; is its drive mounted? (--allow-empty: that is no failure)")
    if summary.dry_run:
        done = "sent or deleted" if summary.mirror else "sent"
        return "; ".join([*problems, *_not_mirrored(summary), f"dry run: nothing was {done}"])
    problems += [*_missing(summary), *_not_mirrored(summary)]
    if summary.source_problems:
        problems.append(f"{count_of(summary.source_problems, 'thing')} in the source could not be sent, see above")
    if summary.unfinished:
        them = "it" if summary.unfinished == 1 else "them"
        problems.append(f"{unfinished_text(summary.unfinished)}; a later round sends {them}")
    if problems:
        return "; ".join([*problems, *unequal])
    total = sum(site.sent + site.skipped + site.verified for site in summary.sites.values())
    if total == 0 and summary.exit_code == 0:
        found = "a .pmarepignore leaves every slide out" if summary.source.filtered else "no slides were found"
        if selection and not summary.source.empty:
            found = f"no slide is left with {selection}"
        if summary.shard and not summary.source.empty and not summary.source.filtered:
            return "no slide belongs to this shard, nothing was sent"
        words = ("pmarep slides SRC", selection, f"--shard {summary.shard}" if summary.shard else "")
        return f"{found}, nothing was sent ({' '.join(filter(None, words))} says why)"
    if summary.exit_code not in (0, LEFT_OUT_CODE):
        return "; ".join(["not every site is complete", *unequal])
    if any(site.excluded for site in summary.sites.values()):
        who = "the map and the site book want" if summary.map_only else "the site book wants"
        chosen = f"every slide is where {who} it"
        return "; ".join([*unequal, f"{chosen}{', and no other one' if summary.mirror else ''}"])
    done = "every other slide is at every site" if unequal else "every slide is at every site"
    return "; ".join([*unequal, f"{done}{', and no other one' if summary.mirror else ''}"])


def _pull_verdict(summary: Summary, selection: str) -> str:
    sites = summary.sites.values()
    if summary.error:
        return summary.error
    problems, undecided = [], sum(site.needs_decision for site in sites)
    missing, not_begun = sum(site.failed for site in sites) - undecided, sum(site.not_begun for site in sites)
    if missing and not summary.dry_run:
        problems.append(f"{count_of(missing, 'slide')} did not come; see above, then run it again to get the rest")
    elif missing:
        problems.append(f"{count_of(missing, 'slide')} cannot come; see above")
    if undecided:
        need = "needs" if undecided == 1 else "need"
        slides = count_of(undecided, "slide")
        problems.append(f"{slides} {need} a decision: see above, such as --existing overwrite or skip")
    if not_begun:
        problems.append(f"{count_of(not_begun, 'slide')} not begun; the next run gets the rest")
    if summary.source_problems:
        which = count_of(summary.source_problems, "place or folder", "places or folders")
        problems.append(f"{which} could not be looked at, see above")
    if summary.dry_run:
        return "; ".join([*problems, "dry run: nothing was pulled"])
    if problems:
        return "; ".join(problems)
    if summary.exit_code != 0:
        return "not every slide is here, see above"
    if not any(site.pulled + site.skipped for site in sites):
        return f"no slide is left with {selection}" if selection else "no slides are there, nothing was pulled"
    differing = sum(site.differing for site in sites)
    if differing:
        differ = "slide here differs and was" if differing == 1 else "slides here differ and were"
        return f"{differing} {differ} left as {'it is' if differing == 1 else 'they are'} (--existing skip)"
    return "every slide is here"


def _missing(summary: Summary) -> list[str]:
    """Count the slides that did not arrive, by what helps: a clause for each kind."""
    not_looked_at = sum(site.not_looked_at for site in summary.sites.values())
    undecided = sum(site.needs_decision for site in summary.sites.values())
    missing = sum(site.failed for site in summary.sites.values()) - not_looked_at - undecided
    not_begun = sum(site.not_begun for site in summary.sites.values())
    found = []
    if missing and summary.verify_only:
        found.append(f"{count_of(missing, 'slide')} not at a site as it should be; see above what helps")
    elif missing:
        found.append(f"{count_of(missing, 'slide')} did not arrive; see above, then run it again to send the rest")
    if unannotated := sum(site.annotations_failed for site in summary.sites.values()):
        found.append(f"annotations of {count_of(unannotated, 'slide')} could not all be brought; see above")
    if not_looked_at:
        where = ", ".join(name for name, site in summary.sites.items() if site.not_looked_at)
        done = "verified" if summary.verify_only else "looked at or sent"
        found.append(f"{count_of(not_looked_at, 'slide')} could not be {done} at {where}; see above, then run it again")
    if undecided:
        need = "needs" if undecided == 1 else "need"
        found.append(
            f"{count_of(undecided, 'slide')} {need} a decision: see above, such as --existing overwrite or skip"
        )
    if not_begun:
        found.append(f"{count_of(not_begun, 'slide')} not begun; the next run sends the rest")
    return found


def _not_mirrored(summary: Summary) -> list[str]:
    """Say where slides stay that the source has not, or may."""
    refused = [name for name, site in summary.sites.items() if site.mirror_error is not None]
    listed = sum(site.extra for site in summary.sites.values() if site.mirror_error is None)
    found = []
    if refused:
        found.append(f"not every slide that the source has not was deleted at {', '.join(refused)}; see above")
    if listed and not summary.dry_run:
        stay = "slide at a site is" if listed == 1 else "slides at sites are"
        found.append(f"{listed} {stay} not in the source; see above, --yes deletes what may go")
    return found


def _ruled_out(summary: Summary) -> list[str]:
    """Count the slides that rules of sites leave out."""
    number = sum(site.left_out for site in summary.sites.values())
    where = ", ".join(name for name, site in summary.sites.items() if site.left_out)
    return [f"{count_of(number, 'slide')} left out by require at {where}; see above"] if number else []


def _unequal(summary: Summary) -> list[str]:
    """Count the slides that stay at sites although they differ from the ones here, or may: a clause for each kind."""
    differing = sum(site.differing for site in summary.sites.values())
    changed = sum(site.changed for site in summary.sites.values())
    found = []
    if differing:
        differs = "slide at a site differs and was" if differing == 1 else "slides at sites differ and were"
        found.append(f"{differing} {differs} left as {'it is' if differing == 1 else 'they are'} (--existing skip)")
    if changed:
        has = "slide has" if changed == 1 else "slides have"
        deep = "--level deep" if summary.verify_only else "--verify deep"
        found.append(
            f"{changed} {has} changed here since and kept names and sizes, so a site may have another ({deep} compares)"
        )
    return found


def planned_line(event: SlidePlanned) -> str:
    """Return the line of a dry run about a slide."""
    verb = {"conflict": "not send", "refuse": "not send", "exclude": "not send"}.get(event.action, event.action)
    where = "at" if event.action in ("replace", "skip") else "to"
    return f"{event.site}: would {verb} {event.slide} {where} {event.to} ({event.reason})"


def waiting_line(event: SourceWaiting) -> str:
    """Return the line about slides that are still being written."""
    are = "is" if event.slides == 1 else "are"
    slides = count_of(event.slides, "slide")
    return f"{slides} {are} still being written or just copied; looking again in {format_duration(event.seconds)}"


def annotations_text(added: int, there: int, *, planned: bool = False) -> str:
    """Return `12 annotations added, 3 there already`."""
    return f"{count_of(added, 'annotation')} {'to add' if planned else 'added'}, {there} there already"


def annotations_error(slide: str, missing: int, error: str) -> str:
    """Return `annotations of a.svs (2 are missing): ...`; no number where it is not known."""
    how_many = f" ({missing} {'is' if missing == 1 else 'are'} missing)" if missing else ""
    return f"annotations of {slide}{how_many}: {error}"
