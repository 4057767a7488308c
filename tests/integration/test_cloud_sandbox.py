"""Root-directories in S3 and Azure: moto and Azurite behind the stand-in."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import httpx
import pytest
from support import plain_http
from support.cloud import KINDS, MIB, CloudSandbox, StartCloud
from support.sandbox_client import Client

PART = 64 * 1024
SMALL_PARTS = {"part_size": PART}
NAMES = [
    "plain.svs",
    "Größe & Schnitt #1 + 50%.svs",
    "切片 一.svs",
    "it's; a=b, (c) [d] {e} ~!$@^.svs",
    unicodedata.normalize("NFD", "Zürich.svs"),
    "%41%2f+%20.svs",
]
BLOB = {"x-ms-blob-type": "BlockBlob"}


def put(url: str, content: bytes) -> httpx.Response:
    headers = BLOB if "sig=" in url and "comp=" not in url else {}
    return plain_http.put(url.replace(" ", "%20"), content=content, headers=headers)


def files_of(contents: dict[str, bytes]) -> list[dict[str, Any]]:
    main = list(contents)[-1]
    return [{"Path": name, "Length": len(content), "IsMain": name == main} for name, content in contents.items()]


def announce(client: Client, folder: str, contents: dict[str, bytes]) -> dict[str, Any]:
    answer = client.announce_raw(folder, files_of(contents))
    assert answer.status_code == 200, answer.text
    announcement: dict[str, Any] = answer.json()
    return announcement


def send_parts(listed: dict[str, Any], content: bytes) -> list[dict[str, Any]]:
    """Send all parts; what CompleteMultipart wants to know of them."""
    parts = []
    for part in listed["Parts"]:
        answer = put(part["Url"], content[part["RangeStart"] : part["RangeEnd"] + 1])
        assert answer.status_code == 200, answer.text
        parts.append({"PartNumber": part["PartNumber"], "ETag": answer.headers["etag"].strip('"')})
    return parts


def complete(client: Client, path: str, upload_id: Any, parts: Any) -> httpx.Response:
    body = {"FilePath": path, "UploadId": upload_id, "Parts": parts}
    return client.http.post("transfer/Upload/CompleteMultipart", params={"sessionID": client.session}, json=body)


def send(client: Client, folder: str, announcement: dict[str, Any], name: str, contents: dict[str, bytes]) -> None:
    """One file of an announcement, whichever way."""
    listed = {multipart["FilePath"]: multipart for multipart in announcement.get("MultipartFiles", ())}.get(name)
    if listed is None:
        url = announcement["Urls"][list(contents).index(name)]
        assert put(url, contents[name]).is_success
    else:
        parts = send_parts(listed, contents[name])
        assert complete(client, f"{folder}/{name}", listed["UploadId"], parts).status_code == 200


def push(client: Client, folder: str, contents: dict[str, bytes]) -> int:
    announcement = announce(client, folder, contents)
    for name in contents:
        send(client, folder, announcement, name, contents)
    upload: int = announcement["Id"]
    return upload


@pytest.fixture
def cloud(cloud_sandbox: StartCloud) -> CloudSandbox:
    return cloud_sandbox(s3_options=SMALL_PARTS)


def test_one_server_has_root_directories_of_all_kinds(cloud: CloudSandbox) -> None:
    with Client(cloud.sandbox) as client:
        assert client.get("GetRootDirectories") == ["Slides", "Cloud", "Blobs"]
        assert [announce(client, root, {"a.svs": b"1"})["UploadType"] for root in ("Slides", "Cloud", "Blobs")] == [
            0,
            1,
            2,
        ]
        cloud.sandbox.restart(upload_type_name=True)
    with Client(cloud.sandbox) as client:
        kinds = [announce(client, root, {"a.svs": b"1"})["UploadType"] for root in ("Slides", "Cloud", "Blobs")]
        assert kinds == ["FileSystem", "AmazonS3", "Azure"]


@pytest.mark.parametrize("root", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_slide_of_any_name_arrives_as_it_was_sent(cloud: CloudSandbox, root: str, name: str) -> None:
    content = name.encode() * 7
    with Client(cloud.sandbox) as client:
        upload = push(client, root, {name: content})
        assert client.status(upload) == {name: True}
        assert client.get("GetFiles", path=root) == [f"{root}/{name}"]
        assert client.get("GetImageInfo", pathOrUid=f"{root}/{name}")["Filename"] == f"{root}/{name}"
        moved = client.download(f"{root}/{name}", name)
        assert (moved.status_code, moved.content) == (303, b"")
        assert client.session not in moved.headers["location"]
        assert plain_http.get(moved.headers["location"]).content == content
    assert cloud.side(root).objects() == {name: content}


SIZES = [0, 1, PART - 1, PART, PART + 1, 3 * PART, 5 * PART + 7]


def test_files_larger_than_a_part_come_in_parts(cloud: CloudSandbox) -> None:
    contents = {f"{size}.dat": bytes(index for index in range(size % 251)) + bytes(size - size % 251) for size in SIZES}
    with Client(cloud.sandbox) as client:
        announcement = announce(client, "Cloud", {**contents, "x.mrxs": b"m"})
        listed = {one["FilePath"]: one for one in announcement["MultipartFiles"]}
        assert list(listed) == [name for name, content in contents.items() if len(content) > PART]
        for (name, content), url in zip(contents.items(), announcement["Urls"], strict=False):
            assert (url is None) == (name in listed)
            if name in listed:
                ranges = [(part["PartNumber"], part["RangeStart"], part["RangeEnd"]) for part in listed[name]["Parts"]]
                starts = range(0, len(content), PART)
                assert ranges == [(n, s, min(s + PART, len(content)) - 1) for n, s in enumerate(starts, 1)]
        assert cloud.s3.open_multipart_uploads() == sorted(listed)
        for name in [*contents, "x.mrxs"]:
            assert client.status(announcement["Id"])[name] is False
            send(client, "Cloud", announcement, name, {**contents, "x.mrxs": b"m"})
            assert client.status(announcement["Id"])[name] is True
    assert cloud.s3.objects() == {**contents, "x.mrxs": b"m"}
    assert cloud.s3.open_multipart_uploads() == []


def test_parts_that_s3_has_lost_cannot_be_put_together(cloud: CloudSandbox) -> None:
    content = bytes(2 * PART)
    with Client(cloud.sandbox) as client:
        (listed,) = announce(client, "Cloud", {"a.svs": content})["MultipartFiles"]
        parts = send_parts(listed, content)
        cloud.s3.client.abort_multipart_upload(Bucket=cloud.s3.bucket, Key="a.svs", UploadId=listed["UploadId"])
        answer = complete(client, "Cloud/a.svs", listed["UploadId"], parts)
        assert (answer.status_code, answer.json()["ExceptionMessage"].startswith("S3 refused")) == (500, True)
        assert client.get("GetFiles", path="Cloud") == []


@pytest.mark.parametrize("root", KINDS)
def test_an_abandoned_upload_of_another_version_does_not_hide_a_slide(cloud: CloudSandbox, root: str) -> None:
    """Its files of the same length lie there; that they are another upload's, nobody but that upload can tell."""
    contents = {"x/1.dat": b"1", "x/2.dat": b"2", "x.mrxs": b"m"}
    with Client(cloud.sandbox) as client:
        announce(client, root, {**contents, "x/1.dat": b"older"})
        announcement = announce(client, root, contents)
        announce(client, root, {**contents, "x/2.dat": b"newer"})
        for name in contents:
            send(client, root, announcement, name, contents)
            client.status(announcement["Id"])
        assert client.get("GetFiles", path=root) == [f"{root}/x.mrxs"]
        assert "Filename" in client.get("GetImageInfo", pathOrUid=f"{root}/x.mrxs")


def test_the_threshold_need_not_be_the_part_size(cloud_sandbox: StartCloud) -> None:
    options = {"part_size": PART, "multipart_above": 2 * PART}
    with Client(cloud_sandbox(azure=False, s3_options=options).sandbox) as client:
        announcement = announce(client, "Cloud", {"a.dat": bytes(2 * PART), "b.svs": bytes(2 * PART + 1)})
        assert [one["FilePath"] for one in announcement["MultipartFiles"]] == ["b.svs"]


def test_an_old_server_knows_no_parts(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(azure=False, s3_options={**SMALL_PARTS, "multipart": False})
    contents = {"b.svs": bytes(3 * PART)}
    with Client(cloud.sandbox) as client:
        assert "MultipartFiles" not in announce(client, "Cloud", contents)
        push(client, "Cloud", contents)
    assert cloud.s3.objects() == contents


def test_what_does_not_belong_to_an_announced_upload_is_not_put_together(cloud: CloudSandbox) -> None:
    content = bytes(3 * PART)
    with Client(cloud.sandbox) as client:
        announcement = announce(client, "Cloud", {"a.svs": content})
        (listed,) = announcement["MultipartFiles"]
        key, parts = listed["UploadId"], send_parts(listed, content)
        wrong: list[tuple[str, Any, Any, int]] = [
            ("Cloud/b.svs", key, parts, 404),
            ("Cloud/A.svs", key, parts, 404),
            ("Blobs/a.svs", key, parts, 404),
            ("Slides/a.svs", key, parts, 404),
            ("a.svs", key, parts, 404),
            ("Cloud/../a.svs", key, parts, 400),
            ("Cloud/a.svs", "invented", parts, 404),
            ("Cloud/a.svs", None, parts, 400),
            ("Cloud/a.svs", key, [], 400),
            ("Cloud/a.svs", key, None, 400),
            ("Cloud/a.svs", key, parts[::-1], 400),
            ("Cloud/a.svs", key, [*parts, parts[-1]], 400),
            ("Cloud/a.svs", key, [{**part, "ETag": f'"{part["ETag"]}"'} for part in parts], 400),
            ("Cloud/a.svs", key, [{**parts[0], "ETag": "0" * 32}, *parts[1:]], 500),
            ("Cloud/a.svs", key, [{"PartNumber": 9, "ETag": parts[0]["ETag"]}], 500),
        ]
        for path, upload_id, given, status in wrong:
            answer = complete(client, path, upload_id, given)
            assert (answer.status_code, bool(answer.json()["ExceptionMessage"])) == (status, True), (path, given)
        assert client.status(announcement["Id"]) == {"a.svs": False}
        assert complete(client, "cloud/a.svs", key, parts).status_code == 200
        assert complete(client, "Cloud/a.svs", key, parts).status_code == 200  # S3 takes it twice
        assert client.status(announcement["Id"]) == {"a.svs": True}
        client.session = "invented"
        assert complete(client, "Cloud/a.svs", key, parts).status_code == 401


@pytest.mark.parametrize("root", KINDS)
def test_a_slide_of_several_files_is_readable_only_when_all_are_there(cloud: CloudSandbox, root: str) -> None:
    contents = {"x/Slidedat.ini": b"[G]", "x/deep/Data0000.dat": b"d" * 3 * PART, "x/empty.dat": b"", "x.mrxs": b"m"}
    with Client(cloud.sandbox) as client:
        client.post("CreateDirectory", path=f"{root}/in")
        announcement = announce(client, f"{root}/in", contents)
        sent = []
        for name in reversed(contents):  # main file first: the worst order
            assert client.get("GetFiles", path=f"{root}/in") == []
            assert "Code" in client.get("GetImageInfo", pathOrUid=f"{root}/in/x.mrxs")
            send(client, f"{root}/in", announcement, name, contents)
            sent.append(name)
            if len(sent) % 2:  # also without anyone having asked in between
                assert client.status(announcement["Id"]) == {name: name in sent for name in contents}
        assert client.get("GetFiles", path=f"{root}/in") == [f"{root}/in/x.mrxs"]
        assert client.get("GetFiles", path=f"{root}/in/x") == []
        assert client.get("GetDirectories", path=f"{root}/in/x") == [f"{root}/in/x/deep"]
        files = client.get("GetFilenames", pathOrUid=f"{root}/in/x.mrxs")
        assert {file["Path"]: file["Size"] for file in files} == {
            f"{root}/in/{name}": len(content) for name, content in contents.items()
        }
        assert re.fullmatch(r"/Date\(\d+\)/", files[0]["LastModified"])


def test_fingerprints_agree_between_the_kinds(cloud: CloudSandbox) -> None:
    contents = {"x/a.dat": b"a" * 2 * PART, "x.mrxs": b"m"}
    with Client(cloud.sandbox) as client:
        client.push("Slides", contents)
        for root in ("Cloud", "Blobs"):
            push(client, root, contents)
        prints = [client.get("GetFingerprint", pathOrUid=f"{root}/x.mrxs") for root in ("Slides", "Cloud", "Blobs")]
        assert len(set(prints)) == 1
        push(client, "Cloud", {**contents, "x/a.dat": b"b" * 2 * PART})
        assert client.get("GetFingerprint", pathOrUid="Cloud/x.mrxs") != prints[0]


@pytest.mark.parametrize("root", KINDS)
@pytest.mark.parametrize("new", [b"12345", b"54321"])
def test_what_lay_there_before_is_not_the_new_upload(cloud: CloudSandbox, root: str, new: bytes) -> None:
    """Neither other bytes of the same length, nor the same bytes, all within the second that a storage's clock has."""
    with Client(cloud.sandbox) as client:
        client.status(push(client, root, {"a.svs": b"12345"}))
        announcement = announce(client, root, {"a.svs": new})
        assert client.status(announcement["Id"]) == {"a.svs": False}
        assert client.get("GetFiles", path=root) == [f"{root}/a.svs"]  # an announcement alone changes nothing
        assert "Filename" in client.get("GetImageInfo", pathOrUid=f"{root}/a.svs")
        cloud.sandbox.restart()
    with Client(cloud.sandbox) as client:
        assert client.status(announcement["Id"]) == {"a.svs": False}
        send(client, root, announcement, "a.svs", {"a.svs": new})
        assert client.status(announcement["Id"]) == {"a.svs": True}
        assert client.get("GetImageInfo", pathOrUid=f"{root}/a.svs")["Filename"] == f"{root}/a.svs"
    assert cloud.side(root).objects() == {"a.svs": new}


def test_a_file_in_parts_over_the_same_file_in_parts(cloud: CloudSandbox) -> None:
    contents = {"a.svs": bytes(3 * PART)}
    with Client(cloud.sandbox) as client:
        client.status(push(client, "Cloud", contents))
        announcement = announce(client, "Cloud", contents)
        parts = send_parts(announcement["MultipartFiles"][0], contents["a.svs"])
        assert client.status(announcement["Id"]) == {"a.svs": False}
        complete(client, "Cloud/a.svs", announcement["MultipartFiles"][0]["UploadId"], parts)
        assert client.status(announcement["Id"]) == {"a.svs": True}


@pytest.mark.parametrize(("root", "continues"), [("Cloud", False), ("Blobs", True)])
def test_only_in_azure_an_unfinished_upload_goes_on_when_it_is_announced_again(
    cloud: CloudSandbox, root: str, continues: bool
) -> None:
    contents = {"x/1.dat": b"1", "x/2.dat": b"2", "x.mrxs": b"m"}
    with Client(cloud.sandbox) as client:
        first = announce(client, root, contents)
        send(client, root, first, "x/1.dat", contents)
        cloud.sandbox.forget_uploads()
        second = announce(client, root, contents)
        assert client.status(second["Id"]) == {"x/1.dat": continues, "x/2.dat": False, "x.mrxs": False}
        other = announce(client, root, {**contents, "x/2.dat": b"22"})
        assert not any(client.status(other["Id"]).values())
        for name in contents:
            send(client, root, second, name, contents)
        assert client.get("GetFiles", path=root) == [f"{root}/x.mrxs"]
        assert all(client.status(second["Id"]).values())
        third = announce(client, root, contents)
        assert not any(client.status(third["Id"]).values())


def test_uploads_in_parts_go_on_after_a_restart_unless_forgotten(cloud: CloudSandbox) -> None:
    contents = {"a.svs": bytes(2 * PART)}
    with Client(cloud.sandbox) as client:
        announcement, abandoned = (
            announce(client, "Cloud", contents),
            announce(client, "Cloud", {"b.svs": bytes(2 * PART)}),
        )
        cloud.sandbox.restart()
    (listed,) = announcement["MultipartFiles"]
    with Client(cloud.sandbox) as client:
        parts = send_parts(listed, contents["a.svs"])
        assert complete(client, "Cloud/a.svs", listed["UploadId"], parts).status_code == 200
        assert client.status(announcement["Id"]) == {"a.svs": True}
        cloud.sandbox.forget_uploads()
        answer = complete(client, "Cloud/b.svs", abandoned["MultipartFiles"][0]["UploadId"], parts)
        assert answer.status_code == 404
        assert client.get("GetFiles", path="Cloud") == ["Cloud/a.svs"]


@pytest.mark.parametrize("root", KINDS)
def test_folders(cloud: CloudSandbox, root: str) -> None:
    with Client(cloud.sandbox) as client:
        assert client.get("GetDirectories", path=root) == []
        assert client.post("CreateDirectory", path=f"{root}/a ä") is True
        assert "Code" in client.post("CreateDirectory", path=f"{root}/a ä")
        assert "Code" in client.post("CreateDirectory", path=f"{root}/none/b")
        assert "Code" in client.post("CreateDirectory", path=f"{root}/b?")
        assert "Code" in client.get("GetDirectories", path=f"{root}/none")
        assert "Code" in client.get("GetFiles", path=f"{root}/none")
        assert client.announce_raw(f"{root}/none", files_of({"a.svs": b""})).status_code == 404
        assert client.post("CreateDirectory", path=f"{root}/a ä/b") is True
        assert client.get("GetDirectories", path=root) == [f"{root}/a ä"]
        assert client.get("GetDirectories", path=f"{root}/a ä") == [f"{root}/a ä/b"]
        assert client.get("GetFiles", path=f"{root}/a ä") == []
        push(client, f"{root}/a ä/b", {"x.svs": b"x"})
        assert client.get("GetFiles", path=f"{root}/a ä/b") == [f"{root}/a ä/b/x.svs"]
        assert client.post("DeleteSlide", path=f"{root}/a ä/b/x.svs") is True
        assert client.get("GetDirectories", path=f"{root}/a ä") == [f"{root}/a ä/b"]


@pytest.mark.parametrize("root", KINDS)
def test_a_deleted_slide_is_gone_with_its_files(cloud: CloudSandbox, root: str) -> None:
    with Client(cloud.sandbox) as client:
        client.post("CreateDirectory", path=f"{root}/x")
        upload = push(client, root, {"x/a/1.dat": b"1", "x.mrxs": b"m"})
        push(client, root, {"y.svs": b"y"})
        assert all(client.status(upload).values())
        assert client.post("DeleteSlide", path=f"{root}/x.mrxs") is True
        assert "Code" in client.post("DeleteSlide", path=f"{root}/x.mrxs")
        assert not any(client.status(upload).values())
        assert client.get("GetFiles", path=root) == [f"{root}/y.svs"]
        assert client.get("GetDirectories", path=root) == []
    assert cloud.side(root).objects() == {"y.svs": b"y"}


@pytest.mark.parametrize("root", KINDS)
def test_names_in_the_cloud_match_exactly(cloud: CloudSandbox, root: str) -> None:
    with Client(cloud.sandbox) as client:
        push(client, root, {"a.svs": b"lower"})
        upper = announce(client, root, {"A.svs": b"UPPER"})
        assert client.get("GetFiles", path=root) == [f"{root}/a.svs"]
        assert "Code" in client.get("GetImageInfo", pathOrUid=f"{root}/A.svs")
        send(client, root, upper, "A.svs", {"A.svs": b"UPPER"})
        assert sorted(client.get("GetFiles", path=root)) == [f"{root}/A.svs", f"{root}/a.svs"]
        assert len({client.get("GetFingerprint", pathOrUid=f"{root}/{name}") for name in ("a.svs", "A.svs")}) == 2


@pytest.mark.parametrize("root", KINDS)
def test_a_file_of_another_length_is_not_complete(cloud: CloudSandbox, root: str) -> None:
    with Client(cloud.sandbox) as client:
        announcement = announce(client, root, {"a.svs": b"12345"})
        assert put(announcement["Urls"][0], b"1234").is_success
        assert client.status(announcement["Id"]) == {"a.svs": False}
        assert put(announcement["Urls"][0], b"12345").is_success
        assert client.status(announcement["Id"]) == {"a.svs": True}


def test_everything_can_lie_below_a_prefix(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(s3_options={"prefix": "p/q/"}, azure_options={"prefix": "p/q/"})
    with Client(cloud.sandbox) as client:
        for root in ("Cloud", "Blobs"):
            client.post("CreateDirectory", path=f"{root}/in")
            assert client.get("GetDirectories", path=root) == [f"{root}/in"]
            push(client, f"{root}/in", {"a.svs": b"a"})
            assert client.get("GetFiles", path=f"{root}/in") == [f"{root}/in/a.svs"]
            assert cloud.side(root).objects() == {"p/q/in/a.svs": b"a"}


def test_azure_urls_may_hold_raw_spaces(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(azure_options={"raw_spaces": True})
    name = "a b%20 ä+.svs"
    with Client(cloud.sandbox) as client:
        (url,) = announce(client, "Blobs", {name: b"1"})["Urls"]
        assert "/a b%2520 %C3%A4%2B.svs?" in url
        push(client, "Blobs", {name: b"1"})
        assert " " not in client.download(f"Blobs/{name}", name).headers["location"]
    assert cloud.azure.objects() == {name: b"1"}


def test_a_sas_lets_nobody_read(cloud: CloudSandbox) -> None:
    with Client(cloud.sandbox) as client:
        (url,) = announce(client, "Blobs", {"a.svs": b"1"})["Urls"]
        put(url, b"1")
        assert plain_http.get(url).status_code == 403
        assert plain_http.get(url + "&comp=blocklist").status_code == 403
        assert put(url.replace("a.svs", "b.svs"), b"1").status_code == 403


def test_blocks_outlive_their_announcement(cloud: CloudSandbox) -> None:
    blocks = {"YWFh": b"a" * PART, "YmJi": b"b"}
    contents = {"a.svs": b"".join(blocks.values())}
    listing = "".join(f"<Latest>{one}</Latest>" for one in blocks)
    with Client(cloud.sandbox) as client:
        (url,) = announce(client, "Blobs", contents)["Urls"]
        for name, block in blocks.items():
            assert put(f"{url}&comp=block&blockid={name}", block).status_code == 201
        cloud.expire_urls()
        assert cloud.azure.uncommitted_blocks("a.svs") == list(blocks)
        announcement = announce(client, "Blobs", contents)
        xml = f"<BlockList>{listing}</BlockList>".encode()
        refused = put(f"{url}&comp=blocklist", xml)
        assert (refused.status_code, "Signature not valid in the specified time frame" in refused.text) == (403, True)
        assert put(f"{announcement['Urls'][0]}&comp=blocklist", xml).status_code == 201
        assert client.status(announcement["Id"]) == {"a.svs": True}
        assert put(f"{announcement['Urls'][0]}&comp=blocklist", xml.replace(b"YWFh", b"Y2Nj")).status_code == 400
    assert cloud.azure.objects() == contents


def test_errors_of_the_storage_are_refusals(cloud: CloudSandbox) -> None:
    cloud.s3.client.delete_bucket(Bucket=cloud.s3.bucket)
    cloud.azure.client.delete_container()
    with Client(cloud.sandbox) as client:
        assert "NoSuchBucket" in client.get("GetFiles", path="Cloud")["Message"]
        assert "ContainerNotFound" in client.get("GetFiles", path="Blobs")["Message"]
        answer = client.announce_raw("Cloud", files_of({"a.svs": bytes(MIB)}))
        assert (answer.status_code, "NoSuchBucket" in answer.json()["ExceptionMessage"]) == (500, True)
