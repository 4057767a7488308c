"""The HTTP interface: routes requests to their handlers, checks sessions, and gives refusals their shape."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from . import transfer
from .core import Core
from .faults import FaultInjector, iis_page
from .middleware import ABORT_KEY, ConnectionDropped, InterceptedRequest
from .refusals import InvalidSession, Refusal
from .request_log import Query, RequestLog, request_label
from .stale_listings import FolderAges
from .throttle import Throttle
from .thumbnail import SIDE, thumbnail

_log = logging.getLogger(__name__)
_LARGEST_JSON = 64 << 20  # an announcement of some 100,000 files

Call = Callable[[Core, Callable[[str], Any]], Any]

# api/json/*, by lower-case name: IIS does not care about case and the official client calls `getfilenames`.
_PUBLIC: dict[str, Call] = {
    "getversioninfo": lambda core, _: core.settings.version,
    "getbuildrevision": lambda _, __: "sandbox",
    "islite": lambda _, __: False,  # PMA.start answers true; that is how clients notice it
    "ping": lambda core, get: core.sessions.is_open(get("sessionid")),
    "deauthenticate": lambda core, get: core.log_out(get("sessionid")),
}
_READING: dict[str, Call] = {
    "getrootdirectories": lambda core, _: core.root_directories(),
    "getdirectories": lambda core, get: core.directories(get("path")),
    "getfiles": lambda core, get: core.files(get("path")),
    "getfilenames": lambda core, get: core.filenames(get("pathoruid")),
    "getimageinfo": lambda core, get: core.image_info(get("pathoruid")),
    "getfingerprint": lambda core, get: core.fingerprint(get("pathoruid")),
    "getannotations": lambda core, get: core.annotations.get(
        get("pathoruid"), get("fingerprint"), get("currentuseronly")
    ),
    "getformdefinitions": lambda core, get: core.forms.definitions(get("formids"), get("rootdirectoryalias")),
    "getforms": lambda core, get: core.forms.available(get("path")),
    "getformdata": lambda core, get: core.forms.data(get("pathoruid"), get("formid"), get("currentuseronly")),
    "getformsubmissions": lambda core, get: core.forms.submissions([get("pathoruids")], None, None),
}
_WRITING: dict[str, Call] = {
    "createdirectory": lambda core, get: core.create_directory(get("path")),
    "deleteslide": lambda core, get: core.delete_slide(get("path")),
    "saveformdata": lambda core, get: core.forms.save(get),
    # PMA.UI posts it, the SDKs get it
    "getformsubmissions": lambda core, get: core.forms.submissions(
        get("pathoruids"), get("formids"), get("currentuseronly")
    ),
}
_ANNOTATING: dict[str, Callable[[Core, dict[str, Any]], Any]] = {
    "saveannotations": lambda core, body: core.annotations.save(body),
    "addannotation": lambda core, body: core.annotations.add(body),
    "deleteannotations": lambda core, body: core.annotations.delete(body),
}
_EMPTY_IF_NONE = {"getannotations"}  # an empty body means none, for all published clients


class App:
    """The ASGI application of one sandbox."""

    def __init__(self, core: Core, faults: FaultInjector, log: RequestLog) -> None:
        self._core = core
        self._faults = faults
        self._log = log
        self._folder_ages = FolderAges()
        rate = core.settings.rate
        self._throttle = Throttle(rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("a sandbox speaks HTTP only")
        base = self._core.settings.path
        inside = scope["path"].startswith(base)
        path = request_label(scope["path"].removeprefix(base) if inside else scope["path"], scope["query_string"])
        request = InterceptedRequest(
            scope, receive, send, path=path, log=self._log, faults=self._faults, throttle=self._throttle
        )
        await request.run(self._run(request, inside))

    async def _run(self, request: InterceptedRequest, inside: bool) -> None:
        await request.begin()
        await asyncio.sleep(self._core.settings.latency + request.delay)
        if request.end_session:
            self._core.sessions.end_all()
        fault = request.answer
        if fault is not None:
            response: Response = Response(fault.body, fault.status, dict(fault.headers), fault.content_type)
        elif inside:
            response = await self._answer(request)
        else:
            response = _no_such_page()
        await response(request.scope, request.receive, request.send)
        if fault is not None and fault.hang_up:
            request.scope[ABORT_KEY]()

    async def _answer(self, request: InterceptedRequest) -> Response:
        """Handle a request below the base path, without an exception but for a lost connection."""
        route = request.scope["path"].removeprefix(self._core.settings.path).rstrip("/").split("/")
        match [part.lower() for part in route]:
            case ["api", "json", name]:
                return await self._guarded(request, self._api(request, name), self._api_refusal)
            case ["thumbnail"]:
                return await self._guarded(request, self._thumbnail(request), self._api_refusal)
            case ["transfer", *rest]:
                return await self._guarded(request, self._transfer(request, rest), _transfer_refusal)
        return _no_such_page()

    async def _guarded(
        self, request: InterceptedRequest, handling: Any, refusal_shape: Callable[[Refusal], Response]
    ) -> Response:
        try:
            answer: Response = await handling
        except InvalidSession as refusal:
            status = request.end_session and request.end_session.status
            return _with_status(refusal, status) if status else refusal_shape(refusal)
        except Refusal as refusal:
            return refusal_shape(refusal)
        except (ConnectionDropped, ClientDisconnect):
            raise
        except OSError as error:  # a full disk, a name too long for the host
            return refusal_shape(Refusal(f"The file system refused: {error.strerror}", status=500))
        except Exception:
            _log.exception("the sandbox has a bug")  # without the URL: the session stands in it
            return refusal_shape(Refusal("Internal error of the sandbox; its log says more", status=500))
        return answer

    async def _api(self, request: InterceptedRequest, name: str) -> Response:
        method = request.scope["method"]
        core = self._core
        if name in _ANNOTATING:
            return await self._annotate(request, name)
        if name == "authenticate":
            if method != ("POST" if core.settings.login_by_post else "GET"):
                return _wrong_method()
            get = (await _json_body(request) if method == "POST" else Query(request.scope["query_string"])).get
            return self._json(core.log_in(get("username"), get("password")))
        by_method = {"POST": _WRITING, "GET": _PUBLIC | _READING}
        call = by_method.get(method, {}).get(name)
        if call is None:
            return _wrong_method() if any(name in calls for calls in by_method.values()) else _no_such_page()
        get = (await _json_body(request) if method == "POST" else Query(request.scope["query_string"])).get
        if name not in _PUBLIC:
            core.sessions.check(get("sessionid"))
        answer = await asyncio.to_thread(call, core, get)
        if name == "createdirectory":
            self._folder_ages.record(get("path"))
        if request.stale_seconds:
            answer = self._folder_ages.hide_recent(name, answer, request.stale_seconds)
        if name in _EMPTY_IF_NONE and not answer:
            return Response(b"", media_type="application/json")
        return self._json(answer)

    async def _annotate(self, request: InterceptedRequest, name: str) -> Response:
        if request.scope["method"] != "POST":
            return _wrong_method()
        core = self._core
        try:
            body = await _json_body(request, core.settings.max_json)
        except Refusal as refusal:
            if refusal.status == 413:
                return HTMLResponse(iis_page("413 - Request Entity Too Large"), 413)
            raise
        core.sessions.check(body.get("sessionid"))
        if request.save_half is not None and name == "saveannotations":
            await asyncio.to_thread(core.annotations.save, body, 0.5)
            return HTMLResponse(iis_page("The transaction log is full."), request.save_half.status)
        return self._json(await asyncio.to_thread(_ANNOTATING[name], core, body))

    async def _thumbnail(self, request: InterceptedRequest) -> Response:
        if request.scope["method"] != "GET":
            return _wrong_method()
        query = Query(request.scope["query_string"])
        self._core.sessions.check(query.get("sessionid"))
        path = query.get("pathoruid") or ""
        await asyncio.to_thread(self._core.image_info, path)  # refuses what is no slide, or is not whole
        return Response(thumbnail(path, *(_pixels(query.get(name)) for name in ("w", "h"))), media_type="image/png")

    async def _transfer(self, request: InterceptedRequest, rest: list[str]) -> Response:
        method = request.scope["method"]
        query = Query(request.scope["query_string"])
        self._core.sessions.check(query.get("sessionid"))
        match method, rest:
            case "POST", ["upload"]:
                body = await _json_body(request)
                return JSONResponse(await asyncio.to_thread(transfer.announce, self._core, body))
            case "POST", ["upload", "completemultipart"]:
                body = await _json_body(request)
                return JSONResponse(await asyncio.to_thread(self._core.complete_multipart, body))
            case "POST", ["upload", upload_id]:
                return await transfer.receive(self._core, request, query, upload_id)
            case "GET", ["upload", upload_id]:
                return JSONResponse(await asyncio.to_thread(self._core.upload_status, upload_id))
            case "GET", ["download"]:
                return await transfer.download(self._core, request, query)
            case _, ["upload"] | ["upload", _] | ["download"]:
                return _wrong_method()
        return _no_such_page()

    def _json(self, answer: Any) -> Response:
        return JSONResponse({"d": answer} if self._core.settings.wrap_answers else answer)

    def _api_refusal(self, refusal: Refusal) -> Response:
        return JSONResponse({"Code": refusal.code, "Message": str(refusal)}, self._core.settings.refusal_status)


async def _json_body(request: InterceptedRequest, limit: int | None = None) -> dict[str, Any]:
    """Return the JSON object of a request's body, its keys in lower case: clients write them in either case."""
    kind = dict(request.scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refusal("The Content-Type has to be application/json", status=415)
    body = bytearray()
    async for chunk in request.body():
        body += chunk
        if len(body) > min(limit or _LARGEST_JSON, _LARGEST_JSON):
            raise Refusal("The JSON is too long", status=413)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("The body is not JSON") from None
    if not isinstance(value, dict):
        raise Refusal("The body is not a JSON object")
    return {key.lower(): item for key, item in value.items()}


def _pixels(text: str | None) -> int:
    """Return a width or height that was asked for; without one a server chooses."""
    if not text:
        return SIDE
    if not text.isdecimal() or int(text) == 0:
        raise Refusal("w and h are numbers of pixels")
    return int(text)


def _with_status(refusal: Refusal, status: int) -> Response:
    return JSONResponse({"Code": status, "Message": str(refusal)}, status)


def _transfer_refusal(refusal: Refusal) -> Response:
    """Return a refusal as ASP.NET has it: the general part in Message, what happened in ExceptionMessage."""
    return JSONResponse({"Message": "An error has occurred.", "ExceptionMessage": str(refusal)}, refusal.status)


def _no_such_page() -> Response:
    return HTMLResponse(iis_page("404 - File or directory not found."), 404)


def _wrong_method() -> Response:
    return HTMLResponse(iis_page("405 - HTTP verb used to access this page is not allowed."), 405)
