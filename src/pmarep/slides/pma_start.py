"""PMA.start, a helper program that may run on this machine and knows formats which our own table does not.

Source of the facts: `pma_python` 2.0.0.186, which uses it so: `http://localhost:54001/`, PMA.core's interface without
login, any caller name as session id; `IsLite` is true; `GetFiles` lists the main files of a folder,
`EnumerateAllFilesForSlide` the files of a slide, all as plain local paths. pmarep never needs it: one that does not run
costs a refused connection per run.

How to ask and how to take an answer apart is pmacore's. The connection is not: the walk asks from its thread, over
plain HTTP, without a login, and gives up sooner.

Whoever has that port hears names of files, and may say anything. So only a program of this user or of the system is
asked, unless somebody says that whoever listens may be; the answers are bounded, and the walk takes nothing outside a
slide's folder.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..text import printable
from .file_names import name_problem
from .port_owner import PortOwner, port_owner

if TYPE_CHECKING:
    import httpx

    from .folder import Folder

log = logging.getLogger(__name__)

URL = "http://localhost:54001/"
CALLER = "pmarep"  # stands where a PMA.core wants a session
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of one answer: the paths of some 100,000 files."""

CONNECT_SECONDS = 1.0
PROBE_SECONDS = 2.0
ANSWER_SECONDS = 20.0  # it opens every file of a folder to see which ones are slides, perhaps over a network


class _NoAnswer(Exception):
    """PMA.start refused one request; the next may succeed."""


class _Gone(Exception):
    """PMA.start does not answer, or not as PMA.start does: it is not asked again in this run."""


class PmaStart:
    """A client of PMA.start for one run. `lookup` fits `find_slides`; a context manager that closes the connection.

    `trust_anybody`: ask it whoever it belongs to, also where the platform does not tell.

    Threads that ask at once wait for each other: a run has one walk, and PMA.start one small machine.
    """

    def __init__(
        self, url: str = "", clock: Callable[[], float] = time.monotonic, *, trust_anybody: bool = False
    ) -> None:
        self._url = url or URL
        self._port = urlsplit(self._url).port or 80
        self._trust_anybody = trust_anybody
        self._clock = clock
        self._http: httpx.Client | None = None
        self._running: bool | None = None  # None: not tried yet
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def __enter__(self) -> PmaStart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, without waiting for a request that is under way: its thread closes it when done."""
        self._closed = True
        if self._one_at_a_time.acquire(blocking=False):
            try:
                self._hang_up()
            finally:
                self._one_at_a_time.release()

    def _hang_up(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def lookup(self, folder: Folder, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return which of these files are main files of slides: name to absolute local paths of all the slide's files.

        Nothing where PMA.start does not run or does not know. Raises nothing that has to do with it.
        """
        path = os.path.abspath(folder.path)  # noqa: PTH100  (str throughout, as in the walk)
        names = [name for name in names if not name_problem(name)]
        if not names or name_problem(_virtual(path)):
            return {}
        with self._one_at_a_time:
            try:
                return self._slides_of(path, names) if not self._closed and self._is_running() else {}
            except _Gone as gone:
                self._running = False
                log.warning("PMA.start stopped answering (%s); going on without it", gone)
                return {}
            finally:
                if self._closed or not self._running:
                    self._hang_up()

    def _is_running(self) -> bool:
        if self._running is None:
            try:
                self._running = self._get("IsLite", PROBE_SECONDS) is True
            except (_Gone, _NoAnswer) as why:
                log.debug("no PMA.start at %s: %s", self._url, why)
                self._running = False
            if self._running:
                log.info("PMA.start runs at %s: asking it about files of unknown formats", self._url)
        return self._running

    def _look_who_listens(self) -> None:
        """Refuse to ask another user's program, before each request: it may have been replaced. Raises _Gone."""
        who = PortOwner.TRUSTED if self._trust_anybody else port_owner(self._port)
        if who is PortOwner.TRUSTED:
            return
        if who is PortOwner.OTHER_USER:
            log.warning(
                "port %d, where PMA.start is asked, belongs to another user, who is told nothing; "
                '[slides] enumerate = "always" in the site book asks him all the same',
                self._port,
            )
        elif who is PortOwner.UNKNOWN:
            log.info('nobody can tell here whose PMA.start is: [slides] enumerate = "always" asks it all the same')
        raise _Gone("nobody that we may ask listens")

    def _slides_of(self, folder: str, names: Sequence[str]) -> dict[str, list[str]]:
        mains = {_base(path) for path in self._paths("GetFiles", "path", folder)}
        found = {name: self._files_of(os.path.join(folder, name)) for name in names if name in mains}  # noqa: PTH118
        return {name: files for name, files in found.items() if files}

    def _files_of(self, main: str) -> list[str]:
        """Return the files of a slide, the main file last; none where the answer does not name the main file."""
        files = [_local(path) for path in self._paths("EnumerateAllFilesForSlide", "pathOrUid", main)]
        others = [file for file in files if os.path.normcase(file) != os.path.normcase(main)]  # `c:` is `C:`
        return [*others, main] if len(others) < len(files) else []

    def _paths(self, method: str, key: str, path: str) -> list[str]:
        """Return the paths in an answer; none where PMA.start refuses: an unreadable folder or slide."""
        try:
            answer = self._get(method, ANSWER_SECONDS, sessionID=CALLER, **{key: _virtual(path)})
        except _NoAnswer as why:
            log.debug("PMA.start says nothing about %s: %s", printable(path), why)
            return []
        if not isinstance(answer, list) or not all(isinstance(one, str) and one for one in answer):
            raise _Gone(f"its answer to {method} is no list of paths")
        return answer

    def _get(self, method: str, seconds: float, **query: str) -> Any:
        """Return the parsed answer to a GET, without the `{"d": ...}` wrapping of old versions."""
        import httpx

        from ..pmacore.bounded_json import parse_answer
        from ..pmacore.errors import ProtocolError

        self._look_who_listens()
        try:
            status, body = self._download(method, seconds, query)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _Gone(type(error).__name__) from None
        if status != 200:
            raise _NoAnswer(f"{method} got status {status}")
        try:
            answer = parse_answer(body, "PMA.start")
        except (ValueError, RecursionError):
            raise _Gone(f"its answer to {method} is no JSON") from None
        except ProtocolError as error:
            raise _Gone(str(error)) from None
        if isinstance(answer, dict) and "Code" in answer:
            raise _NoAnswer(f"{method} was refused")
        return answer

    def _download(self, method: str, seconds: float, query: Mapping[str, str]) -> tuple[int, bytes]:
        import httpx

        from ..pmacore.http import Request

        if self._http is None:
            # Plain http to this machine: no proxy of the environment, no redirect, no CA to load, nothing to unpack.
            self._http = httpx.Client(
                trust_env=False,
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                headers={"Accept-Encoding": "identity"},
                follow_redirects=False,
            )
        url = Request("GET", f"api/json/{method}", query).url(self._url)
        end = self._clock() + seconds
        body = bytearray()
        with self._http.stream("GET", url, timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS)) as answer:
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise _Gone(f"its answer to {method} is longer than {MAX_ANSWER // 1024 // 1024} MiB")
                if self._clock() > end:
                    raise _Gone(f"its answer to {method} took longer than {seconds:g} s")
        return answer.status_code, bytes(body)


def _virtual(path: str) -> str:
    """Return a local path as the official clients send it: with "/", and without the leading one of POSIX."""
    path = path.replace(os.sep, "/")
    return path if path.startswith("//") else path.removeprefix("/")


def _local(path: str) -> str:
    """Return a path from an answer as one of this system, without `..` in it; a relative one stays relative."""
    if os.sep == "/" and not path.startswith("/"):
        path = "/" + path
    return os.path.normpath(path)


def _base(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
