"""Run `pmarep push`, `verify` and `sites test` as processes, with a source, a site book and a state folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pytest

from pmacore_sandbox import Sandbox
from support.events_schema import check_event
from support.fork_server import PATIENCE, USUAL_ENVIRONMENT, LatePatch, Process, start

NO_WAITING = {"push": ("--settle", "--patience"), "verify": ("--patience",)}

NO_PAUSES = LatePatch("import pmarep.retry\npmarep.retry.backoff = lambda attempt: 0.0")
"""A patch for what is tried in vain."""

_SAY_PEAK = LatePatch("""
import atexit, re, sys
from pathlib import Path
def say_peak():
    kib = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]
    sys.stderr.write(f"\\n{int(kib) * 1024}")
atexit.register(say_peak)
""")
"""A patch where Linux counts the peak of each process alone, also of one that was forked."""

# Elsewhere by a small process of its own: at its start, a child's peak is what its parent has.
_MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
sys.stderr.write("\\n" + str(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Result:
    """How one command ended."""

    code: int
    stdout: str
    stderr: str

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The lines of `--json`; every one has to be as `docs/events.schema.json` says."""
        found = [json.loads(line) for line in self.stdout.splitlines()]
        for event in found:
            check_event(event)
        return found

    @property
    def lines(self) -> list[str]:
        """What is said to people, without the times."""
        return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", line) for line in self.stdout.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        """The last event, which has to be the summary and to agree with the exit code."""
        last = self.events[-1]
        assert last["event"] == "summary"
        assert last["exit_code"] == self.code
        return last

    def finished(self, site: str) -> dict[str, dict[str, Any]]:
        """`slide_finished` events of one site by slide."""
        found = [e for e in self.events if e["event"] == "slide_finished" and e["site"] == site]
        assert len({e["slide"] for e in found}) == len(found)
        return {e["slide"]: e for e in found}

    def counts(self, site: str) -> tuple[int, int, int]:
        """Slides sent, skipped and failed, as the summary has them."""
        of = self.summary["sites"][site]
        return of["sent"], of["skipped"], of["failed"]

    def not_begun(self, site: str) -> int:
        """Slides that the run has left for the next one."""
        number: int = self.summary["sites"][site]["not_begun"]
        return number


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of, such as a row in a journal that another process writes."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        pause.wait(0.02)


class Running:
    """A command that is still running; its lines can be waited for. Killed at the end of the block."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self._errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def lines(self) -> list[str]:
        """What has come on stdout so far."""
        return list(self._lines)

    def _read(self, stream: IO[str] | None, into: list[str]) -> None:
        assert stream is not None
        with stream:
            for line in stream:
                with self._changed:
                    into.append(line)
                    self._changed.notify_all()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], count: int = 1) -> None:
        """Until `count` events of `--json` are such; `wanted` is asked once about each."""
        looked_at = found = 0

        def seen() -> bool:
            nonlocal looked_at, found
            new = self._lines[looked_at:]
            looked_at += len(new)
            found += sum(wanted(json.loads(line)) for line in new)
            return found >= count

        with self._changed:
            assert self._changed.wait_for(seen, PATIENCE), f"never came; so far: {self._lines} {self._errors}"

    def wait_for_words(self, words: str) -> None:
        """Until a line has these words, on stdout or stderr."""

        def seen() -> bool:
            return any(words in line for line in [*self._lines, *self._errors])

        with self._changed:
            assert self._changed.wait_for(seen, PATIENCE), f"never came; so far: {self._lines} {self._errors}"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def result(self) -> Result:
        """Wait until it has ended; a test fails with its last lines if it does not."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            last = "".join([*self._lines[-40:], *self._errors[-40:]])
            pytest.fail(f"pmarep has not ended after {PATIENCE:.0f} s; its last lines:\n{last}")
        for reader in self._readers:
            reader.join(PATIENCE)
        return Result(code, "".join(self._lines), "".join(self._errors))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)


class PushCli:
    """Runs the real command: `cli.site("tokyo", sandbox)`, `cli.push("--sites", "tokyo")`.

    `patch` is in all its commands, and comes before their own; only `push_measured` does without.
    """

    def __init__(self, folder: Path, patch: LatePatch | None = None) -> None:
        self._patch = patch
        self.source = folder / "cases"
        self.source.mkdir(parents=True)
        self.state = folder / "state"
        self.book = folder / "sites.toml"
        self.names: list[str] = []
        no_proxy = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.environment = {**no_proxy, **USUAL_ENVIRONMENT, "NO_PROXY": "*"}

    def site(self, name: str, at: Sandbox | str, target: str = "Slides/in", password: str = "", **keys: Any) -> None:
        """Add a site to the book; `at` is a sandbox, or the url of something else. It allows label images."""
        url, user = (at, "seeder") if isinstance(at, str) else (at.url, at.settings.user)
        table = {"url": url, "username": user, "target": target, "label_images": "allow", **keys}
        lines = [f"[sites.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), "", ""]
        with self.book.open("a", encoding="utf-8") as book:
            book.write("\n".join(lines))
        secret = password or (at.settings.password if isinstance(at, Sandbox) else "none")
        self.environment[f"PMAREP_PASSWORD_{name.upper()}"] = secret
        self.names.append(name)

    def arguments(self, *extra: str, source: Path | None = None, command: str = "push") -> list[str]:
        """Those of a push to all sites, unless `extra` names some.

        Unless told otherwise it does not wait for anything: tests write their slides just before, and mean it when a
        server is down.
        """
        waits = [word for option in NO_WAITING[command] if option not in extra for word in (option, "0")]
        sites = [] if "--sites" in extra else ["--sites", ",".join(self.names)]
        folders = ["--config", str(self.book), "--state-dir", str(self.state)]
        return [command, str(source or self.source), *sites, *folders, *waits, *extra]

    def command(self, *extra: str) -> list[str]:
        """The whole command of a push, for tests that start it themselves."""
        return [sys.executable, "-m", "pmarep", *self.arguments(*extra)]

    def run(self, *extra: str, source: Path | None = None, patch: str = "", command: str = "push") -> Result:
        """A push with the output that people see. `patch`: Python that runs in the process before all else."""
        return self._result(self.arguments(*extra, source=source, command=command), patch)

    def push(self, *extra: str, source: Path | None = None, patch: str = "") -> Result:
        """A push with `--json`."""
        return self.run("--json", *extra, source=source, patch=patch)

    def verify(self, *extra: str) -> Result:
        """`pmarep verify` with `--json`."""
        return self.run("--json", *extra, command="verify")

    def any(self, *words: str) -> Result:
        """Any command, with the passwords of the sites."""
        return self._result(list(words))

    def sites_test(self, *extra: str) -> Result:
        """`pmarep sites test`."""
        return self._result(["sites", "test", "--config", str(self.book), *extra])

    def _result(self, arguments: list[str], patch: str = "") -> Result:
        with self._running(arguments, patch) as running:
            return running.result()

    def _running(self, arguments: list[str], patch: str) -> Running:
        if self._patch is not None:
            assert not patch or isinstance(patch, LatePatch)
            patch = LatePatch(f"{self._patch}\n{patch}")
        return Running(start(arguments, self.environment, patch=patch))

    def push_measured(self, *extra: str) -> tuple[Result, int]:
        """A push with `--json`, and the most memory that it had, in bytes (not on Windows)."""
        if sys.platform == "linux":
            process = start(self.arguments("--json", *extra), self.environment, patch=_SAY_PEAK)
        else:
            process = subprocess.Popen(
                [sys.executable, "-c", _MEASURE, *self.command("--json", *extra)],
                env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            )  # fmt: skip
        with Running(process) as running:
            result = running.result()
        *errors, peak = result.stderr.split("\n")
        return Result(result.code, result.stdout, "\n".join(errors)), int(peak)

    def start(self, *extra: str, patch: str = "") -> Running:
        """A push with `--json`, not waited for."""
        return self.start_shown("--json", *extra, patch=patch)

    def start_shown(self, *extra: str, patch: str = "") -> Running:
        """A push with the output that people see, not waited for."""
        return self._running(self.arguments(*extra), patch)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder by relative path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def arrived(sandbox: Sandbox, target: str = "Slides/in") -> dict[str, bytes]:
    """What lies in a target folder of a sandbox."""
    return contents(sandbox.data / target)


def transfers(sandbox: Sandbox) -> list[str]:
    """What was announced and sent, as the request log has it: `transfer/...` POSTs."""
    return [r.path for r in sandbox.requests if r.method == "POST" and r.path.startswith("transfer/")]


def files_sent(sandbox: Sandbox) -> list[str]:
    """Announced paths of the files that arrived whole since the log was cleared, in order."""
    sent = [r for r in sandbox.requests if r.method == "POST" and "?path=" in r.path and r.status == 200]
    return [r.path.partition("?path=")[2] for r in sent]


def logins(sandbox: Sandbox) -> int:
    return sum("authenticate" in r.path.lower() and "deauth" not in r.path.lower() for r in sandbox.requests)
