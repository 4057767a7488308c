"""Start `pmarep` by forking a process that has imported it already: a tenth of what a new Python takes to start.

What runs is a process of its own all the same: with its own signals, standard streams, environment, exit code and end
of the interpreter. Only the imports are not its own. Where that may matter, and where nothing can be forked, a new
Python is started; `PMAREP_TESTS_FORK=0` does so everywhere.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO

PATIENCE = 240.0
"""Seconds after which a test gives up waiting; nothing takes nearly as long."""

_FORKS = sys.platform == "linux" and os.environ.get("PMAREP_TESTS_FORK") != "0"
_READ_LATE = (
    *("PMAREP_", "_PMAREP_COMPLETE", "COMP_", "PYTHON_KEYRING_BACKEND", "TEST_KEYRING", "PYTEST_", "COLUMNS", "LINES"),
    *("TERM", "NOTIFY_SOCKET", "WATCHDOG_", "SSL_CERT_"),
    *("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TMPDIR", "TEMP"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""Beginnings of variables that no import looks at, so that a fork may have other values than its server."""

_MOST_SERVERS = 6

USUAL_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")])),
}
"""What most tests set for their commands: `file_keyring` can be imported. Where all is the same, one server does."""


class LatePatch(str):
    """A patch that may run when pmarep is imported: no module has a name of its own for what it replaces."""

    __slots__ = ()


class ForkedProcess:
    """A process that a fork server has started, as far as tests use `subprocess.Popen`."""

    def __init__(self, pid: int, status: socket.socket, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(stdout, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(stderr, encoding="utf-8")
        self._status = status

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float = PATIENCE) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"pmarep, process {self.pid}", timeout)
        return code

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(_number(self._status))
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = ForkedProcess | subprocess.Popen[str]


class _ForkServer:
    """A process that has imported `what`: only `libraries`, or `pmarep` too, or also its `demo`."""

    def __init__(self, environment: Mapping[str, str], what: str) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = Path(__file__).with_name("fork_server_process.py")
        with theirs:
            number = theirs.fileno()
            arguments = [sys.executable, str(program), str(number), what]
            # Pipes, as the children have them: Python's streams keep what they have found out about their files.
            self._process = subprocess.Popen(
                arguments, env=environment, pass_fds=[number],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip

    def start(self, request: Sequence[object], stdin: int, stdout: int | None, terminal: int | None) -> ForkedProcess:
        status, their_status = socket.socketpair()
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        theirs = [their_out, their_err, their_status.detach()]
        written = their_out if stdout is None else stdout
        streams = [stdin, written, their_err] if terminal is None else [terminal] * 3
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], [*streams, theirs[2]])
        finally:
            for file in theirs:
                os.close(file)
        try:
            return ForkedProcess(_number(status), status, out, err)
        except struct.error:
            raise RuntimeError(f"the fork server has ended: {self._process.communicate()}") from None

    def close(self) -> None:
        self._channel.close()
        self._process.communicate(timeout=PATIENCE)


def _number(status: socket.socket) -> int:
    (number,) = struct.unpack("q", status.recv(8, socket.MSG_WAITALL))
    return int(number)


_servers: dict[tuple[frozenset[tuple[str, str]], str], _ForkServer] = {}


@atexit.register
def _close_all() -> None:
    while _servers:
        _servers.popitem()[1].close()


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    patch: str = "",
    own_group: bool = False,
    terminal: int | None = None,
) -> Process:
    """Start `pmarep` with these arguments. `patch` is Python that runs in the process before pmarep is imported.

    stdout and stderr are pipes that the caller has to read; `stdin` is an open file, and `stdout` may be one.
    `own_group`: the process leads a process group, as a shell's job does. `terminal`: an open file that stdin, stdout
    and stderr are instead.
    """
    fixed = {name: value for name, value in environment.items() if not name.startswith(_READ_LATE)}
    whole = "demo" if arguments[:1] == ["demo"] else "pmarep"
    key = (frozenset(fixed.items()), whole if isinstance(patch, LatePatch) or not patch else "libraries")
    if not _FORKS or (key not in _servers and len(_servers) == _MOST_SERVERS):
        how = ["-c", f"{patch}\nfrom pmarep.cli import main\nmain()"] if patch else ["-m", "pmarep"]
        return subprocess.Popen(
            [sys.executable, *how, *arguments],
            env=environment, cwd=folder, stdin=stdin if terminal is None else terminal,
            stdout=(subprocess.PIPE if stdout is None else stdout) if terminal is None else terminal,
            stderr=subprocess.PIPE if terminal is None else terminal,
            encoding="utf-8", process_group=0 if own_group else None,
        )  # fmt: skip
    if key not in _servers:
        _servers[key] = _ForkServer(fixed, key[1])
    with Path(os.devnull).open("rb") as nothing:
        file = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
        request = [list(arguments), dict(environment), str(folder or Path.cwd()), patch, own_group]
        return _servers[key].start(request, file, stdout, terminal)


_NODE = LatePatch("from pmarep.cli.node import main\nmain()")  # which ends its process itself


class NodeProcess:
    """The process of a node, as far as `subprocess.Popen[bytes]` is used for one; what it says on stderr is dropped."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        readable, writable = os.pipe()
        with os.fdopen(readable, "rb") as stdin:
            self._process = start([], environment, stdin=stdin.fileno(), patch=_NODE, own_group=True)
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.stdin: IO[bytes] = os.fdopen(writable, "wb")
        self.stdout: IO[bytes] = self._process.stdout.buffer  # type: ignore[attr-defined]

    def wait(self, timeout: float = PATIENCE) -> int:
        code = self._process.wait(timeout)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code

    def kill(self) -> None:
        self._process.kill()


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    text: str = "",
    patch: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run `pmarep` with these arguments, and with `text` as its input, to its end."""
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as stdin, os.fdopen(writable, "wb") as input_pipe:
        assert len(text) < select.PIPE_BUF  # so that nobody has to read it at the same time
        input_pipe.write(text.encode())
        input_pipe.close()
        process = start(arguments, environment, folder=folder, stdin=stdin.fileno(), patch=patch)
    return subprocess.CompletedProcess(list(arguments), *finish(process))


def run_at_terminal(
    arguments: Sequence[str], environment: Mapping[str, str], typed: bytes = b"", *, folder: Path | None = None,
    patch: str = "",
) -> tuple[int, str]:  # fmt: skip
    """Run `pmarep` at a terminal, where `typed` waits to be read, to its end. Return its code and what was seen."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    os.write(ours, typed)
    process = start(arguments, environment, folder=folder, patch=patch, terminal=theirs)
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how Linux says that nobody has the other side any more
        while piece := os.read(ours, 4096):
            seen += piece
    os.close(ours)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return process.wait(PATIENCE), seen.decode().replace("\r\n", "\n")


def finish(process: Process) -> tuple[int, str, str]:
    """Wait for the end of a process; return its exit code and what is left to read of its stdout and stderr."""
    assert process.stderr is not None
    with ThreadPoolExecutor(1) as reader, process.stdout or nullcontext(), process.stderr:
        try:
            errors = reader.submit(process.stderr.read)
            output = process.stdout.read() if process.stdout is not None else ""
            return process.wait(PATIENCE), output, errors.result(PATIENCE)
        finally:
            process.kill()
