"""A stand-in for PMA.start: says which local files are slides and which files make up each.

As `pma_python` 2.0.0.186 uses it: `http://localhost:54001/`, no login; `IsLite` is true; `GetFiles` lists the main
files of a folder, `EnumerateAllFilesForSlide` plain local paths, main file last. Here it has any port: the real one may
run.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Helper:
    """What it knows, and what it was asked: method and path. `replies` are for answers that PMA.start never gives.

    `extensions` are its formats. `more` names files of a slide beyond its companion folders: by main name, full paths.
    """

    url: str = ""
    extensions: tuple[str, ...] = ("svs", "mrxs", "vsi", "zzz")
    more: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)
    queries: list[dict[str, str]] = field(default_factory=list)

    def count(self, method: str) -> int:
        return sum(one == method for one, _ in self.asked)

    def answer(self, method: str, path: str) -> Any:
        if method == "IsLite":
            return True
        local = Path("/", path)  # clients cut off a leading slash, PMA.start being a Windows program
        if method == "GetFiles":
            files = sorted(local.iterdir()) if local.is_dir() else []
            return [virtual(file) for file in files if file.suffix[1:].lower() in self.extensions]
        if method == "EnumerateAllFilesForSlide":
            return self._files_of(local)
        return {"Code": 1, "Message": f"no such method: {method}"}

    def _files_of(self, main: Path) -> list[str]:
        folders = (main.with_suffix(""), main.with_name(f"_{main.stem}_"))
        companions = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
        return [*map(str, companions), *self.more.get(main.name, []), str(main)]


def virtual(path: Path) -> str:
    return path.as_posix().removeprefix("/")


def reply(content: bytes, status: int = 200, *, length: int | None = None, location: str = "") -> Reply:
    """An answer of these bytes; `length` is what it says of itself."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        if location:
            handler.send_header("Location", location)
        handler.end_headers()
        handler.wfile.write(content)

    return send


def _handler(helper: Helper) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            method = url.path.removeprefix("/api/json/")
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            path = query.get("path") or query.get("pathOrUid") or ""
            helper.asked.append((method, path))
            helper.queries.append(query)
            if method in helper.replies:
                helper.replies[method](self)
            else:
                reply(json.dumps(helper.answer(method, path)).encode())(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def pma_start() -> Iterator[Helper]:
    """Plays PMA.start on a free port."""
    helper = Helper()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(helper))
    server.daemon_threads = True
    helper.url = f"http://localhost:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield helper
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
