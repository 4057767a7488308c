"""Every kind of answer becomes data or the right error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from support.scripted_core import PASSWORD, SESSION, URL, ScriptedCore, aspnet, html, refusal

from pmarep.errors import Remedy
from pmarep.pmacore import (
    CredentialsRefused,
    FileToSend,
    Intercepted,
    NotFound,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    ProxyRefused,
    Redirected,
    Refused,
    ServerError,
    StorageFull,
    StorageKind,
    TooLarge,
)
from pmarep.pmacore import http as pmacore_http


def wrapped(answer: Any) -> Any:
    return {"d": answer}


@pytest.mark.parametrize("wrap", [wrapped, lambda answer: answer])
async def test_both_wrappings_everywhere(wrap: Any) -> None:
    script = ScriptedCore(
        GetVersionInfo=wrap("3.0.3.2222"),
        authenticate=wrap({"Success": True, "SessionId": SESSION}),
        GetRootDirectories=wrap(["Slides"]),
        GetFiles=wrap(["/Slides/a.svs/"]),
        GetFilenames=wrap([{"Path": "Slides/a.svs", "Size": 3}]),
        GetImageInfo=wrap({"Width": 3}),
        GetFingerprint=wrap("abc"),
    )
    async with script.core() as core:
        assert await core.version() == "3.0.3.2222"
        assert await core.root_directories() == ["Slides"]
        assert await core.slides("Slides") == ["Slides/a.svs"]
        assert [(file.path, file.size) for file in await core.slide_files("Slides/a.svs")] == [("Slides/a.svs", 3)]
        assert await core.image_info("Slides/a.svs") == {"Width": 3}
        assert await core.fingerprint("Slides/a.svs") == "abc"


@pytest.mark.parametrize("case", [str.lower, str.upper, str])
async def test_keys_in_any_case(case: Any) -> None:
    def cased(value: Any) -> Any:
        if isinstance(value, dict):
            return {case(key): cased(item) for key, item in value.items()}
        return [cased(item) for item in value] if isinstance(value, list) else value

    upload = {
        "Id": 17,
        "UploadType": 1,
        "Urls": None,
        "MultipartFiles": [
            {
                "FilePath": "a.svs",
                "UploadId": "u",
                "Parts": [{"PartNumber": 1, "Url": "https://s3/x?sig=1", "RangeStart": 0, "RangeEnd": 9}],
            }
        ],
    }
    script = ScriptedCore(
        authenticate=cased({"Success": True, "SessionId": SESSION}),
        **{"transfer/Upload": cased(upload), "transfer/Upload/17": cased({"Files": [{"Path": "a", "Complete": True}]})},
        GetFilenames=cased([{"Path": "Slides/a.svs", "Size": 3}]),
    )
    async with script.core() as core:
        announced = await core.announce("Slides", [FileToSend("a.svs", 10, True)])
        assert announced.kind is StorageKind.S3
        assert announced.multipart[0].parts[0].end == 9
        assert (await core.upload_status(17)).complete == {"a": True}
        assert (await core.slide_files("x"))[0].size == 3


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0, StorageKind.FILESYSTEM),
        ("0", StorageKind.FILESYSTEM),
        ("FileSystem", StorageKind.FILESYSTEM),
        ("amazons3", StorageKind.S3),
        ("AZURE", StorageKind.AZURE),
        (2, StorageKind.AZURE),
    ],
)
async def test_upload_types(value: object, kind: StorageKind) -> None:
    script = ScriptedCore(**{"transfer/Upload": {"Id": "x-1", "UploadType": value}})
    async with script.core() as core:
        announced = await core.announce("Slides", [FileToSend("a.svs", 1, True)])
    assert (announced.kind, announced.id, announced.urls, announced.multipart) == (kind, "x-1", (), ())


@pytest.mark.parametrize("value", [3, "GoogleCloud", [], {}])
async def test_an_unknown_upload_type(value: object) -> None:
    async with ScriptedCore(**{"transfer/Upload": {"Id": 1, "UploadType": value}}).core() as core:
        with pytest.raises(ProtocolError, match="not understood"):
            await core.announce("Slides", [FileToSend("a.svs", 1, True)])


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refusal("Path not found"), Refused, "Path not found"),
        (refusal("Path not found", 404), NotFound, "Path not found"),
        (refusal("Path not found", 500), Refused, "Path not found"),
        (refusal("Not yours", 403), PermissionDenied, "Not yours"),
        (refusal("", 400), Refused, "no reason given"),
        (httpx.Response(200, json={"code": 3, "message": "lower case"}), Refused, "lower case"),
        (httpx.Response(200, json={"d": {"Code": 3, "Message": "wrapped"}}), Refused, "wrapped"),
        (httpx.Response(400, json={"Message": "An error.", "ExceptionMessage": "Wrong"}), Refused, "Wrong"),
        (refusal("The quota of Slides has been exceeded"), StorageFull, "no room left.*quota of Slides.*larger quota"),
        (aspnet("There is not enough space on the disk."), StorageFull, "not enough space"),
        (aspnet("IOException: HRESULT 0x80070070"), StorageFull, "no room"),
        (refusal("The folder Quota was not found", 404), NotFound, "Quota"),
        (refusal("Insufficient permissions"), Refused, "Insufficient"),
        (html(404), NotFound, "/core/"),
        (httpx.Response(403), PermissionDenied, "rights"),
        (html(403), Intercepted, "HTTP status 403: a web page, which is not PMA.core's; "),
        (html(406), Intercepted, "HTTP status 406: a web page, which is not PMA.core's; "),
        (html(401), PermissionDenied, "rights"),
        (html(400), Refused, "400"),
        (html(500), ServerError, "500"),
        (html(503), ServerError, "503"),
        (httpx.Response(429), ServerError, "429"),
        (html(501), Refused, "501"),
        (html(507), StorageFull, "507"),
        (html(200), Intercepted, "no JSON: a web page;"),
        (httpx.Response(200, html="<html><title>A&amp;B\n</title>"), Intercepted, r'no JSON: a web page \("A&B"\);'),
        (httpx.Response(407), ProxyRefused, "user name and password"),
        (httpx.Response(200, content=b"\xff\xfe\x00"), ProtocolError, "no JSON"),
        (httpx.Response(200, content=b"[" * 200_000), ProtocolError, "no JSON"),
        (httpx.Response(200), ProtocolError, "no list"),
        (httpx.Response(200, json={"Slides": 1}), ProtocolError, "no list"),
        (httpx.Response(200, json=[1, 2]), ProtocolError, "no list"),
        (httpx.Response(302, headers={"Location": "https://login.example/?x=1"}), Intercepted, "redirects to another"),
        (httpx.Response(302, headers={"Location": "/login?x=1"}), Redirected, "redirects to /login"),
        (httpx.Response(301), Redirected, "redirects"),
    ],
)
async def test_answers_to_a_listing(answer: httpx.Response, kind: type[PmaCoreError], words: str) -> None:
    async with ScriptedCore(GetFiles=answer).core() as core:
        with pytest.raises(PmaCoreError, match=words) as caught:
            await core.slides("Slides")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("location", ["http://[x/a.svs", "//[", "http://storage.example:99999/a.svs?sig=secret"])
async def test_a_download_that_leads_to_no_address(location: str) -> None:
    answer = httpx.Response(302, headers={"Location": location})
    async with ScriptedCore(**{"transfer/Download": answer}).core() as core:
        with pytest.raises(ProtocolError, match="an address that is none") as caught:
            async with core.download("Slides/a.svs", "a.svs"):
                pass
    assert "secret" not in str(caught.value)


# Stands for a date 890 s from now. The date itself must not be a parameter: parameters name the test, and workers that
# collect it in different seconds then disagree about its name, which ends the whole run.
IN_A_WHILE = "890 s from now"


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (" 7 ", 7, 7),
        ("99999999999", 900, 900),
        (IN_A_WHILE, 100, 890),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
        ("Sun, 06 Nov 99999999 08:49:37 GMT", None, None),
        ("Sun, 06 Nov 1994 08:49:37 +9999999999", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
)
async def test_retry_after(header: str, least: float | None, most: float | None) -> None:
    if header == IN_A_WHILE:
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=890))
    async with ScriptedCore(GetFiles=httpx.Response(503, headers={"Retry-After": header})).core() as core:
        with pytest.raises(ServerError) as caught:
            await core.slides("Slides")
    asked = caught.value.retry_after
    assert asked is None if least is None or most is None else asked is not None and least <= asked <= most


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (aspnet("Unable to write"), ServerError),
        (aspnet("Unknown upload", 404), NotFound),
        (aspnet("Nonsense", 400), Refused),
        (html(413), TooLarge),
        (httpx.Response(404, html="<title>IIS 10.0 Detailed Error - 404.13 - Not Found</title>"), TooLarge),
        (aspnet("Disk full"), StorageFull),
        (html(404), NotFound),
    ],
)
async def test_answers_of_the_transfer_part(answer: httpx.Response, kind: type[PmaCoreError]) -> None:
    async with ScriptedCore(**{"transfer/Upload": answer}).core() as core:
        with pytest.raises(PmaCoreError) as caught:
            await core.announce("Slides", [FileToSend("a.svs", 1, True)])
    assert type(caught.value) is kind
    assert (caught.value.remedy is Remedy.RETRY) is (kind is ServerError)


@pytest.mark.parametrize(
    "answer",
    [
        {"UploadType": 0},
        {"Id": None, "UploadType": 0},
        {"Id": 1, "MultipartFiles": [{"FilePath": "a"}]},
        {"Id": 1, "Urls": "https://s3/?X-Amz-Signature=secret"},
        [],
        "17",
        None,
    ],
)
async def test_announcements_that_are_none(answer: object) -> None:
    async with ScriptedCore(**{"transfer/Upload": answer}).core() as core:
        with pytest.raises(ProtocolError) as caught:
            await core.announce("Slides", [FileToSend("a.svs", 1, True)])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200), httpx.Response(200, text="OK"), httpx.Response(204), httpx.Response(200, json=True)]
)
async def test_any_2xx_ends_an_upload(answer: httpx.Response) -> None:
    async with ScriptedCore(**{"transfer/Upload/17": answer}).core() as core:
        assert (await core.upload_status(17)).complete == {}


async def test_an_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmacore_http, "MAX_RESPONSE_BYTES", 100_000)
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1000
            yield b" " * 1000

    async with ScriptedCore(GetFiles=lambda: httpx.Response(200, content=endless())).core() as core:
        with pytest.raises(ProtocolError, match="endless"):
            await core.slides("Slides")
    assert given < 500_000


@pytest.mark.parametrize("answer", [None, {}, [], "x", {"Error": "y"}])
async def test_a_slide_that_cannot_be_read_yet(answer: object) -> None:
    async with ScriptedCore(GetImageInfo=answer).core() as core:
        if answer in ({}, {"Error": "y"}):
            assert await core.image_info("Slides/a.svs") == answer
        else:
            with pytest.raises(Refused):
                await core.image_info("Slides/a.svs")


@pytest.mark.parametrize(
    ("login", "kind", "words"),
    [
        ({"Success": False, "Reason": "Invalid password"}, CredentialsRefused, "Invalid password"),
        ({"Success": False}, CredentialsRefused, "no reason"),
        (refusal("Locked out", 403), CredentialsRefused, "Locked out"),
        ({"Success": True}, ProtocolError, "no session"),
        ({"Success": True, "SessionId": None}, ProtocolError, "no session"),
        ({"SessionId": "x"}, ProtocolError, "success"),
        (html(404), CredentialsRefused, "core"),
        (html(503), ServerError, "503"),
    ],
)
async def test_logins(login: object, kind: type[PmaCoreError], words: str) -> None:
    script = ScriptedCore(authenticate=login)
    async with script.core() as core:
        with pytest.raises(PmaCoreError, match=words) as caught:
            await core.login()
    assert type(caught.value) is kind
    assert not script.asked("DeAuthenticate")


@pytest.mark.parametrize(
    ("version", "method"),
    [("3.0.3.2222", "POST"), ("2.0.0.1836", "POST"), ("2.0.0.1835", "GET"), ("1.9", "GET"), ("devel", "POST")],
)
async def test_a_password_is_in_a_url_only_for_old_servers(version: str, method: str) -> None:
    script = ScriptedCore(GetVersionInfo=version)
    async with script.core() as core:
        await core.login()
    (request,) = script.asked("authenticate")
    assert request.method == method
    if method == "POST":
        assert "password" not in str(request.url)
        assert json.loads(request.content) == {"username": "seeder", "password": PASSWORD, "caller": "pmarep"}
    else:
        assert request.url.params["password"] == PASSWORD


async def test_paths_are_encoded_whole() -> None:
    script = ScriptedCore(**{"transfer/Upload/1": httpx.Response(200)}, GetFiles=[])
    async with script.core() as core:
        await core.slides("Slides/a b+c&d=e#f?g%20h/ä'\u2028")
    raw = script.asked("GetFiles")[0].url.raw_path.decode()
    path = "Slides%2Fa%20b%2Bc%26d%3De%23f%3Fg%2520h%2F%C3%A4%27%E2%80%A8"
    assert raw == f"/core/api/json/GetFiles?sessionID={SESSION}&path={path}"
    assert URL.endswith("/core/")
