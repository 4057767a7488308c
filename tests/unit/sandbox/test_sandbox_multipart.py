from __future__ import annotations

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pmacore_sandbox.form_data import FormFileParser
from pmacore_sandbox.refusals import Refusal


def encoded(*parts: tuple[str, str, bytes, str]) -> tuple[str, bytes]:
    request = httpx.Request(
        "POST", "http://x/", files=[(field, (name, data, kind)) for field, name, data, kind in parts]
    )
    return request.headers["content-type"], request.read()


def parsed(kind: str, body: bytes, name: str, length: int, step: int = 1 << 20) -> bytes:
    part = FormFileParser(kind, name, length)
    got = b"".join(b"".join(part.feed(body[at : at + step])) for at in range(0, len(body), step))
    part.finish()
    return got


@given(data=st.binary(max_size=200) | st.just(b"\r\n--\r\n--"), step=st.integers(1, 50))
def test_any_bytes_arrive_however_the_body_is_cut(data: bytes, step: int) -> None:
    kind, body = encoded(("file", "a.svs", data, "application/octet-stream"))
    assert parsed(kind, body, "a.svs", len(data), step) == data


@pytest.mark.parametrize("name", ["切片 1.svs", "ä+&#%';.svs", "e\u0301.svs", "a=b; c.svs", "100%25.svs"])
@pytest.mark.parametrize("client", ["httpx", "requests"])
def test_the_filename_is_taken_as_clients_send_it(name: str, client: str) -> None:
    kind, body = encoded(("file", name, b"x", "application/octet-stream"))
    if client == "requests":
        files = {"file": (name, b"x", "application/octet-stream")}
        prepared = requests.Request("POST", "http://x/", files=files).prepare()
        assert isinstance(prepared.body, bytes)
        kind, body = str(prepared.headers["Content-Type"]), prepared.body
    assert parsed(kind, body, name, 1) == b"x"


OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    "parts",
    [
        [("slide", "a.svs", b"12345", OCTETS)],
        [("file", "b.svs", b"12345", OCTETS)],
        [("file", "a.svs", b"12345", "image/tiff")],
        [("file", "a.svs", b"1234", OCTETS)],
        [("file", "a.svs", b"123456", OCTETS)],
        [("file", "a.svs", b"12345", OCTETS), ("file", "a.svs", b"", OCTETS)],
    ],
    ids=["field", "filename", "content type", "short", "long", "two parts"],
)
def test_what_was_not_announced_is_refused(parts: list[tuple[str, str, bytes, str]]) -> None:
    kind, body = encoded(*parts)
    with pytest.raises(Refusal):
        parsed(kind, body, "a.svs", 5)


def test_a_body_without_its_end_is_refused() -> None:
    kind, body = encoded(("file", "a.svs", b"12345", OCTETS))
    with pytest.raises(Refusal, match="closing boundary"):
        parsed(kind, body[:-8], "a.svs", 5)


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "multipart/form-data", "multipart/mixed; boundary=x"])
def test_another_kind_of_body_is_refused(kind: str) -> None:
    with pytest.raises(Refusal):
        FormFileParser(kind, "a.svs", 1)
