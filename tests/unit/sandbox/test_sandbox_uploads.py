from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

import pytest
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import Sandbox

NAMES = [
    "plain.svs",
    "Größe & Schnitt #1 + 50%.svs",
    "切片 一.svs",
    "it's; a=b, (c) [d] {e} ~.svs",
    unicodedata.normalize("NFC", "Zürich.svs"),
    unicodedata.normalize("NFD", "Zürich.svs"),
    "x" * 196 + ".svs",
    "%41%2f.svs",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_slide_of_any_name_arrives_as_it_was_sent(sandbox: Sandbox, name: str) -> None:
    content = name.encode() * 7
    with Client(sandbox) as client:
        upload = client.push("Slides", {name: content})
        assert client.status(upload) == {name: True}
        assert client.get("GetFiles", path="Slides") == [f"Slides/{name}"]
        assert client.get("GetImageInfo", pathOrUid=f"Slides/{name}")["Filename"] == f"Slides/{name}"
        assert client.download(f"Slides/{name}", name).content == content
    assert [path.name for path in (sandbox.data / "Slides").iterdir()] == [name]
    assert (sandbox.data / "Slides" / name).read_bytes() == content


def test_a_slide_of_several_files_is_readable_only_when_all_are_there(sandbox: Sandbox) -> None:
    contents = {"x/Slidedat.ini": b"[G]", "x/deep/Data0000.dat": b"d" * 3_000_000, "x/empty.dat": b"", "x.mrxs": b"m"}
    with Client(sandbox) as client:
        upload = client.announce("Slides", {name: len(content) for name, content in contents.items()})
        sent = []
        for name, content in reversed(contents.items()):  # main file first: the worst order
            assert client.get("GetFiles", path="Slides") == []
            assert "Code" in client.get("GetImageInfo", pathOrUid="Slides/x.mrxs")
            assert client.send(upload, name, content).status_code == 200
            sent.append(name)
            assert client.status(upload) == {name: name in sent for name in contents}
        assert client.get("GetFiles", path="Slides") == ["Slides/x.mrxs"]
        assert client.get("GetImageInfo", pathOrUid="slides/X.MRXS")["Filename"] == "Slides/x.mrxs"
        files = {file["Path"]: file["Size"] for file in client.get("GetFilenames", pathOrUid="Slides/x.mrxs")}
        assert files == {f"Slides/{name}": len(content) for name, content in contents.items()}
        assert client.get("GetFiles", path="Slides/x") == []
    for name, content in contents.items():
        assert (sandbox.data / "Slides" / name).read_bytes() == content


def file(path: Any = "a.svs", length: Any = 5, main: Any = True) -> dict[str, Any]:
    return {"Path": path, "Length": length, "IsMain": main}


@pytest.mark.parametrize(
    "files",
    [
        [],
        None,
        "a.svs",
        [{}],
        [file(main=False)],
        [file("a.svs"), file("b.svs")],
        [file("a.svs"), file("A.SVS", main=False)],
        [file("a.mrxs"), file("a.mrxs/x.dat", main=False)],
        [file("sub/a.svs")],
        [file(length=-1)],
        [file(length="5")],
        [file(length=True)],
        [file(length=1.5)],
        [file(main="true")],
        [file("/a.svs")],
        [file("../a.svs")],
        [file("a.svs"), file("x/../../b", main=False)],
        [file("C:\\a.svs")],
        [file("C:a.svs")],
        [file("x\\a.svs")],
        [file("a\x00.svs")],
        [file("a?.svs")],
        [file("a.svs ")],
        [file("a.svs"), file("x./b", main=False)],
        [file("")],
        [file("\ud800.svs")],
    ],
)
def test_an_announcement_that_might_be_refused_is_refused(sandbox: Sandbox, files: Any) -> None:
    with Client(sandbox) as client:
        answer = client.http.post(
            "transfer/Upload",
            params={"sessionID": client.session},
            content=json.dumps({"Path": "Slides", "Files": files}),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 400
        assert answer.json()["ExceptionMessage"]


def test_an_announcement_needs_a_session_and_a_folder_that_exists(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        assert client.announce_raw("Slides/none", [file()]).status_code == 404
        assert client.announce_raw("Nowhere", [file()]).status_code == 404
        assert client.announce_raw("Slides/..", [file()]).status_code == 400
        client.session = "invented"
        assert client.announce_raw("Slides", [file()]).status_code == 401


def test_an_announcement_may_use_either_case_and_more_keys(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        body = {"path": "SLIDES", "files": [{"path": "a.svs", "length": 5, "isMain": True, "FullPath": "/x/a.svs"}]}
        answer = client.http.post("transfer/upload", params={"sessionId": client.session}, json=body).json()
        assert (answer["UploadType"], answer["Urls"]) == (0, None)
        assert client.send(answer["Id"], "a.svs", b"12345").status_code == 200


@pytest.mark.parametrize(
    ("content", "changes", "status"),
    [
        (b"1234", {}, 400),
        (b"123456", {}, 400),
        (b"12345", {"query_path": "b.svs"}, 400),
        (b"12345", {"query_path": "A.svs"}, 400),
        (b"12345", {"filename": "b.svs"}, 400),
        (b"12345", {"field": "slide"}, 400),
        (b"12345", {"kind": "image/tiff"}, 400),
        (b"12345", {"session": "invented"}, 401),
    ],
)
def test_what_was_not_announced_is_refused_and_leaves_nothing(
    sandbox: Sandbox, content: bytes, changes: dict[str, Any], status: int
) -> None:
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"a.svs": 5})
        assert client.send(upload, "a.svs", content, **changes).status_code == status
        assert client.status(upload) == {"a.svs": False}
    assert list((sandbox.data / "Slides").iterdir()) == []
    assert list((sandbox.data / ".sandbox" / "incoming").iterdir()) == []


def test_a_body_of_unknown_length_is_refused(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"a.svs": 5})
        answer = client.http.post(
            f"transfer/Upload/{upload}", params={"sessionID": client.session, "path": "a.svs"}, content=iter([b"12345"])
        )
        assert answer.status_code == 411


def test_a_request_over_the_limit_of_iis_is_413(start_sandbox: StartSandbox) -> None:
    with Client(start_sandbox(max_request=1000)) as client:
        upload = client.announce("Slides", {"a.svs": 5, "b.svs": 1000})
        assert client.send(upload, "a.svs", b"12345").status_code == 200
        answer = client.send(upload, "b.svs", b"b" * 1000)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")


@pytest.mark.parametrize("upload", ["7", "x", "-1", "9" * 400, "1%2f2"])
def test_an_unknown_upload_is_not_found(sandbox: Sandbox, upload: str) -> None:
    with Client(sandbox) as client:
        query = {"sessionID": client.session, "path": "a.svs"}
        assert client.http.get(f"transfer/Upload/{upload}", params=query).status_code == 404


def test_a_file_sent_again_replaces_the_first(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        upload = client.push("Slides", {"a.svs": b"first"})
        before = client.get("GetFingerprint", pathOrUid="Slides/a.svs")
        assert client.send(upload, "a.svs", b"again").status_code == 200
        assert client.get("GetFingerprint", pathOrUid="Slides/a.svs") != before
        client.push("Slides", {"A.SVS": b"once more"})
        assert client.get("GetFiles", path="Slides") == ["Slides/a.svs"]
        assert client.download("Slides/A.svs", "a.SVS").content == b"once more"


def test_an_announcement_alone_changes_nothing(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        client.push("Slides", {"a.svs": b"12345"})
        client.announce("Slides", {"a.svs": 9})
        assert client.get("GetFiles", path="Slides") == ["Slides/a.svs"]
        assert "Filename" in client.get("GetImageInfo", pathOrUid="Slides/a.svs")


def test_uploads_are_known_after_a_restart_unless_forgotten(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"x/1.dat": 1, "x.mrxs": 1})
        client.send(upload, "x/1.dat", b"1")
    url = sandbox.url
    sandbox.restart()
    assert sandbox.url == url
    assert sandbox.open_sessions == 0
    with Client(sandbox) as client:
        assert client.status(upload) == {"x/1.dat": True, "x.mrxs": False}
        sandbox.forget_uploads()
        assert client.send(upload, "x.mrxs", b"m").status_code == 404
    sandbox.restart()
    with Client(sandbox) as client:
        client.send(upload, "x.mrxs", b"m")
        assert client.get("GetFiles", path="Slides") == ["Slides/x.mrxs"]
    sandbox.restart(forget_uploads=True)
    with Client(sandbox) as client:
        assert client.http.get(f"transfer/Upload/{upload}", params={"sessionID": client.session}).status_code == 404
        assert client.get("GetFiles", path="Slides") == ["Slides/x.mrxs"]
        assert client.announce("Slides", {"y.svs": 1}) != upload


def test_a_half_slide_stays_hidden_although_its_upload_is_forgotten(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        upload = client.announce("Slides", {"x/1.dat": 1, "x/2.dat": 1, "x.mrxs": 1})
        client.send(upload, "x.mrxs", b"m")
        client.send(upload, "x/1.dat", b"1")
    sandbox.restart(forget_uploads=True)
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides") == []
        assert "Code" in client.get("GetImageInfo", pathOrUid="Slides/x.mrxs")


def test_a_deleted_slide_is_gone_with_its_files(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        upload = client.push("Slides", {"x/a/1.dat": b"1", "x.mrxs": b"m"})
        client.push("Slides", {"y.svs": b"y"})
        assert client.post("DeleteSlide", path="Slides/X.mrxs") is True
        assert "Code" in client.post("DeleteSlide", path="Slides/x.mrxs")
        assert client.status(upload) == {"x/a/1.dat": False, "x.mrxs": False}
        assert client.get("GetFiles", path="Slides") == ["Slides/y.svs"]
    assert [path.name for path in (sandbox.data / "Slides").iterdir()] == ["y.svs"]


def test_a_sandbox_that_discards_keeps_sizes_and_hashes(start_sandbox: StartSandbox) -> None:
    content = hashlib.sha256(b"seed").digest() * 100_000
    discarding, keeping = start_sandbox("discarding", discard=True), start_sandbox("keeping")
    prints = []
    for sandbox in (discarding, keeping):
        with Client(sandbox) as client:
            client.push("Slides", {"a.svs": content})
        sandbox.restart()
        with Client(sandbox) as client:
            assert client.get("GetFilenames", pathOrUid="Slides/a.svs")[0]["Size"] == len(content)
            prints.append(client.get("GetFingerprint", pathOrUid="Slides/a.svs"))
            assert client.download("Slides/a.svs", "a.svs").is_success == (sandbox is keeping)
    assert prints[0] == prints[1]
    assert (discarding.data / "Slides" / "a.svs").stat().st_blocks == 0


def test_a_file_cannot_take_the_place_of_a_folder(sandbox: Sandbox) -> None:
    (sandbox.data / "Slides" / "a.svs").mkdir()
    (sandbox.data / "Slides" / "b").write_bytes(b"")
    with Client(sandbox) as client:
        assert client.announce_raw("Slides", [file("a.svs")]).status_code == 400
        assert client.announce_raw("Slides", [file("c.mrxs"), file("B/x.dat", main=False)]).status_code == 400
