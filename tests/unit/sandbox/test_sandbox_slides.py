"""Files that somebody put into the data folder by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import Sandbox

NDPIS = "[NanoZoomer Digital Pathology Image Set]\nNoImages=2\nImage0=red.ndpi\nImage1=Blue.NDPI\n"
AFI = "<ImageList><Image><Path>red.svs</Path></Image><Image><Path>blue.svs</Path></Image></ImageList>"


def put(sandbox: Sandbox, **files: str | bytes) -> Path:
    folder = sandbox.data / "Slides"
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("files", "slides", "belonging"),
    [
        ({"a.svs": "a", "a/b.svs": "b", "notes.txt": ""}, ["a.svs"], {"a.svs"}),
        ({"a.mrxs": "m", "a/1.dat": "1", "b.mrxs": ""}, ["a.mrxs", "b.mrxs"], {"a.mrxs", "a/1.dat"}),
        ({"a.vsi": "v", "_a_/s/f.ets": "e", "a/x.dat": ""}, ["a.vsi"], {"a.vsi", "_a_/s/f.ets"}),
        ({"s.ndpis": NDPIS, "Red.ndpi": "r", "blue.ndpi": "b", "other.ndpi": "o"}, ["other.ndpi", "s.ndpis"], None),
        ({"s.afi": AFI, "red.svs": "r", "blue.svs": "b"}, ["s.afi"], {"s.afi", "red.svs", "blue.svs"}),
    ],
)
def test_slides_are_distinguished_from_their_companions(
    sandbox: Sandbox, files: dict[str, str], slides: list[str], belonging: set[str] | None
) -> None:
    for name in files:
        (sandbox.data / "Slides" / name).parent.mkdir(parents=True, exist_ok=True)
    put(sandbox, **files)
    main = slides[-1] if belonging is None else slides[0]
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides") == [f"Slides/{name}" for name in slides]
        found = client.get("GetFilenames", pathOrUid=f"Slides/{main}")
        assert found[-1]["Path"] == f"Slides/{main}"
        expected = belonging or {"s.ndpis", "Red.ndpi", "blue.ndpi"}
        assert {file["Path"] for file in found} == {f"Slides/{name}" for name in expected}
        assert client.get("GetImageInfo", pathOrUid=f"Slides/{main}")["Filename"] == f"Slides/{main}"


@pytest.mark.parametrize("name", ["a.mrxs", "a.vsi", "a.ndpis"])
def test_a_main_file_alone_cannot_be_read(sandbox: Sandbox, name: str) -> None:
    put(sandbox, **{name: "x"})
    with Client(sandbox) as client:
        assert "Code" in client.get("GetImageInfo", pathOrUid=f"Slides/{name}")
        assert "Code" in client.get("GetFingerprint", pathOrUid=f"Slides/{name}")


def test_files_announced_with_a_set_are_not_slides_of_their_own(start_sandbox: StartSandbox) -> None:
    with Client(start_sandbox(discard=True)) as client:  # no bytes: the index cannot be read
        client.push("Slides", {"red.ndpi": b"r", "s.ndpis": b"index"})
        assert client.get("GetFiles", path="Slides") == ["Slides/s.ndpis"]
        client.push("Slides", {"red.ndpi": b"r"})
        assert client.get("GetFiles", path="Slides") == ["Slides/red.ndpi", "Slides/s.ndpis"]


def test_fingerprints_agree_between_servers_exactly_when_the_bytes_do(start_sandbox: StartSandbox) -> None:
    one, other = start_sandbox("one"), start_sandbox("other")
    with Client(one) as client:
        client.push("Slides", {"a/1.dat": b"1", "a/2.dat": b"2", "a.mrxs": b"m"})
        sent = client.get("GetFingerprint", pathOrUid="Slides/a.mrxs")
    (other.data / "Slides" / "a").mkdir()
    put(other, **{"a/1.dat": b"1", "a/2.dat": b"2", "a.mrxs": b"m"})
    with Client(other) as client:
        assert client.get("GetFingerprint", pathOrUid="Slides/a.mrxs") == sent
        put(other, **{"a/2.dat": b"two"})
        assert client.get("GetFingerprint", pathOrUid="Slides/a.mrxs") != sent


def test_a_download_has_its_length_and_name(sandbox: Sandbox) -> None:
    put(sandbox, **{"Größe 1.svs": b"g" * 3_000_000, "other.svs": b"o"})
    with Client(sandbox) as client:
        answer = client.download("Slides/Größe 1.svs", "Größe 1.svs")
        assert answer.headers["content-length"] == "3000000"
        assert "Gr%C3%B6%C3%9Fe%201.svs" in answer.headers["content-disposition"]
        assert answer.content == b"g" * 3_000_000
        assert client.download("Slides/Größe 1.svs", "other.svs").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=4-99", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-4", 400, None, None),
        ("bytes=0-1,3-4", 400, None, None),
        ("bytes=-", 400, None, None),
        ("lines=1-2", 400, None, None),
    ],
)
def test_parts_of_a_file(sandbox: Sandbox, asked: str, status: int, content: bytes | None, said: str | None) -> None:
    put(sandbox, **{"a.svs": b"0123456789", "empty.svs": b""})
    with Client(sandbox) as client:
        answer = client.download("Slides/a.svs", "a.svs", Range=asked)
        assert (answer.status_code, answer.headers.get("content-range")) == (status, said)
        assert content is None or answer.content == content
        assert client.download("Slides/empty.svs", "empty.svs", Range="bytes=0-").status_code == 416


def test_a_part_only_if_the_file_is_the_same_still(sandbox: Sandbox) -> None:
    put(sandbox, **{"a.svs": b"0123456789"})
    with Client(sandbox) as client:
        etag = client.download("Slides/a.svs", "a.svs").headers["etag"]
        asked = {"Range": "bytes=4-", "If_Range": etag}
        assert client.download("Slides/a.svs", "a.svs", **asked).status_code == 206
        assert client.download("Slides/a.svs", "a.svs", Range="bytes=4-", If_Range=f"W/{etag}").status_code == 400
        put(sandbox, **{"a.svs": b"abcdefghijklm"})
        answer = client.download("Slides/a.svs", "a.svs", **asked)
        assert (answer.status_code, answer.content) == (200, b"abcdefghijklm")
