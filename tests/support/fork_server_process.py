"""The program of a fork server: import pmarep, fork at each request, and be the command in the child.

Arguments: the number of the socket on which requests come, and `pmarep`, or `libraries` to leave pmarep itself to the
child, which runs a patch before it. A request is one message: `[arguments, environment, folder, patch]` in JSON, and
four files: stdin, stdout, stderr, and a socket that gets the pid and the wait status, eight bytes each.
"""

from __future__ import annotations

import contextlib
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
from pathlib import Path


def import_all(*, ours: bool) -> None:
    """Import pmarep, and so all libraries that it uses; and forget it again unless it is wanted."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as the command does before it imports httpx
    for module in pkgutil.walk_packages(importlib.import_module("pmarep").__path__, "pmarep."):
        if not module.name.startswith(("pmarep.demo", "pmarep.__main__")):
            with contextlib.suppress(ImportError):  # of other systems
                importlib.import_module(module.name)
    if not ours:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pmarep"]:
            del sys.modules[name]
    gc.collect()
    gc.freeze()


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
    arguments, environment, folder, patch = json.loads(request)
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


def main() -> str | None:
    import_all(ours=sys.argv[2] == "pmarep")
    return serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    patch = main()
    if patch is not None:
        exec(patch, {"__name__": "__main__"})
        from pmarep.cli import main as pmarep

        pmarep()
