"""Show the tasks and the frames of ours behind the first byte of a slide: how many hops it is from a push to the wire.

    .venv/bin/python benchmarks/frames.py [filesystem|s3|azure]

Pushes one small slide of the demo to a sandbox, and stops where the HTTP client asks for the first piece of its body.
Counted are the functions of `src/pmarep` that are being run then: in the task that sends, in the tasks that wait for
it, in those that wait for these, and so on up to the command. Not counted are functions of libraries, and tasks that
wait for something else (the dispatcher, the prefilter, the ticker).

Fails where there are more than CEILINGS, which tests/integration/test_frames.py sees to. Before you raise one, see
whether what you have put in between can be a block (`async with`) of the function that needs it.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import pmarep
from pmarep.aio import TaskPool
from pmarep.cli import main
from pmarep.demo.environment import DemoEnvironment
from pmarep.uploaders import UploadBody

OURS = str(Path(pmarep.__file__).parent)
CEILINGS = {"filesystem": (15, 3), "s3": (17, 4), "azure": (17, 4)}
"""Frames and tasks, by storage kind."""


def frames_of(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return the frames of a task, the outermost first."""
    if task is asyncio.current_task():
        return list(running_frames(sys._getframe()))[::-1]
    found, at = [], task.get_coro()
    while (frame := getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None)) is not None:
        found.append(frame)
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
    return found


def running_frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None and frame.f_code.co_name != "_run_once":  # of asyncio's event loop
        yield frame
        frame = frame.f_back


def waiting_for(future: asyncio.Future[Any]) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that wait for a future, be it by way of asyncio.wait, asyncio.gather or a TaskPool."""
    for callback, _ in future._callbacks or ():  # type: ignore[attr-defined]
        function = callback.func if isinstance(callback, functools.partial) else callback
        owner = getattr(function, "__self__", None)
        if isinstance(owner, asyncio.Task):
            yield owner
        elif isinstance(owner, TaskPool) and owner._wake is not None:
            yield from waiting_for(owner._wake)
        for cell in getattr(function, "__closure__", None) or ():
            if isinstance(cell.cell_contents, asyncio.Future) and cell.cell_contents is not future:
                yield from waiting_for(cell.cell_contents)


def show() -> tuple[int, int]:
    """Print the task that runs, and those that wait for it: the outermost first. Return the frames and the tasks."""
    chain, at = [], asyncio.current_task()
    while at is not None and at not in chain:
        chain.insert(0, at)
        at = next(waiting_for(at), None)
    count = 0
    for number, task in enumerate(chain, 1):
        print(f"task {number}")
        for frame in frames_of(task):
            path = frame.f_code.co_filename
            if path.startswith(OURS):
                count += 1
                print(f"  {count:2}  {path.removeprefix(OURS)[1:]}:{frame.f_lineno}  {frame.f_code.co_qualname}")
    print(f"{count} frames in {len(chain)} tasks")
    return count, len(chain)


def run(kind: str) -> tuple[int, int]:
    """Push a slide to a root-directory of this kind; return the frames and the tasks behind its first byte."""
    shown: list[tuple[int, int]] = []
    stream = UploadBody.stream

    async def first(body: UploadBody, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        if not shown:
            shown.append(show())
        async with aclosing(stream(body, chunks)) as pieces:
            async for piece in pieces:
                yield piece

    with DemoEnvironment(kind, side=256, rates={"site": None}) as demo, tempfile.TemporaryDirectory() as folder:
        demo.write_slides()
        demo.start_servers()
        command = ["push", str(demo.source / "skin.svs"), "--sites", "site", "--quiet", "--settle", "0"]
        command += ["--config", str(demo.book), "--state-dir", folder]
        with (
            patch.dict(os.environ, demo.environ),
            patch.object(UploadBody, "stream", first),
            patch.object(sys, "argv", ["pmarep", *command]),
            suppress(SystemExit),
        ):
            main()
    return shown[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", default="filesystem", choices=CEILINGS)
    kind = parser.parse_args().kind
    frames, tasks = CEILINGS[kind]
    found = run(kind)
    if found[0] > frames or found[1] > tasks:
        sys.exit(f"more than {frames} in {tasks}")
