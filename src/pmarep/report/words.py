"""What a report calls things: a push sends slides to the sites, a pull gets them from there."""

from __future__ import annotations

from typing import NamedTuple

from .model import Report


class Words(NamedTuple):
    """The words of a report that are others for a pull. `whole`: where a slide is when nothing is missing."""

    title: str
    whole: str
    there: str
    gets: str
    moved: str
    again: str
    refused: str
    unlisted: str
    in_source: str


_PUSH = Words(
    "Push",
    "at every site",
    "there",
    "sends",
    "sent",
    "sends it to the sites that miss it",
    "push",
    "in the source could not be sent",
    "In the source, and not sent",
)
_VERIFY = _PUSH._replace(title="Verification")
_PULL = Words(
    "Pull",
    "here",
    "here",
    "gets",
    "pulled",
    "gets it",
    "pull",
    "at the sites could not be looked at",
    "At the sites, and not looked at",
)


def words_of(report: Report) -> Words:
    """Return the words for what a report is about."""
    return {"push": _PUSH, "pull": _PULL}.get(report.run.about["command"], _VERIFY)
