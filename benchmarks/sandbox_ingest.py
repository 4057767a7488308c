"""Measure how fast the sandbox takes files, so that it is no bottleneck elsewhere: >= 400 MB/s on 2 cores.

    python benchmarks/sandbox_ingest.py [--size 2G] [--streams 1] [--folder /dev/shm]

The server is `pmarep sandbox` in a process of its own, the client is httpx here, over loopback: with --discard, then
writing to `--folder`. MB are 10^6 bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from pmarep.units import format_size, parse_size

BLOCK = os.urandom(1 << 20)
BOUNDARY = "5d2f0a7c9b8e4f10"


async def body(head: bytes, size: int, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    for start in range(0, size, len(BLOCK)):
        yield BLOCK[: size - start]
    yield tail


async def push(client: httpx.AsyncClient, session: str, name: str, size: int) -> None:
    announced = {"Path": "Slides", "Files": [{"Path": name, "Length": size, "IsMain": True}]}
    answer = await client.post("transfer/Upload", params={"sessionID": session}, json=announced)
    upload = answer.raise_for_status().json()["Id"]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    answer = await client.post(
        f"transfer/Upload/{upload}",
        params={"sessionID": session, "path": name},
        content=body(head, size, tail),
        headers={
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(len(head) + size + len(tail)),
        },
    )
    answer.raise_for_status()


async def measure(url: str, size: int, streams: int) -> float:
    """Send `streams` files of `size` bytes at once and return the MB/s."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        answer = await client.post("api/json/authenticate", json={"username": "seeder", "password": "benchmark"})
        session = answer.json()["SessionId"]
        start = time.perf_counter()
        await asyncio.gather(*(push(client, session, f"slide{number}.svs", size) for number in range(streams)))
        return streams * size / (time.perf_counter() - start) / 1e6


def run(folder: Path, size: int, streams: int, *options: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=folder) as data:
        command = [sys.executable, "-m", "pmarep", "sandbox", "--data", data, "--port", "0", *options]
        environment = {**os.environ, "PMAREP_SANDBOX_PASSWORD": "benchmark"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                assert server.stdout is not None
                url = re.findall(r"http://\S+", server.stdout.readline())[0]
                speed = asyncio.run(measure(url, size, streams))
                status = Path(f"/proc/{server.pid}/status")
                peak = re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0] if status.exists() else "0"
            finally:
                server.terminate()
        return {
            "options": options,
            "streams": streams,
            "MB/s": round(speed),
            "server peak": format_size(int(peak) * 1024),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="2G", help="of each file")
    parser.add_argument("--streams", type=int, default=1, help="files at once")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the server writes")
    options = parser.parse_args()
    size = parse_size(options.size)
    for extra in (["--discard"], []):
        print(json.dumps(run(options.folder, size, options.streams, *extra)), flush=True)
    print(f"client peak {format_size(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)}")


if __name__ == "__main__":
    main()
