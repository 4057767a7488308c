"""The sandbox's annotations: what published clients send is taken, what a server may refuse is refused."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from support.annotations import annotate, annotation, annotations_at
from support.sandbox_client import Client
from support.sandboxes import USER, StartSandbox

from pmacore_sandbox import Sandbox, SaveHalf

SLIDE = "Slides/a.svs"
NEW = {"AnnotationID": 0, "LayerID": 1, "Geometry": "POINT(1 2)", "Notes": "腫瘍"}


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    with Client(sandbox) as client:
        yield client


def save(client: Client, path: str = SLIDE, **changes: Any) -> Any:
    return client.post("SaveAnnotations", **{"pathOrUid": path, "added": [], "updated": [], "deleted": [], **changes})


def test_none_is_an_empty_body(client: Client, sandbox: Sandbox) -> None:
    query = {"sessionID": client.session, "pathOrUid": SLIDE}
    answer = client.http.get("api/json/GetAnnotations", params=query)
    assert (answer.status_code, answer.content) == (200, b"")
    assert annotations_at(sandbox, SLIDE) == []


def test_the_ids_come_in_the_order_of_what_was_added(client: Client, sandbox: Sandbox) -> None:
    ids = save(client, added=[NEW, {**NEW, "Notes": "second", "AnnotationID": None}, {"LayerID": 2, "Geometry": "x"}])
    assert ids == sorted(set(ids))
    found = annotations_at(sandbox, SLIDE)
    assert [(one["AnnotationID"], one["Notes"]) for one in found] == list(
        zip(ids, ["腫瘍", "second", None], strict=True)
    )
    assert found[0]["AuditCreatedBy"] == USER
    assert found[0]["AuditCreatedOn"].startswith("/Date(")


def test_update_and_delete(client: Client, sandbox: Sandbox) -> None:
    first, second = save(client, added=[NEW, NEW])
    assert (
        save(client, updated=[{**NEW, "AnnotationID": first, "Notes": "new"}], deleted=[{"AnnotationID": second}]) == []
    )
    assert [(one["AnnotationID"], one["Notes"]) for one in annotations_at(sandbox, SLIDE)] == [(first, "new")]


def test_all_or_nothing(client: Client, sandbox: Sandbox) -> None:
    assert "Code" in save(client, added=[NEW], deleted=[{"AnnotationID": 99}])
    assert annotations_at(sandbox, SLIDE) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"added": None},
        {"added": [{**NEW, "AnnotationID": 7}]},
        {"added": [{**NEW, "LayerID": "1"}]},
        {"added": [{**NEW, "Geometry": ""}]},
        {"added": [{**NEW, "Notes": 7}]},
        {"added": [{**NEW, "Dimensions": {}}]},
        {"updated": [NEW]},
        {"path": "Slides/none.svs"},
    ],
    ids=str,
)
def test_malformed_annotations_are_refused(client: Client, sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    assert "Code" in save(client, **{"added": [NEW], **wrong})
    assert annotations_at(sandbox, SLIDE) == []


def test_annotations_are_added_singly_and_deleted_by_layer(client: Client, sandbox: Sandbox) -> None:
    one = {"classification": "Tumor", "notes": "n", "geometry": "POINT(1 2)", "color": "#000000"}
    assert isinstance(client.post("AddAnnotation", pathOrUid=SLIDE, layerID=1, **one), int)
    assert isinstance(client.post("AddAnnotation", pathOrUid=SLIDE, layerID=2, **one), int)
    assert client.post("DeleteAnnotations", pathOrUid=SLIDE, layerID=1) is True
    assert [found["LayerID"] for found in annotations_at(sandbox, SLIDE)] == [2]


def test_a_user_who_may_not_annotate_may_read_annotations(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox()
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    annotate(sandbox, SLIDE, annotation())
    sandbox.restart(can_annotate=False)
    with Client(sandbox) as client:
        assert "CanAnnotate" in save(client, added=[NEW])["Message"]
    assert len(annotations_at(sandbox, SLIDE)) == 1


def test_the_same_slide_by_its_fingerprint_and_another_spelling(client: Client, sandbox: Sandbox) -> None:
    (sandbox.data / "Slides/copy.svs").write_bytes(b"x")
    (sandbox.data / "Slides/other.svs").write_bytes(b"y")
    for path in (SLIDE, "Slides/copy.svs", "Slides/other.svs"):
        annotate(sandbox, path, annotation())
    found = client.get("GetAnnotations", pathOrUid=SLIDE, fingerprint=client.get("GetFingerprint", pathOrUid=SLIDE))
    assert [one["Image"] for one in found] == [SLIDE, "Slides/copy.svs"]
    assert len(annotations_at(sandbox, "slides/A.SVS")) == 1


def test_two_servers_with_one_database(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    file = tmp_path / "shared.sqlite"
    one, other = (start_sandbox(name, database=file, user=name) for name in ("one", "other"))
    alone = start_sandbox("alone")
    for sandbox in (one, other, alone):
        (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    with Client(one) as client:
        ids = save(client, added=[NEW])
    assert [found["AnnotationID"] for found in annotations_at(other, SLIDE)] == ids
    with Client(other) as client:
        query = {"sessionID": client.session, "pathOrUid": SLIDE, "currentUserOnly": "true"}
        assert client.http.get("api/json/GetAnnotations", params=query).content == b""
    assert annotations_at(alone, SLIDE) == []
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_they_stay_over_a_restart_and_go_with_their_slide(client: Client, sandbox: Sandbox) -> None:
    save(client, added=[NEW])
    sandbox.restart()
    assert len(annotations_at(sandbox, SLIDE)) == 1
    with Client(sandbox) as again:
        assert again.post("DeleteSlide", path=SLIDE) is True
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    assert annotations_at(sandbox, SLIDE) == []


def test_a_save_that_breaks_down_in_the_middle(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(SaveHalf(), path="SaveAnnotations")
    body = {"sessionID": client.session, "pathOrUid": SLIDE, "added": [NEW, NEW], "updated": [], "deleted": []}
    assert client.http.post("api/json/SaveAnnotations", json=body).status_code == 500
    assert len(annotations_at(sandbox, SLIDE)) == 1


def test_a_limit_of_json_and_of_geometry(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(max_json=1000, strict_geometry=True)
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    with Client(sandbox) as client:
        assert len(save(client, added=[NEW])) == 1
        assert "no WKT" in save(client, added=[{**NEW, "Geometry": "broken ("}])["Message"]
        body = {"sessionID": client.session, "pathOrUid": SLIDE, "added": [NEW] * 20, "updated": [], "deleted": []}
        assert client.http.post("api/json/SaveAnnotations", json=body).status_code == 413
