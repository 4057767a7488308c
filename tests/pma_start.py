"""PMA.start's part in a FileSystem upload by the official client: it says which local files make up a slide.

protocol.md, "PMA.start": `http://localhost:54001/`, no login; `IsLite` is true; `EnumerateAllFilesForSlide` lists plain
local paths, main file last.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PORT = 54001


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        method = url.path.rpartition("/")[2].lower()
        if method == "islite":
            self._answer(True)
        elif method == "enumerateallfilesforslide":
            self._answer(_files_of(parse_qs(url.query)["pathOrUid"][0]))
        else:
            self.send_error(404)

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _files_of(path: str) -> list[str]:
    main = Path("/", path)  # the client cuts off a leading slash, PMA.start being a Windows program
    companions = [
        file for folder in (main.with_suffix(""), main.with_name(f"_{main.stem}_")) for file in folder.rglob("*")
    ]
    return [*(str(file) for file in sorted(companions) if file.is_file()), str(main)]


@contextmanager
def pma_start() -> Iterator[None]:
    """Plays PMA.start on its port. OSError when somebody else has it."""
    server = ThreadingHTTPServer(("127.0.0.1", PORT), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
