"""Hear what nodes say of slides and sites, and say it as one run does: each slide once, each site in one state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ..engine.context import RunContext
from ..events import (
    Event,
    Listener,
    Notice,
    Progress,
    SiteState,
    SlideFinished,
    SlideStarted,
    SlideStatus,
    State,
    VerifiedBy,
)
from ..sites import Site
from .messages import Message, event_of
from .node import Node
from .site_report import NodesSiteReport

_ORDER = (State.RUNNING, State.PAUSED, State.CONNECTING, State.DONE, State.STOPPED)
"""What a site does, where nodes differ: the first of these that is true of any."""


class SiteStopped(Protocol):
    """Hears that a node sends nothing more to a site, and why; `early`: since there is no time left."""

    def __call__(self, node: Node, site: str, why: str, *, early: bool) -> None: ...


class SiteOnNodes:
    """One site of a run, as all nodes together serve it."""

    def __init__(self, site: Site, context: RunContext) -> None:
        self.site = site
        self.report = NodesSiteReport(site, context)
        self.state = State.CONNECTING
        self.sent_before = 0  # bytes that nodes have sent which have ended
        self.done_before = 0


class Accounting:
    """The outcomes of all sites, from what nodes say."""

    def __init__(
        self, sites: Sequence[Site], context: RunContext, listener: Listener, site_stopped: SiteStopped
    ) -> None:
        self.sites = {site.name: SiteOnNodes(site, context) for site in sites}
        self._context = context
        self._listener = listener
        self._site_stopped = site_stopped
        self._notices: set[str] = set()
        self.ending = False
        """True once the run is broken off: that sites end is no news then."""
        self._nodes: dict[str, Node] = {}  # that have said something of a site

    def hear(self, node: Node, message: Message) -> None:
        """Take over what a node says of slides, of a site, or at its end."""
        kind = message["kind"]
        if kind == "known":
            self._known(node, message)
        elif kind == "event":
            event = event_of(message["event"])
            if isinstance(event, SiteState):
                self._site_state(node, event, early=message.get("early", False))
            else:
                self._event(node, event, message.get("number"))
        elif kind == "ended":
            node.finished, node.ended_by = True, message["error"]
            for name, said in message["sites"].items():
                self.sites[name].report.add_run(said, node.failed.get(name, 0))

    def _known(self, node: Node, message: Message) -> None:
        site, status, time = message["site"], SlideStatus(message["status"]), datetime.fromisoformat(message["time"])
        slides = [self._context.slide_list.found(number) for number in message["slides"]]
        for slide in self.sites[site].report.known(slides, status, VerifiedBy.LISTING, time):
            self._listener(
                SlideFinished(time=time, site=site, slide=slide.path, status=status, verified_by=VerifiedBy.LISTING)
            )
        node.note_outcomes(site, message["slides"])

    def _event(self, node: Node, event: Event, number: int | None) -> None:
        if isinstance(event, Progress):
            node.progress[event.site] = event
        elif isinstance(event, Notice):
            if event.text not in self._notices:  # what each node says is said once
                self._notices.add(event.text)
                self._listener(event)
        elif number is not None:
            self._of_slide(node, event, number)

    def _of_slide(self, node: Node, event: Event, number: int) -> None:
        name = str(getattr(event, "site", ""))
        report = self.sites[name].report
        if isinstance(event, SlideStarted) and report.has_outcome(number):
            return
        if report.hear(number, event):
            self._listener(event)
        if isinstance(event, SlideFinished):
            if event.status is SlideStatus.FAILED:
                node.failed[name] = node.failed.get(name, 0) + 1
            node.note_outcomes(name, [number])

    def _site_state(self, node: Node, event: SiteState, *, early: bool) -> None:
        if self.ending:
            return
        node.states[event.site] = event.state
        site = self.sites[event.site]
        if event.state is State.STOPPED:
            site.report.ended_early |= early
            self._site_stopped(node, event.site, event.reason or "", early=early)
        self._nodes[node.key] = node
        self._say_state(site, event)

    def _say_state(self, site: SiteOnNodes, event: SiteState) -> None:
        """Say the state of a site where it is another than before."""
        states = {node.states.get(site.site.name) for node in self._nodes.values() if node.alive}
        state = next((state for state in _ORDER if state in states), State.CONNECTING)
        if state in (State.DONE, State.STOPPED) or site.state is State.STOPPED:
            return  # said once that is true for all nodes, also those to come
        if state is not site.state or (state is event.state and state is State.PAUSED):
            site.state = state
            about = event if event.state is state else SiteState(site=site.site.name, state=state)
            self._listener(about)

    def with_missing_slides(self) -> list[str]:
        """Return the sites that are not given up, and of which slides have no outcome."""
        return [name for name, site in self.sites.items() if site.state is not State.STOPPED and site.report.missing]

    def give_up(self, name: str, why: str) -> None:
        """Say that no node sends to a site any more."""
        site = self.sites[name]
        site.state, site.report.error = State.STOPPED, why
        self._listener(SiteState(site=name, state=State.STOPPED, reason=why))

    def node_ended(self, node: Node) -> None:
        """Keep what a node has counted that has ended."""
        for name, progress in node.progress.items():
            self.sites[name].sent_before += progress.bytes_sent
            self.sites[name].done_before += progress.bytes_done - progress.bytes_under_way
        node.progress = {}

    def tick(self, nodes: Sequence[Node]) -> None:
        """Say how far each site is."""
        for name, site in self.sites.items():
            said = [node.progress[name] for node in nodes if name in node.progress]
            total = self._context.slide_list.bytes - site.report.bytes_skipped
            done = site.done_before + sum(one.bytes_done for one in said)
            self._listener(
                Progress(
                    site=name,
                    bytes_done=min(done, total),
                    bytes_total=total,
                    rate=round(sum(one.rate for one in said), 1),
                    connections=sum(one.connections for one in said),
                    bytes_under_way=sum(one.bytes_under_way for one in said),
                    bytes_sent=site.sent_before + sum(one.bytes_sent for one in said),
                    slides_total=len(self._context.slide_list),
                )
            )

    def close(self, *, complete: bool) -> None:
        """Say that all sites have ended."""
        for name, site in self.sites.items():
            site.report.close()
            if complete and site.state is not State.STOPPED:
                site.state = State.DONE
                self._listener(SiteState(site=name, state=State.DONE))
