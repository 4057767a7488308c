"""The program of a fork server: import pmarep, fork at each request, and be the command in the child.

Arguments: the number of the socket on which requests come, and what to import: `pmarep`; `demo`, which is pmarep with
its demo and the sandbox; or `libraries`, to leave pmarep itself to the child, which runs a patch before it. A request
is one message: `[arguments, environment, folder, patch, leads a process group]` in JSON, and four files: stdin, stdout,
stderr, and a socket that gets the pid and the wait status, eight bytes each.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

_LATE = (
    *("anyio._backends._asyncio", "anyio._core._synchronization", "encodings.utf_8_sig", "platformdirs", "sniffio"),
    *("typer._adapters", "typer._click.decorators", "typer.rich_utils", "rich.markdown", "rich._emoji_codes"),
    *("_strptime", "ctypes", "resource"),
)
"""Modules that libraries import when they are first used. Not every version of them has all."""


def import_all(what: str) -> None:
    """Import pmarep, and so all libraries that it uses; and forget it again where `what` is only the libraries."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as the command does before it imports httpx
    modules = pkgutil.walk_packages(importlib.import_module("pmarep").__path__, "pmarep.")
    for name in (*(module.name for module in modules), *_LATE):
        if name != "pmarep.__main__" and (what == "demo" or not name.startswith("pmarep.demo")):
            with contextlib.suppress(ImportError):  # of other systems
                importlib.import_module(name)
    if what != "libraries":
        build_parsers()
    else:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pmarep"]:
            del sys.modules[name]
    gc.collect()
    gc.freeze()


def build_parsers() -> None:
    """Have typer make its parsers of all commands once, and not in each child: half of what a short push costs."""
    import typer.main

    from pmarep.cli.app import app

    typer.main.get_command = functools.cache(typer.main.get_command)
    commands = [typer.main.get_command(app)]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            # What checks the values of a parameter, in versions of typer that make it when a value is there.
            getattr(parameter, "get_runtime_param", object)()


def serve(channel: socket.socket) -> str | None:
    """Fork at each request. Returns in each child, which is told by then, with its patch; None when the tests end."""
    running: dict[int, int] = {}
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([channel.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 12)
            report_ended(running)
        if channel.fileno() not in ready:
            continue
        request, files, _, _ = socket.recv_fds(channel, 1 << 20, 4)
        if not request:
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel.close()
            for file in (woken, wake, files[3], *running.values()):
                os.close(file)
            return become(request, files[:3])
        for file in files[:3]:
            os.close(file)
        os.write(files[3], struct.pack("q", pid))
        running[pid] = files[3]


def report_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        file = running.pop(pid)
        try:
            os.write(file, struct.pack("q", status))
        except BrokenPipeError:
            pass  # its test has ended
        finally:
            os.close(file)


def become(request: bytes, files: list[int]) -> str:
    arguments, environment, folder, patch, leads_group = json.loads(request)
    if leads_group:
        os.setpgid(0, 0)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder  # as `python -m` has it, and not the folder of this script
    sys.argv = [str(Path(importlib.util.find_spec("pmarep").origin).with_name("__main__.py")), *arguments]  # type: ignore
    sys.modules["__main__"].__package__ = "pmarep"
    return str(patch)


def end(code: int) -> None:
    """End the process as Python does, except that it does not take its modules apart, which costs as much as a push.

    Threads are waited for, exit handlers run, what nobody refers to any more is destroyed. Where a stream cannot be
    flushed this returns: Python says so then.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


def main() -> str | None:
    import_all(sys.argv[2])
    return serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    patch = main()
    if patch is not None:
        exec(patch, {"__name__": "__main__"})
        from pmarep.cli import main as pmarep

        try:
            pmarep()
        except SystemExit as asked:
            if isinstance(asked.code, int):
                end(asked.code)
            raise
