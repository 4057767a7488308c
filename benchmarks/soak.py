"""Kill pushes at random moments, again and again, and check that nothing was lost or mixed up.

    .venv/bin/python benchmarks/soak.py                     # 200 cycles over three kinds of storage, some ten minutes
    .venv/bin/python benchmarks/soak.py --cycles 15 --seed 7

A cycle: new slides, a push to three sites at once (FileSystem, S3 by moto, Azure by Azurite), which gets `kill -9` at a
random moment, once or twice; then a push that is left alone, has to end with 0, and says what it found of what the
killed ones had sent. Everything is downloaded from every site, by PMA.core's own interface, and its SHA-256 compared.
The seed says what is killed when; the machine's speed has a say in it, so a failure comes again soon, not at once.

"Sent again" is what the servers got beyond the slides' bytes: a kill costs at most the requests that were under way.
Needs the extra `dev`; a kind whose emulator is not installed is left out, and that is said.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pmacore_sandbox import AzureValidator, Gateway, S3Validator, Sandbox, Settings, UrlExpiry
from pmacore_sandbox.emulators.buckets import create_bucket, create_container
from pmacore_sandbox.emulators.processes import ACCOUNT, EmulatorMissing, azurite, moto
from pmarep.demo.sample_slides import write_mirax

USER, PASSWORD = "seeder", "soaking"
KIB, MIB = 1024, 1024**2
PART = 256 * KIB
"""Size of S3's parts, so that small slides have some. Azure's blocks have 8 MiB."""
CONNECTIONS = 3
PATIENCE = 120.0


class Failed(Exception):
    """Error: something was lost, mixed up or reported wrongly."""


@dataclass
class Site:
    """A site. `received` counts the bytes of slides that its storage has got, also in broken requests."""

    name: str
    root: str
    sandbox: Sandbox
    received: Callable[[], int]
    idle: Callable[[], bool]


def open_sites(folder: Path, stack: ExitStack) -> list[Site]:
    """Start what can be started. Sandboxes run on threads of this process, emulators as processes of their own."""

    def sandbox(name: str, **settings: Any) -> Sandbox:
        return stack.enter_context(Sandbox(Settings(data=folder / name, user=USER, password=PASSWORD, **settings)))

    file_system = sandbox("filesystem")
    sites = [
        Site(
            "filesystem",
            "Slides",
            file_system,
            lambda: sum(file_system.received_files().values()),
            file_system.wait_idle,
        )
    ]
    for name, emulator in (("s3", lambda: moto(min_part_size=PART, folder=folder)), ("azure", azurite)):
        try:
            url = stack.enter_context(emulator())
        except EmulatorMissing as reason:
            print(f"{name} is left out: {reason}")
            continue
        gateway = Gateway(url.removesuffix("/" + ACCOUNT))
        stack.callback(gateway.stop)
        times = UrlExpiry()
        if name == "s3":
            backend: Any = create_bucket(url, gateway.url, part_size=PART)
            gateway.start(S3Validator(backend, times))
        else:
            backend = create_container(url, gateway.url)
            gateway.start(AzureValidator(backend, times))
        core = sandbox(name, roots=("Cloud",), cloud={"Cloud": backend}, url_expiry=times)
        sites.append(Site(name, "Cloud", core, *_counted(gateway, core)))
    return sites


def _counted(gateway: Gateway, core: Sandbox) -> tuple[Callable[[], int], Callable[[], bool]]:
    def received() -> int:
        return sum(one.received for one in gateway.requests if one.part != "blocklist")

    return received, lambda: core.wait_idle() and gateway.wait_idle()


class Soak:
    def __init__(self, folder: Path, sites: list[Site], seed: int) -> None:
        self._folder = folder
        self._sites = sites
        self._random = random.Random(seed)
        self._book = folder / "sites.toml"
        self._state = folder / "state"
        tables = [
            f'[sites.{site.name}]\nurl = "{site.sandbox.url}"\nusername = "{USER}"\ntarget = "{site.root}/in"\n'
            f"connections = {CONNECTIONS}\n"
            for site in sites
        ]
        self._book.write_text("\n".join(tables), encoding="utf-8")
        named = {f"PMAREP_PASSWORD_{site.name.upper()}": PASSWORD for site in sites}
        self._environment = {**os.environ, **named, "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}
        self._usual = 1.0  # seconds that a push takes that is left alone
        self.kills = 0
        self.missed = 0  # pushes that had ended before they were to be killed
        self.resumed = 0
        self.again = dict.fromkeys((site.name for site in sites), 0)
        self.bytes = 0

    def cycle(self, number: int) -> None:
        """Write slides, kill pushes of them, finish, and compare every byte. Raises Failed."""
        source = self._folder / f"cycle{number}"
        self._write_slides(source)
        size = sum(len(content) for content in contents(source).values())
        before = {site.name: site.received() for site in self._sites}
        for _ in range(1 + (self._random.random() < 0.25)):
            self._kill_one(source, number)
        summary = self._finish(source, number)
        self.bytes += size
        for site in self._sites:
            site.idle()
            self.again[site.name] += site.received() - before[site.name] - size
            self.resumed += summary["sites"][site.name]["bytes_resumed"]
            self._compare(site, number, source)
        for file in sorted(source.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()

    def _write_slides(self, source: Path) -> None:
        """Write single files (some of many parts, a few of several blocks), unusual names and a MIRAX slide."""
        source.mkdir()
        for name in ("ä & + #%.svs", "b.svs", "folder c/d.svs"):
            path = source / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self._random.randbytes(self._random.randint(1, 600 * KIB)))
        if self._random.random() < 0.3:
            (source / "large.svs").write_bytes(self._random.randbytes(self._random.randint(8 * MIB, 12 * MIB)))
        write_mirax(source / "m.mrxs", data_files=4, data_size=100_000, seed=self._random.randrange(10**9))

    def _command(self, source: Path, number: int) -> list[str]:
        names = ",".join(site.name for site in self._sites)
        command = [sys.executable, "-m", "pmarep", "push", str(source), "--sites", names, "--to", f"cycle{number}"]
        return [*command, "--json", "--settle", "0", "--config", str(self._book), "--state-dir", str(self._state)]

    def _kill_one(self, source: Path, number: int) -> None:
        """Start a push and kill it at a random moment between the start of Python and its end."""
        moment = self._random.uniform(0.1, 0.9) * self._usual
        with subprocess.Popen(
            self._command(source, number),
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as push:
            try:
                push.wait(moment)
                self.missed += 1
            except subprocess.TimeoutExpired:
                push.kill()
                self.kills += 1

    def _finish(self, source: Path, number: int) -> dict[str, Any]:
        start = time.monotonic()
        push = subprocess.run(
            self._command(source, number), env=self._environment, capture_output=True, text=True, timeout=PATIENCE
        )
        lines = [json.loads(line) for line in push.stdout.splitlines()]
        if push.returncode != 0:
            errors = {line["error"] for line in lines if line.get("error")}
            raise Failed(f"cycle {number}: exit code {push.returncode}: {errors or push.stderr}")
        # Towards what a whole push takes: most of these only finish one.
        self._usual = max(0.9 * self._usual, time.monotonic() - start)
        summary: dict[str, Any] = lines[-1]
        return summary

    def _compare(self, site: Site, number: int, source: Path) -> None:
        here = {name: hashlib.sha256(content).hexdigest() for name, content in contents(source).items()}
        there = dict(downloaded(site, f"{site.root}/in/cycle{number}"))
        if here != there:
            wrong = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
            raise Failed(f"cycle {number}: not the same at {site.name}: {wrong}")

    def report(self, cycles: int, seconds: float) -> str:
        again = ", ".join(f"{name} {count / MIB:.1f} MiB" for name, count in self.again.items())
        share = 100 * sum(self.again.values()) / max(1, self.bytes * len(self._sites))
        return (
            f"{cycles} cycles, {self.kills} kills ({self.missed} too late), {seconds:.0f} s; "
            f"{self.bytes / MIB:.0f} MiB of slides to each of {len(self._sites)} sites, all byte-identical; "
            f"{self.resumed / MIB:.1f} MiB resumed, sent again: {again} ({share:.1f} %)"
        )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def downloaded(site: Site, folder: str) -> Iterator[tuple[str, str]]:
    """Download all files of all slides below a folder; yield their relative paths and SHA-256."""
    with httpx.Client(base_url=site.sandbox.url, timeout=60, trust_env=False, follow_redirects=True) as http:
        who = {"username": USER, "password": PASSWORD, "caller": "soak"}
        session = http.post("api/json/authenticate", json=who).json()["SessionId"]

        def get(method: str, **query: str) -> Any:
            return http.get(f"api/json/{method}", params={"sessionID": session, **query}).json()

        waiting = [folder]
        while waiting:
            below = waiting.pop()
            waiting += get("GetDirectories", path=below)
            for slide in get("GetFiles", path=below):
                parent = slide.rpartition("/")[0]
                for file in get("GetFilenames", pathOrUid=slide):
                    path = file["Path"]
                    query = {"sessionId": session, "image": slide, "path": path[len(parent) + 1 :]}
                    answer = http.get("transfer/Download", params=query)
                    answer.raise_for_status()
                    yield path[len(folder) + 1 :], hashlib.sha256(answer.content).hexdigest()
        get("DeAuthenticate")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pmarep-soak-", dir=options.dir) as folder, ExitStack() as stack:
        soak = Soak(Path(folder), open_sites(Path(folder), stack), options.seed)
        start = time.monotonic()
        for number in range(1, options.cycles + 1):
            try:
                soak.cycle(number)
            except Failed as error:
                print(f"FAILED (seed {options.seed}): {error}", file=sys.stderr)
                return 1
            if number % 10 == 0 and number < options.cycles:
                print(soak.report(number, time.monotonic() - start), flush=True)
        print(soak.report(options.cycles, time.monotonic() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())
