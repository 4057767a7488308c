"""A bare client for tests of the sandbox: sends what it is told, right or wrong."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import httpx

from pmacore_sandbox import Sandbox
from support.plain_http import NO_CERTIFICATES


class Client:
    """Logged in at a sandbox; `with Client(sandbox) as client`."""

    def __init__(self, sandbox: Sandbox, password: str | None = None) -> None:
        self.http = httpx.Client(base_url=sandbox.url, timeout=20, trust_env=False, verify=NO_CERTIFICATES)
        login = {"username": sandbox.settings.user, "password": password or sandbox.settings.password, "caller": "test"}
        self.login: dict[str, Any] = self.http.post("api/json/authenticate", json=login).json()
        self.session = self.login.get("SessionId") or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def get(self, method: str, **query: str) -> Any:
        """The answer of a GET api/json call."""
        return self.http.get(f"api/json/{method}", params={"sessionID": self.session, **query}).json()

    def post(self, method: str, **values: Any) -> Any:
        return self.http.post(f"api/json/{method}", json={"sessionID": self.session, **values}).json()

    def announce_raw(self, path: Any, files: Any) -> httpx.Response:
        body = {"Path": path, "Files": files}
        return self.http.post("transfer/Upload", params={"sessionID": self.session}, json=body)

    def announce(self, folder: str, sizes: dict[str, int]) -> int:
        """Announce files, the last one being the main file; the Id."""
        main = list(sizes)[-1]
        files = [{"Path": name, "Length": size, "IsMain": name == main} for name, size in sizes.items()]
        answer = self.announce_raw(folder, files)
        assert answer.status_code == 200, answer.text
        upload: int = answer.json()["Id"]
        return upload

    def send(self, upload: int, path: str, content: bytes, **changes: Any) -> httpx.Response:
        """POST one file, `changes` being what differs from what the protocol says."""
        name = changes.get("filename", path.rpartition("/")[2])
        kind = changes.get("kind", "application/octet-stream")
        return self.http.post(
            f"transfer/Upload/{upload}",
            params={"sessionID": changes.get("session", self.session), "path": changes.get("query_path", path)},
            files={changes.get("field", "file"): (name, content, kind)},
        )

    def status(self, upload: int) -> dict[str, bool]:
        answer = self.http.get(f"transfer/Upload/{upload}", params={"sessionID": self.session})
        assert answer.status_code == 200, answer.text
        return {file["Path"]: file["Complete"] for file in answer.json()["Files"]}

    def push(self, folder: str, contents: dict[str, bytes]) -> int:
        """A whole upload, main file last."""
        upload = self.announce(folder, {name: len(content) for name, content in contents.items()})
        for name, content in contents.items():
            answer = self.send(upload, name, content)
            assert answer.status_code == 200, answer.text
        return upload

    def download(self, image: str, path: str, **headers: str) -> httpx.Response:
        with self.stream_download(image, path, **headers) as answer:
            answer.read()
        return answer

    def stream_download(self, image: str, path: str, **headers: str) -> AbstractContextManager[httpx.Response]:
        query = {"sessionId": self.session, "image": image, "path": path}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.stream("GET", "transfer/Download", params=query, headers=names)
