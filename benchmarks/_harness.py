"""Tools that all benchmarks share: slides, servers in processes of their own, runs with what they cost, tables.

Linux only: costs are read from /proc. Keep this module's imports light: at its start a child has its parent's peak.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
TARGET = "Slides/in"
MB = 1_000_000
PART_SIZE = 8 * 1024**2
SHM = Path("/dev/shm")
_BLOCK = os.urandom(1 << 20)


# Slides


def write(path: Path, size: int, *, sparse: bool = False) -> None:
    """Write a file of `size` random bytes (with `sparse`, 1 MiB and a hole), that was changed an hour ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, min(size, len(_BLOCK)) if sparse else size, len(_BLOCK)):
            file.write(_BLOCK[: size - start])
        file.truncate(size)
    age(path)


def age(path: Path) -> None:
    """Set the time of change to an hour ago: pmarep would wait for a file of just now, which could still grow."""
    then = time.time() - 3600
    os.utime(path, (then, then))


def write_mirax(main: Path, size: int, data_files: int = 20) -> None:
    """Write a MIRAX slide of `size` bytes in `data_files` data files, with a small index and main file, as usual."""
    names = [f"Data{number:04}.dat" for number in range(data_files)]
    files = "".join(f"FILE_{number}={name}\r\n" for number, name in enumerate(names))
    ini = f"[HIERARCHICAL]\r\nINDEXFILE=Index.dat\r\n[DATAFILE]\r\nFILE_COUNT={data_files}\r\n{files}"
    folder = main.with_suffix("")
    write(main, 40_000)
    write(folder / "Index.dat", 200_000)
    (folder / "Slidedat.ini").write_text(ini)
    age(folder / "Slidedat.ini")
    for name in names:
        write(folder / name, max(1, (size - 240_000) // data_files))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# Servers


class Site:
    """One server: `_site.py` in a process of its own. `report` is filled when the block has ended."""

    def __init__(
        self, name: str, kind: str, folder: Path, *, host: str = "127.0.0.1", namespace: str | None = None,
        part_size: int = PART_SIZE, holds: Path | None = None, data: Path | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.password = secrets.token_hex(8)
        self.report: dict[str, Any] = {}
        self.url = ""
        self.storage = ""  # base URL of the nginx that takes PUTs
        self._spool = Path(tempfile.mkdtemp(prefix="pmarep-bench-", dir=SHM if SHM.is_dir() else None))
        own = folder / f"server-{name}"
        self._command = [*in_namespace(namespace), sys.executable, str(HERE / "_site.py"), kind]
        self._command += ["--folder", str(own), "--spool", str(self._spool), "--host", host]
        self._command += ["--password", self.password, "--part-size", str(part_size)]
        self._command += ["--holds", str(holds)] if holds else []
        self._command += ["--data", str(data)] if data else []

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        hello = json.loads(self._line() or "{}")
        if not hello:
            sys.exit(f"the server of {self.name} did not start")
        self.url, self.storage = hello["url"], hello["storage"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self.report = json.loads(self._line() or "{}")
        self._process.wait()
        shutil.rmtree(self._spool, ignore_errors=True)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def in_namespace(name: str | None) -> list[str]:
    return [] if name is None else ["ip", "netns", "exec", name]


# The client


@dataclass
class Run:
    """A command that has ended, in seconds and bytes; `events` of --json with the second since the start they came at.

    `read` counts what it asked of files with read(2) and its relatives (`rchar` of /proc/PID/io): pages of the cache
    count too, and so do its own modules and journal; recv(2) of sockets does not.
    """

    code: int
    seconds: float
    cpu: float
    peak: int
    read: int
    started: float  # time.time()
    events: list[tuple[float, dict[str, Any]]] = field(repr=False)
    spool: int = 0  # the largest that a spool in the state folder was, seen four times a second

    @property
    def sites(self) -> dict[str, dict[str, Any]]:
        last = self.events[-1][1] if self.events else {}
        if self.code != 0:
            errors = sorted({event["error"] for _, event in self.events if event.get("error")})
            sys.exit(f"the client failed ({self.code}): {errors or json.dumps(last)[:2000]}")
        sites: dict[str, dict[str, Any]] = last["sites"]
        return sites

    def done_at(self, site: str) -> float:
        """Return the seconds from the start of the process until this site had everything, verified."""
        return next(
            at for at, e in self.events if e["event"] == "site_state" and (e["site"], e["state"]) == (site, "done")
        )

    def first(self, event: str, site: str) -> float:
        return next(at for at, e in self.events if e["event"] == event and e["site"] == site)


class SpoolSize:
    """Sampler of the files without a name that a process has open in a folder. `most`: their bytes, at the most."""

    def __init__(self, pid: int, folder: Path | None) -> None:
        self.most = 0
        self._files = Path(f"/proc/{pid}/fd")
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        if self._folder is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._folder is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            with contextlib.suppress(OSError):  # the process has ended, or closes a file just now
                self.most = max(self.most, sum(map(self._size, self._files.iterdir())))

    def _size(self, file: Path) -> int:
        name = str(file.readlink())
        if not name.startswith(f"{self._folder}/") or not name.endswith(" (deleted)"):
            return 0
        return file.stat().st_blocks * 512


def measure(
    command: Sequence[str], environment: dict[str, str], events: bool = True, *, spool: Path | None = None
) -> Run:
    """Run a command to its end and return what it cost. It inherits stderr. `spool`: its spool's folder."""
    started, start = time.time(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    with SpoolSize(process.pid, spool) as size:
        lines = [(time.perf_counter() - start, line) for line in process.stdout]
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but /proc still knows it
    seconds = time.perf_counter() - start
    io = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        code=process.returncode,
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss * 1024,
        read=int(io["rchar"]),
        started=started,
        events=[(at, json.loads(line)) for at, line in lines] if events else [],
        spool=size.most,
    )


def measure_at_once(
    commands: Mapping[str, Sequence[str]], environments: Mapping[str, dict[str, str]]
) -> dict[str, Run]:
    """Run several commands at the same time and return what each of them cost."""
    with ThreadPoolExecutor(len(commands)) as pool:
        runs = {name: pool.submit(measure, command, environments[name], False) for name, command in commands.items()}
        return {name: run.result() for name, run in runs.items()}


class Client:
    """The pushing machine: a folder of slides, a site book, a state folder."""

    def __init__(self, folder: Path, namespace: str | None = None) -> None:
        self.folder = folder
        self.source = folder / "cases"
        self.source.mkdir(exist_ok=True)
        self.book = folder / "sites.toml"
        self.state = folder / "state"
        self._namespace = namespace
        self.environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.environment |= {"NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}

    def sites(self, sites: Iterable[Site], **keys: Any) -> None:
        """Write the site book; `keys` are set for every site."""
        tables = []
        for site in sites:
            table = {"url": site.url, "username": "seeder", "target": TARGET, **keys}
            tables += [f"[sites.{site.name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
            self.environment[f"PMAREP_PASSWORD_{site.name.upper()}"] = site.password
        self.book.write_text("\n".join(tables))

    def command(self, *options: str, python: Sequence[str] = ()) -> list[str]:
        """Return the command of a push to all sites of the book, unless `options` name some."""
        where = ["--config", str(self.book), "--state-dir", str(self.state)]
        start = [sys.executable, *python, "-m", "pmarep"]
        sites = [] if "--sites" in options else ["--sites", "*"]
        return [*in_namespace(self._namespace), *start, "push", str(self.source), *sites, *where, *options]

    def copy(self, place: str, sites: Iterable[Site], *options: str, python: Sequence[str] = ()) -> Run:
        """Run a copy from a place of the book to these sites with --json."""
        where = ["--config", str(self.book), "--state-dir", str(self.state)]
        names = ",".join(site.name for site in sites)
        command = [sys.executable, *python, "-m", "pmarep", "copy", place, "--sites", names, *where, "--json", *options]
        return measure([*in_namespace(self._namespace), *command], self.environment, spool=self.state)

    def push(self, *options: str, python: Sequence[str] = ()) -> Run:
        """Run a push with --json. If it did not bring everything, looking at its `sites` ends the benchmark."""
        return measure(self.command("--json", *options, python=python), self.environment)

    def profile(self, *options: str) -> None:
        """Run a push under cProfile (which slows it down) and print where its main thread spends CPU time."""
        file = self.folder / "profile"
        run = self.push(*options, python=[str(HERE / "_profile.py"), str(file)])
        assert run.sites
        print(cost(run), flush=True)
        code = f"import pstats; pstats.Stats({str(file)!r}).strip_dirs().sort_stats('tottime').print_stats(30)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def official(self, sites: Sequence[Site]) -> dict[str, Run]:
        """Send the same slides by pma_python, one process per site, all at once."""
        start = [*in_namespace(self._namespace), sys.executable, str(HERE / "_official.py")]
        commands = {site.name: [*start, site.url, TARGET, str(self.source)] for site in sites}
        passwords = {site.name: {**self.environment, "PASSWORD": site.password} for site in sites}
        runs = measure_at_once(commands, passwords)
        if any(run.code for run in runs.values()):
            sys.exit("the official client failed")
        return runs

    def pull(self, sites: Sequence[Site], folder: Path) -> Run:
        """Pull everything from all sites into a folder, with --json."""
        command = [sys.executable, "-m", "pmarep", "pull", *(f"{site.name}:" for site in sites), str(folder)]
        command += ["--config", str(self.book), "--json"]
        return measure([*in_namespace(self._namespace), *command], self.environment)

    def official_pull(self, site: Site, folder: Path, slides: int) -> Run:
        """Download the last slides of a site by pma_python, one after the other."""
        start = [*in_namespace(self._namespace), sys.executable, str(HERE / "_official_pull.py")]
        run = measure(
            [*start, site.url, TARGET, str(folder), str(slides)], {**self.environment, "PASSWORD": site.password}, False
        )
        if run.code:
            sys.exit("the official client failed")
        return run

    @contextlib.contextmanager
    def downloading(self, site: Site, place: str, rate: int) -> Iterator[None]:
        """Download slides from a site by curl as long as the block runs, `rate` bytes per second at most."""
        command = [*in_namespace(self._namespace), sys.executable, str(HERE / "_download.py"), site.url, place]
        process = subprocess.Popen([*command, str(rate)], env={**self.environment, "PASSWORD": site.password})
        try:
            yield
            if process.wait():
                sys.exit("curl failed")
        finally:
            process.terminate()
            process.wait()

    def forget(self) -> None:
        """Remove the state folder, so that the next push is a first one."""
        shutil.rmtree(self.state, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder(where: Path | None = None) -> Iterator[Path]:
    """Give a folder that is removed at the end. SIGTERM ends a benchmark like Ctrl-C, so that nothing is left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="pmarep-bench-", dir=where, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


# Output


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = zip(line, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))
    print(flush=True)


def cost(run: Run) -> str:
    return f"client: {run.seconds:.2f} s, CPU {run.cpu:.2f} s, peak {run.peak / MB:.0f} MB"


def median(work: Callable[[], float], times: int) -> float:
    return statistics.median(work() for _ in range(times))


def machine() -> str:
    """Return one line about the machine and its load: figures of a busy machine say little."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} CPUs, Linux {os.uname().release}, Python {sys.version.split()[0]}, load {load:.1f}"
