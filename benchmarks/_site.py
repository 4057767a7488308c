"""One PMA.core stand-in for the benchmarks, in a process of its own; started by `_harness.Site`.

`filesystem` is the sandbox with --discard, `source` one that gives back what is in --data. `s3` is the sandbox too,
with all its strictness, but slide bytes go to an nginx that takes PUTs into --spool (a tmpfs is best): no emulator is
fast enough. When a file's parts are put together they are counted, their sizes compared with what was announced, and
deleted. nginx checks no signature and no MD5. `azure` is the same with Azure's requests: blocks, and a list of them.

Prints one JSON line when it listens, and one with what it was asked and what it has when it is told to end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmacore_sandbox import FaultInjector, Settings
from pmacore_sandbox.app import App
from pmacore_sandbox.asgi_server import AsgiServer, bind_socket
from pmacore_sandbox.core import Core
from pmacore_sandbox.models import AnnouncedFile, UploadType
from pmacore_sandbox.refusals import Refusal
from pmacore_sandbox.request_log import RequestLog
from pmacore_sandbox.roots.base import RootDirectory
from pmacore_sandbox.roots.object_store import ObjectStoreRoot, StoredObject

ROOT = "Slides"

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format puts '$msec $request_time $connection $status $content_length';
    access_log {folder}/puts.log puts;
    client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {spool}/body;
    proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_timeout 300; keepalive_requests 1000000;
    server {{
        listen {host}:{port};
        root {spool}/puts;
        dav_methods PUT; create_full_put_path on;
        add_header ETag '"of-$content_length-bytes"' always;
        if ($arg_comp = block) {{ rewrite ^(.*)$ $1.blocks/$arg_blockid break; }}
        if ($arg_comp = blocklist) {{ rewrite ^(.*)$ $1.blocks/list break; }}
    }}
}}
"""


class Nginx:
    """An nginx that takes PUTs; each becomes a file below `puts` when it is whole."""

    def __init__(self, folder: Path, spool: Path, host: str) -> None:
        self.puts = spool / "puts"
        for one in (folder, self.puts, spool / "body"):
            one.mkdir(parents=True, exist_ok=True)
        with bind_socket(host, 0) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://{host}:{port}"
        self._log = folder / "puts.log"
        config = folder / "nginx.conf"
        user = "user root;\n" if os.geteuid() == 0 else ""
        config.write_text(user + _NGINX.format(folder=folder, spool=spool, host=host, port=port))
        self._process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
        while not (folder / "nginx.pid").exists():
            if self._process.poll() is not None:
                sys.exit("nginx did not start; is nginx-light installed?")
            time.sleep(0.01)

    def stop(self) -> list[list[str]]:
        """End it and return the words of each line of its log."""
        self._process.terminate()
        self._process.wait()
        return [line.split() for line in self._log.read_text().splitlines()]


class Sink:
    """An `ObjectStore` of the sandbox that keeps names and sizes only; the bytes went to nginx."""

    resumes_uploads = False

    def __init__(self, nginx: Nginx, part_size: int, kind: UploadType = UploadType.AmazonS3) -> None:
        self.kind = kind
        self._nginx = nginx
        self._part_size = part_size
        self._lock = threading.Lock()
        self._objects: defaultdict[str, dict[str, StoredObject]] = defaultdict(dict)  # by folder, which ends in "/"
        self._folders: defaultdict[str, set[str]] = defaultdict(set)
        self._awaited: dict[str, Path] = {}  # files of one PUT that nobody has looked for since it came

    def add(self, key: str, size: int) -> None:
        folder = child = key.rpartition("/")[0] + "/" if "/" in key else ""
        self._objects[folder][key] = StoredObject(key, size, time.time_ns(), "x")
        while child:
            parent = child[:-1].rpartition("/")[0]
            parent += "/" if parent else ""
            self._folders[parent].add(child)
            child = parent

    def _find_arrived(self) -> None:
        with self._lock:
            for key, file in list(self._awaited.items()):
                blocks = file.with_name(f"{file.name}.blocks")
                if (blocks / "list").exists():
                    self.add(key, sum(one.stat().st_size for one in blocks.iterdir() if one.name != "list"))
                    shutil.rmtree(blocks)
                    del self._awaited[key]
                elif file.exists():
                    self.add(key, file.stat().st_size)
                    file.unlink()
                    del self._awaited[key]

    def list_level(self, prefix: str) -> tuple[list[StoredObject], list[str]]:
        self._find_arrived()
        return list(self._objects.get(prefix, {}).values()), list(self._folders.get(prefix, ()))

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        objects, prefixes = self.list_level(prefix)
        yield from objects
        for one in prefixes:
            yield from self.list_all(one)

    def has_prefix(self, prefix: str) -> bool:
        parent = prefix[:-1].rpartition("/")[0]
        return prefix in self._folders.get(parent + "/" if parent else "", ())

    def stat(self, key: str) -> StoredObject | None:
        self._find_arrived()
        return self._objects.get(key.rpartition("/")[0] + "/" if "/" in key else "", {}).get(key)

    def set_marker(self, key: str) -> Any:
        raise Refusal(f"A benchmark only writes, and {key} only once")

    read_marker = download_url = read_chunks = delete = set_marker

    def put_empty(self, key: str) -> None:
        self.add(key, 0)  # the marker of a folder: without one, an empty folder does not exist

    def upload_urls(self, files: Sequence[tuple[str, AnnouncedFile]]) -> dict[str, Any]:
        parts = () if self.kind is UploadType.Azure else files
        listed = {file.path: self._begin(file) for _, file in parts if file.length > self._part_size}
        urls: list[str | None] = []
        for key, file in files:
            token = secrets.token_hex(16)
            urls.append(None if file.path in listed else self._url(token, 1))
            if file.path not in listed:
                self._awaited[key] = self._nginx.puts / token / "1"
        return {"Urls": urls, "MultipartFiles": list(listed.values())}

    def _begin(self, file: AnnouncedFile) -> dict[str, Any]:
        upload = secrets.token_hex(16)
        size = self._part_size
        parts = [
            {
                "PartNumber": number,
                "Url": self._url(upload, number),
                "RangeStart": start,
                "RangeEnd": min(start + size, file.length) - 1,
            }
            for number, start in enumerate(range(0, file.length, size), 1)
        ]
        return {"FilePath": file.path, "UploadId": upload, "Parts": parts}

    def _url(self, folder: str, number: int) -> str:
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"{self._nginx.url}/{folder}/{number}?X-Amz-Date={date}&X-Amz-Expires=86400&X-Amz-Signature={'0' * 64}"

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        sizes = [(self._nginx.puts / upload_id / str(number)).stat().st_size for number, _ in parts]
        shutil.rmtree(self._nginx.puts / upload_id)
        if any(tag != f"of-{size}-bytes" for (_, tag), size in zip(parts, sizes, strict=True)):
            raise Refusal("An ETag is not that of its part")
        with self._lock:
            self.add(key, sum(sizes))


class SinkCore(Core):
    """The sandbox's PMA.core over a Sink."""

    def __init__(self, settings: Settings, sink: Sink) -> None:
        self._sink = sink
        super().__init__(settings)

    def _open_root(self, root: str, incoming: Path) -> RootDirectory:  # noqa: ARG002
        return ObjectStoreRoot(root, self._sink, "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("s3", "azure", "filesystem", "source"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--password", required=True)
    parser.add_argument("--part-size", type=int, required=True)
    parser.add_argument("--data", type=Path, help="the root-directory of a source, as a folder Slides in it")
    parser.add_argument("--holds", type=Path, help="lines of path below the root-directory, tab, size: there already")
    given = parser.parse_args()
    data, discard = given.data or given.folder / "data", given.kind != "source"
    settings = Settings(data, given.password, roots=(ROOT,), host=given.host, discard=discard)
    in_cloud = given.kind in ("s3", "azure")
    nginx = Nginx(given.folder, given.spool, given.host) if in_cloud else None
    if nginx is None:
        core = Core(settings)
    else:
        kind = UploadType.Azure if given.kind == "azure" else UploadType.AmazonS3
        sink = Sink(nginx, given.part_size, kind)
        for line in given.holds.read_text().splitlines() if given.holds else ():
            path, _, size = line.rpartition("\t")
            sink.add(path, int(size))
        core = SinkCore(settings, sink)
    log = RequestLog()
    listener = bind_socket(given.host, 0)
    url = f"http://{given.host}:{listener.getsockname()[1]}/"
    hello = {"url": url, "storage": nginx.url if nginx else None}
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    AsgiServer(App(core, FaultInjector(), log), lambda: print(json.dumps(hello), flush=True)).run([listener])
    puts = nginx.stop() if nginx else []
    files = list(core.locate(ROOT)[0].files_below(()))
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "requests": Counter(f"{entry.method} {_name(entry.path)}" for entry in log.entries),
        "sent": log.sent,
        "puts": len(puts),
        "connections": len({words[2] for words in puts}),
        "first_put": min((float(words[0]) - float(words[1]) for words in puts), default=None),
        "cpu": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
    }
    core.close()
    print(json.dumps(report), flush=True)
    for number, handler in before.items():
        signal.signal(number, handler)


def _name(path: str) -> str:
    """Replace numbers and values: `transfer/Upload/17?path=x` becomes `transfer/Upload/N?path`."""
    route = "/".join("N" if part.isdigit() else part for part in path.partition("?")[0].split("/"))
    return route + ("?path" if "?path=" in path and route.startswith("transfer") else "")


if __name__ == "__main__":
    main()
