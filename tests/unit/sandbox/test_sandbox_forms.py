"""The sandbox's forms: what published clients send is taken, what a server may refuse is refused."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.forms import fill_in, forms
from support.sandbox_client import Client
from support.sandboxes import USER, StartSandbox

from pmacore_sandbox import Sandbox

SLIDE = "Slides/a.svs"
FOCUS = {"FieldId": 10, "FormValue": "sharp", "IsOtherValue": False, "IsBelowDetectableLimit": False}


@pytest.fixture
def box(start_sandbox: StartSandbox) -> Sandbox:
    quality = replace(forms()[1], roots=("Slides",))
    box = start_sandbox(roots=("Slides", "Boxes"), forms=(forms()[0], quality, replace(quality, id=99, read_only=True)))
    for root in ("Slides", "Boxes"):
        (box.data / root / "a.svs").write_bytes(b"x")
    return box


@pytest.fixture
def client(box: Sandbox) -> Iterator[Client]:
    with Client(box) as client:
        yield client


def save(client: Client, **changes: Any) -> Any:
    return client.post("SaveFormData", **{"pathOrUid": SLIDE, "formId": 8, "fieldValues": [FOCUS], **changes})


def test_definitions_are_those_of_a_root_directory_or_with_some_ids(client: Client) -> None:
    def ids(**query: str) -> list[int]:
        return [one["FormID"] for one in client.get("GetFormDefinitions", **query)]

    assert ids() == ids(formIDs="", rootDirectoryAlias="") == [1, 8, 99]
    assert ids(formIDs="1,99") == [1, 99]
    assert ids(rootDirectoryAlias="boxes") == [1]
    report = client.get("GetFormDefinitions")[0]
    assert report["FormName"] == "Report"
    assert report["FormFields"][0]["FormList"] is None
    assert report["FormFields"][1]["FormList"]["FormListValues"][0] == {"ValueID": 10, "Value": "G1"}


def test_the_forms_of_a_folder(client: Client) -> None:
    assert client.get("GetForms", path="Boxes/x") == [{"Key": 1, "Value": "Report"}]
    assert [one["Key"] for one in client.get("GetForms")] == [1, 8, 99]


def test_what_was_saved_is_there_once_for_each_user(client: Client, box: Sandbox) -> None:
    assert client.get("GetFormSubmissions", pathOrUids=SLIDE) == []
    assert save(client) is True
    assert save(client, fieldValues=[{**FOCUS, "FormValue": "blurred"}]) is True
    (data,) = client.get("GetFormData", pathOrUid=SLIDE, formId="8")
    assert (data["Login"], [one["FormValue"] for one in data["FieldValues"]]) == (USER, ["blurred"])
    box.restart(user="anna")
    with Client(box) as other:
        assert save(other) is True
        assert [one["Login"] for one in other.get("GetFormData", pathOrUid=SLIDE, formId="8")] == ["anna", USER]
        own = other.get("GetFormData", pathOrUid=SLIDE, formId="8", currentUserOnly="true")
        assert [one["Login"] for one in own] == ["anna"]
        posted = other.post("GetFormSubmissions", pathOrUids=[SLIDE, "Boxes/a.svs"], formIDs=[], currentUserOnly=False)
        assert posted == other.get("GetFormSubmissions", pathOrUids=SLIDE) == [{"FormID": 8}, {"FormID": 8}]
        assert other.post("GetFormSubmissions", pathOrUids=[SLIDE], formIDs=[1], currentUserOnly=False) == []
        assert len(other.post("GetFormSubmissions", pathOrUids=[SLIDE], formIDs=[], currentUserOnly=True)) == 1
        other.post("DeleteSlide", path=SLIDE)
        (box.data / SLIDE).write_bytes(b"x")
        assert other.get("GetFormSubmissions", pathOrUids=SLIDE) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"formId": 2},
        {"formId": "8"},
        {"formId": 99},
        {"pathOrUid": "Boxes/a.svs"},
        {"pathOrUid": "Slides/none.svs"},
        {"fieldValues": None},
        {"fieldValues": [{**FOCUS, "FieldId": 4}]},
        {"fieldValues": [FOCUS, FOCUS]},
        {"fieldValues": [{**FOCUS, "FormValue": 7}]},
        {"fieldValues": [{**FOCUS, "IsOtherValue": True}]},
        {"fieldValues": [{**FOCUS, "IsBelowDetectableLimit": "no"}]},
        {"formId": 1, "fieldValues": [{"FieldId": 2, "FormValue": "10|11"}]},
        {"formId": 1, "fieldValues": [{"FieldId": 3, "FormValue": "10|77"}]},
    ],
)
def test_what_a_form_does_not_take_is_refused(client: Client, changes: dict[str, Any]) -> None:
    assert "Message" in save(client, **changes)
    assert client.get("GetFormSubmissions", pathOrUids=SLIDE) == []


def test_values_that_can_be_chosen_are_taken_by_their_ids(client: Client, box: Sandbox) -> None:
    fill_in(box, SLIDE, 1, Stains=["G3 \u00fc", "G1"], Grade_other="unknown")
    (data,) = client.get("GetFormData", pathOrUid=SLIDE, formId="1")
    assert [one["FormValue"] for one in data["FieldValues"]] == [None, "unknown", "12|10"]


@pytest.mark.parametrize(
    "body", [{}, {"pathOrUids": []}, {"pathOrUids": "x"}, {"pathOrUids": [SLIDE], "formIDs": ["1"]}]
)
def test_submissions_of_nothing_are_refused(client: Client, body: dict[str, Any]) -> None:
    assert "Message" in client.post("GetFormSubmissions", **body)


def test_servers_that_share_a_database_have_the_same_data(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    shared = tmp_path / "database.sqlite"
    one, other = (start_sandbox(name, database=shared, forms=forms()) for name in ("one", "other"))
    for box in (one, other):
        (box.data / SLIDE).write_bytes(b"x")
    fill_in(one, SLIDE, 8, Focus="sharp")
    with Client(other) as client:
        assert client.get("GetFormSubmissions", pathOrUids=SLIDE) == [{"FormID": 8}]
    if sys.platform != "win32":
        assert stat.S_IMODE(shared.stat().st_mode) == 0o600
