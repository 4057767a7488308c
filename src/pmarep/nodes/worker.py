"""What runs in a worker of Dask: a node's process, and the messages to it and from it.

Dask calls these functions by name. They import nothing of the engine: the process has it.

Messages of either direction are numbered from 0. Who asks says how many it has heard; what was not heard is said again,
what was heard before is passed over. So an answer that got lost does no harm.

The coordinator counts as heard at the time of the last answer that it has confirmed: a question that was on its way
for long, or comes twice, says nothing newer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

MOST_MESSAGES = 200
"""In one answer: the coordinator hears them all in one go, and goes on with other nodes in between."""

_COMMAND = [sys.executable, "-m", "pmarep.cli.node"]

_children: dict[str, _Child] = {}
_lock = threading.Lock()


class _Child:
    """A node's process: its messages, and when the coordinator was heard last."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()
        self.answers: tuple[int, float] = 0, self.heard_at  # how many the coordinator has after this one, and its time
        self.taken = 0  # messages of the coordinator that were passed on
        self.first = 0  # number of the first message in `messages`
        self.messages: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.ended = False
        self.asked = threading.Event()
        self.waiting: set[Callable[[], None]] = set()  # are called once there is something to say
        self.passing = threading.Lock()  # a question that came too late for its answer may still be at it
        self.reader = threading.Thread(target=self._read, name="pmarep-node", daemon=True)

    def start(self, task: dict[str, Any]) -> subprocess.Popen[bytes]:
        apart: dict[str, Any] = {"start_new_session": True}  # a Ctrl-C at the terminal is for the coordinator alone
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **apart
        )
        self.process = process
        self.write([json.dumps(task)])
        self.reader.start()
        return process

    def write(self, lines: list[str]) -> None:
        stream = None if self.process is None else self.process.stdin
        if stream is None:
            return
        with suppress(OSError, ValueError):  # it has ended
            stream.write("".join(f"{line}\n" for line in lines).encode())
            stream.flush()

    @property
    def state(self) -> str:
        return "ended" if self.ended else "waiting" if self.process is None else "running"

    def hear(self, confirmed: int) -> None:
        """Note that the coordinator has so many answers, and that the next one is given now."""
        number, at = self.answers
        if confirmed == number:
            self.heard_at = max(self.heard_at, at)
        if confirmed >= number:
            self.answers = confirmed + 1, time.monotonic()

    def _read(self) -> None:
        stream = None if self.process is None else self.process.stdout
        for line in stream or ():
            if line.endswith(b"\n"):  # else it was killed while it said that
                with _lock:
                    self.messages.append(line.decode())
                self._wake()

    def _wake(self) -> None:
        with _lock:
            waiting, self.waiting = self.waiting, set()
        for wake in waiting:
            with suppress(RuntimeError):  # the worker ends, and its event loop has
                wake()

    def close(self) -> None:
        """Note that the process has ended, and let go of its pipes."""
        self.ended = True
        self._wake()
        for stream in (self.process.stdin, self.process.stdout) if self.process is not None else ():
            with suppress(OSError):
                if stream is not None and not self.reader.is_alive():
                    stream.close()


def serve(key: str, task: dict[str, Any]) -> None:
    """Run a node's process to its end: the task that Dask runs. Nothing is started where nobody asks for it."""
    silence, ending, margin, *_ = task["lease"]
    _forget(silence + ending + margin)
    child = _child(key)
    try:
        if not child.asked.wait(silence) or time.monotonic() - child.heard_at > silence:
            return  # the task waited for a free worker, and its coordinator has gone
        process = child.start(task)
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1.0)
                break
            if time.monotonic() - child.heard_at > silence + ending + margin:
                process.kill()
        child.reader.join(ending)
    finally:
        child.close()


def exchange(key: str, confirmed: int, heard: int, first: int, messages: list[str]) -> dict[str, Any]:
    """Pass the coordinator's messages to a node, the first of which has the number `first`; return what it says.

    `confirmed`: how many answers of the node the coordinator has. `heard`: how many of its messages. `state` is
    `waiting` until the process is there, and `ended` after its end. Of a node that nobody here knows it is `waiting`
    too: its task may come. It is `unknown` where another worker had this address when the node gave its last answer: of
    what became of that node nothing is known here, and no other is started in its place.
    """
    child = _child(key)
    if confirmed > child.answers[0]:
        return {"state": "unknown", "taken": 0, "first": heard, "messages": []}
    child.hear(confirmed)
    child.asked.set()
    if child.process is not None:
        with child.passing:
            new = messages[max(child.taken - first, 0) :]
            child.taken = max(child.taken, first + len(messages))
            child.write([json.dumps({"kind": "heard", "ago": time.monotonic() - child.heard_at}), *new])
    with _lock:
        del child.messages[: max(heard - child.first, 0)]
        child.first = max(child.first, heard)
        return {
            "state": child.state,
            "taken": child.taken,
            "first": child.first,
            "messages": child.messages[:MOST_MESSAGES],
        }


async def exchange_soon(
    key: str, confirmed: int, heard: int, first: int, messages: list[str], seconds: float
) -> dict[str, Any]:
    """Do as `exchange` does, but wait up to `seconds` until there is something to say."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    # In a thread: a process that does not read would hold up the worker.
    answer = await loop.run_in_executor(None, exchange, key, confirmed, heard, first, messages)
    if answer["messages"] or answer["state"] != "running":
        return answer
    child = _child(key)

    def wake() -> None:
        loop.call_soon_threadsafe(news.set)

    with _lock:
        if child.messages or child.ended:
            news.set()
        child.waiting.add(wake)
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), seconds)
    with _lock:
        child.waiting.discard(wake)
        return {**answer, "messages": child.messages[:MOST_MESSAGES], "first": child.first, "state": child.state}


def _child(key: str) -> _Child:
    with _lock:
        return _children.setdefault(key, _Child())


def _forget(seconds: float) -> None:
    """Forget the nodes that have ended, and whose coordinators were not heard for so long."""
    with _lock:
        for key, child in list(_children.items()):
            if child.ended and time.monotonic() - child.heard_at > seconds:
                del _children[key]
