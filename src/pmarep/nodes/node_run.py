"""The run of one node: the engine on the slides of the shards that it is given, and what it says to the coordinator.

It ends by itself when nothing was heard of the coordinator for a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from ..clock import Clock
from ..engine import Options, replicate
from ..engine.audit import NOT_FINISHED, Auditor
from ..engine.run_parts import RunParts
from ..engine.site.worker import BROKEN_OFF
from ..engine.site_workers import SiteWorkers
from ..engine.slide.decide import destination
from ..errors import PmarepError, UsageError, internal_error
from ..events import (
    AnnotationsFinished,
    Event,
    Listener,
    Notice,
    Progress,
    SiteState,
    SlideFinished,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    State,
    Summary,
)
from ..limits import NodeShare
from ..sites import Site
from ..slides import Slide
from ..state.journal_takeover import SlideTakeOver
from ..state.state_folders import node_folder, state_folders
from ..system.private_folder import make_private_folder
from .feed import ShardFeed, ShardSites
from .lease import Lease
from .messages import Message, NodeTask

_SAID = (
    SlideStarted, SlideFinished, SlideRetracted, SlideRestarted, AnnotationsFinished, Notice, SiteState, Progress,
)  # fmt: skip

HELD_SECONDS = 0.2
"""How long known slides wait for something else to be said: nobody sees it, and each message costs."""

MOST_NODES = 1000
"""State folders of nodes on one machine."""


class Voice:
    """Says messages, one for each line. Those of one turn of the event loop go out together.

    What can wait goes out with the next message that cannot, or after HELD_SECONDS: each answer to the coordinator
    costs as much as hundreds of slides.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held: list[Message] = []
        self._known: dict[tuple[str, str], list[int]] = {}  # of messages held after which nothing else was said
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False

    def say(self, message: Message) -> None:
        self._known.clear()
        self._held.append(message)
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self.flush)

    def say_known(self, site: str, numbers: list[int], status: SlideStatus, time: datetime) -> None:
        """Say that nothing had to be done with slides at a site. It can wait."""
        if (site, status) in self._known:
            self._known[site, status] += numbers
            return
        self._known[site, status] = numbers
        self._held.append(
            {"kind": "known", "site": site, "status": status, "time": time.isoformat(), "slides": numbers}
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HELD_SECONDS, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._soon = None, False
        self._known.clear()
        held, self._held = self._held, []
        try:
            self._stream.write(b"".join(json.dumps(message).encode() + b"\n" for message in held))
            self._stream.flush()
        except OSError:
            os._exit(1)  # the worker has gone, and with it whoever would be told


class AuditRelay:
    """Sends the lines of the audit to the coordinator, which has the file."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._auditor = Auditor.here()
        self._said = 0
        self._written = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def record(self, entry: Mapping[str, Any], *, on_disk: bool) -> None:
        """Send a line; `on_disk`: wait until the coordinator has written it."""
        if entry.get("note") == NOT_FINISHED:
            return  # another node may bring the slide, or the coordinator says so
        await self.write(self._auditor.line(entry), on_disk=on_disk)

    async def write(self, line: Mapping[str, Any], *, on_disk: bool) -> None:
        """Send a whole line, as `record` does."""
        self._said += 1
        self._say({"kind": "audit", "line": line, "on_disk": on_disk})
        if on_disk and self._said > self._written:
            done = self._waiting[self._said] = asyncio.get_running_loop().create_future()
            await done

    def written(self, lines: int) -> None:
        """Note that so many lines are in the file."""
        self._written = lines
        for number in [number for number in self._waiting if number <= lines]:
            if not self._waiting[number].done():
                self._waiting[number].set_result(None)
            del self._waiting[number]

    def close(self) -> None:
        """Do nothing: the coordinator closes the file."""


class NodeRun:
    """One node. `voice` speaks to the coordinator; `hear` gets its messages, in the event loop."""

    def __init__(self, task: NodeTask, sites: list[Site], passwords: Any, state_dir: Path, voice: Voice) -> None:
        self._task = task
        self._options: Options = task.run_options()
        self._sites = sites
        self._passwords = passwords
        self._state_dir = state_dir
        self._voice = voice
        self._share = NodeShare()
        self._audit = AuditRelay(voice.say) if task.audited else None
        self._feed: ShardFeed | None = None
        self._take_over: SlideTakeOver | None = None
        self._workers: SiteWorkers | None = None
        self._confirming: asyncio.Task[None] | None = None
        self._before: list[Message] = []  # came before the feed was there
        self.stop = asyncio.Event()

    def hear(self, message: Message) -> None:
        """Act on a message of the coordinator."""
        kind = message["kind"]
        if kind == "share":
            self._change_share(message)
        elif kind == "audited" and self._audit is not None:
            self._audit.written(message["lines"])
        elif kind == "stop":
            self.stop.set()
        elif self._feed is None:
            self._before.append(message)
        elif kind == "slides":
            self._feed.take(message)
        elif kind == "differ":
            self._feed.judge(message["same"])
        elif kind == "finish":
            self._feed.finish()

    def _change_share(self, message: Message) -> None:
        """Become another part of the limits, and say so once no more than that is in use."""
        if self._confirming is not None:
            self._confirming.cancel()
        self._share.change(message["number"], message["count"])

        async def confirm() -> None:
            await self._share.wait_until_kept()
            limits = {} if self._workers is None else self._workers.limits()
            self._voice.say({"kind": "share", "change": message["change"], "limits": limits})

        self._confirming = asyncio.create_task(confirm())

    async def run(self) -> None:
        """Run to the end. Its end is said, whatever it is."""
        with ExitStack() as stack:
            state, name = stack.enter_context(_own_state(self._state_dir))
            self._own = state
            stack.callback(self._close)
            self._voice.say({"kind": "ready", "node": f"{platform.node()}/{name}", "machine": platform.node()})
            parts = RunParts(
                producer=self._make_feed,
                workers=self._make_workers,
                audit=lambda _: self._audit,
                choices=ShardSites,
                recorded=False,
                known=self._known,
            )
            summary = await replicate(
                self._options,
                self._sites,
                passwords=self._passwords,
                state_dir=state,
                listener=self._event,
                stop=self.stop,
                parts=parts,
            )
        said = summary.to_dict()
        self._voice.say({"kind": "ended", "sites": said["sites"], "error": summary.error})

    def _close(self) -> None:
        if self._take_over is not None:
            self._take_over.close()

    async def _prepare(self, slides: Sequence[Slide], sites: Collection[str]) -> None:
        """Take over what journals of this machine's other nodes, and of runs without any, know of slides at sites."""
        if self._take_over is None:
            others = [folder.path for folder in state_folders([self._state_dir])]
            self._take_over = SlideTakeOver(self._own, others)
        for site in (site for site in self._sites if site.name in sites):
            paths = [destination(site, self._options.to, slide).path for slide in slides]
            await self._take_over.take(site.url, paths)

    def _make_workers(self, clock: Clock, listener: Listener) -> SiteWorkers:
        self._workers = SiteWorkers(clock, listener, self._share)
        return self._workers

    def _make_feed(self, *arguments: Any) -> ShardFeed:
        self._feed = ShardFeed(*arguments, said=self._voice.say, prepare=self._prepare)
        before, self._before = self._before, []
        for message in before:
            self.hear(message)
        return self._feed

    def _event(self, event: Event) -> None:
        if isinstance(event, Summary) or not isinstance(event, _SAID):
            return
        if isinstance(event, SiteState):
            if event.state is State.STOPPED and event.reason == BROKEN_OFF:
                return  # nothing is wrong with the site: other nodes go on
            early = any(one.report.ended_early for one in self._workers or () if one.site.name == event.site)
            self._voice.say({"kind": "event", "event": event.to_dict(), "early": early})
            return
        slide = getattr(event, "slide", None)
        if slide is None or self._feed is None:
            self._voice.say({"kind": "event", "event": event.to_dict()})
            return
        self._voice.say({"kind": "event", "number": self._feed.number(slide), "event": event.to_dict()})

    def _known(self, site: str, slides: Sequence[Slide], status: SlideStatus, time: datetime) -> None:
        if self._feed is not None:
            self._voice.say_known(site, self._feed.numbers(slides), status, time)


@contextmanager
def _own_state(state_dir: Path) -> Iterator[tuple[Path, str]]:
    """Hold a state folder that no other node of this machine has now, the first that is free, below the usual one."""
    make_private_folder(state_dir)
    for number in range(1, MOST_NODES):
        folder = node_folder(state_dir, number)
        make_private_folder(folder)
        lock = FileLock(folder / "node.lock", timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            yield folder, folder.name
        finally:
            lock.release()
        return
    raise UsageError(f"{MOST_NODES - 1} nodes have {state_dir} as their state folder; name another with --state-dir")


async def run_node(node: NodeRun, lines: BinaryIO, lease: Lease, voice: Voice, clock: Clock) -> int:
    """Run a node to its end, hearing messages from `lines`; return the exit code of its process.

    Where no line has come for the time of the lease, the run ends, and the process some seconds later in any case.
    """
    loop = asyncio.get_running_loop()
    heard = clock.monotonic()

    def hear(line: bytes) -> None:
        nonlocal heard
        message = json.loads(line)
        if message["kind"] == "heard":
            heard = max(heard, clock.monotonic() - message["ago"])
        else:
            node.hear(message)

    def end() -> None:
        nonlocal heard
        heard = float("-inf")

    def read() -> None:
        for line in lines:
            loop.call_soon_threadsafe(hear, line)
        loop.call_soon_threadsafe(end)  # the worker has ended

    async def watch() -> None:
        while clock.monotonic() - heard < lease.silence:
            await clock.sleep(0.2)
        # A thread, and not the event loop: that may be what hangs.
        threading.Timer(lease.ending, os._exit, [1]).start()
        node.stop.set()

    threading.Thread(target=read, name="pmarep-coordinator", daemon=True).start()
    watching = asyncio.create_task(watch())
    try:
        await node.run()
        code = 0
    except Exception as error:
        code = error.exit_code if isinstance(error, PmarepError) else 1
        words = str(error) if isinstance(error, PmarepError) else internal_error(error)
        voice.say({"kind": "failed", "exit_code": code, "error": words})
    finally:
        watching.cancel()
    voice.flush()
    return code
