"""`pmarep forms compare`: forms and what was filled in at several sites, whatever their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pma_python import core, pma
from support.forms import fill_in, forms
from support.sandboxes import PASSWORD, USER, StartSandbox
from support.sites_cli import SitesCli

from pmacore_sandbox import CannedResponse, FormField, Sandbox

A, B = "Slides/in/a \u8178.svs", "Slides/in/sub/b.svs"


@pytest.fixture
def cli(tmp_path: Path) -> SitesCli:
    (tmp_path / "home").mkdir()
    return SitesCli(tmp_path / "home", {"NO_PROXY": "*"})


@pytest.fixture
def two(cli: SitesCli, start_sandbox: StartSandbox) -> list[Sandbox]:
    """Sites tokyo and ghent, with the same two slides and forms, and other ids of the forms."""
    boxes = [start_sandbox("tokyo", forms=forms(1)), start_sandbox("ghent", forms=forms(500))]
    for box in boxes:
        for slide in (A, B):
            (box.data / slide).parent.mkdir(parents=True, exist_ok=True)
            (box.data / slide).write_bytes(b"x" * 100)
    cli.write(tokyo=(boxes[0].url, "Slides/in"), ghent=(boxes[1].url, "Slides/in"))
    cli.environ.update({"PMAREP_PASSWORD_TOKYO": PASSWORD, "PMAREP_PASSWORD_GHENT": PASSWORD})
    return boxes


def compared(cli: SitesCli, *arguments: str, code: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    done = cli.pmarep("forms", "compare", "tokyo:", "ghent:", *arguments, "--json", code=code)
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last["summary"]["exit_code"] == code
    return lines, last["summary"]


def states(line: dict[str, Any]) -> list[str]:
    return [cell["state"] for cell in line["at"].values()]


def test_the_same_forms_and_data_with_other_ids(cli: SitesCli, two: list[Sandbox]) -> None:
    fill_in(two[0], A, 1, Diagnosis="Adenoma \u00fc", Stains=["G1", "G2"])
    fill_in(two[1], A, 500, Diagnosis="Adenoma \u00fc", Stains=["G2", "G1"])
    own = [box.open_sessions for box in two]
    lines, summary = compared(cli, "--all", code=0)
    assert [(line["form"], line.get("login"), states(line)) for line in lines] == [
        ("Quality", None, ["same", "same"]),
        ("Report", None, ["same", "same"]),
        ("Report", USER, ["same", "same"]),
    ]
    assert (summary["forms"]["same"], summary["submissions"]["same"]) == (2, 1)
    done = cli.pmarep("forms", "compare", "tokyo:", "ghent:")
    assert done.stdout == "2 forms: 2 the same everywhere\n1 submission: 1 the same everywhere\n"
    assert [box.open_sessions for box in two] == own


def test_what_is_missing_and_what_differs_is_told_without_values(cli: SitesCli, two: list[Sandbox]) -> None:
    fill_in(two[0], A, 1, Diagnosis="Ms Tanaka", Grade=["G1"])
    fill_in(two[1], A, 500, Diagnosis="Mr Sato", Grade=["G1"])
    fill_in(two[1], B, 507, Focus="sharp")
    (two[0].data / B).unlink()
    done = cli.pmarep("forms", "compare", "tokyo:", "ghent:", code=1)
    assert (
        f"there\tdiffers: values\ta \u8178.svs: Report, {USER}\tghent: 'Diagnosis' has another value than at tokyo"
        in done.stdout
    )
    assert f"missing\tthere\tsub/b.svs: Quality, {USER}\ttokyo: the slide is not there" in done.stdout
    assert not any(name in done.stdout + done.stderr for name in ("Tanaka", "Sato", "sharp"))
    shown = cli.pmarep("forms", "compare", "tokyo:", "ghent:", "--values", code=1).stdout
    assert "'Diagnosis' is 'Mr Sato', and 'Ms Tanaka' at tokyo" in shown


def test_a_form_that_is_missing_or_asks_something_else(cli: SitesCli, two: list[Sandbox]) -> None:
    two[1].restart(forms=forms(500, grades=("G1", "G2"))[:1])
    lines, _ = compared(cli, code=1)
    assert [(line["form"], states(line)) for line in lines] == [
        ("Quality", ["there", "missing"]),
        ("Report", ["there", "differs"]),
    ]
    assert lines[1]["at"]["ghent"]["differs"] == ["lists"]


def test_forms_of_other_root_directories_do_not_count(cli: SitesCli, two: list[Sandbox]) -> None:
    report, quality = forms(500)
    elsewhere = type(quality)(quality.id, quality.name, quality.fields, roots=("Boxes",))
    two[1].restart(forms=(report, elsewhere), roots=("Slides", "Boxes"))
    lines, _ = compared(cli, code=1)
    assert [(line["form"], states(line)) for line in lines] == [("Quality", ["there", "missing"])]


def test_a_server_that_only_knows_the_get_of_the_sdks(cli: SitesCli, two: list[Sandbox]) -> None:
    fill_in(two[0], A, 1, Diagnosis="x")
    two[0].faults.add(CannedResponse.iis(405), method="POST", path="GetFormSubmissions")
    lines, _ = compared(cli, code=1)
    assert [states(line) for line in lines] == [["there", "missing"]]


def test_refused_forms_are_unknown_and_not_missing(cli: SitesCli, two: list[Sandbox]) -> None:
    fill_in(two[0], A, 1, Diagnosis="x")
    fill_in(two[0], B, 1, Diagnosis="x")
    refusal = CannedResponse(200, '{"Code": 1, "Message": "no right"}')
    two[1].faults.add(refusal, path="GetFormSubmissions", times=2)  # the POST and the GET of one slide
    lines, summary = compared(cli, "--include", "a*", code=1)
    assert [states(line) for line in lines if "slide" in line] == [["there", "unknown"]]
    assert summary["not_told"] == 1
    two[1].faults.add(refusal, path="GetFormDefinitions")
    assert "no right" in cli.pmarep("forms", "compare", "tokyo:", "ghent:", code=1).stderr


def test_a_form_of_which_only_the_id_is_told_may_be_any(cli: SitesCli, two: list[Sandbox]) -> None:
    two[1].faults.add(CannedResponse(200, "[]"), path="GetFormDefinitions")
    lines, summary = compared(cli, code=1)
    assert [states(line) for line in lines if "form" in line] == [["there", "unknown"]] * 2
    assert sorted((line["not_told"], line["why"]) for line in lines if "not_told" in line) == [
        ("form 500", "the server does not say what it asks"),
        ("form 507", "the server does not say what it asks"),
    ]
    assert (summary["forms"]["unknown"], summary["not_told"]) == (2, 2)


def test_several_forms_of_one_name(cli: SitesCli, two: list[Sandbox]) -> None:
    """The first one is compared, which is said; what was filled into any of them counts as filled into that name."""
    report, quality = forms(500)
    other = type(report)(600, "REPORT", (FormField(601, "Else"),))
    two[1].restart(forms=(report, quality, other))
    fill_in(two[0], A, 1, Diagnosis="x")
    fill_in(two[1], A, 600, Else="x")
    lines, summary = compared(cli, "--all", code=1)
    assert [(line["form"], states(line)) for line in lines if "form" in line] == [
        ("Quality", ["same", "same"]),
        ("Report", ["same", "same"]),
        ("Report", ["there", "differs"]),
    ]
    assert [(line["not_told"], line["why"]) for line in lines if "not_told" in line] == [
        ("form report", "several forms have this name; the first one was compared")
    ]
    assert summary["not_told"] == 1


@pytest.mark.parametrize("arguments", [["tokyo:"], ["tokyo:", "cases"], ["tokyo:", "ghent:nope"], ["tokyo:", "tokyo:"]])
def test_wrong_usage(cli: SitesCli, two: list[Sandbox], arguments: list[str]) -> None:
    assert len(two) == 2
    (cli.folder / "cases").mkdir()
    assert len(cli.pmarep("forms", "compare", *arguments, code=2).stderr.splitlines()) == 1


@pytest.fixture
def session(two: list[Sandbox]) -> Iterator[Any]:
    yield core.connect(two[0].url, USER, PASSWORD)
    pma._pma_clear_url_cache()
    for table in (core._pma_sessions, core._pma_usernames, core._pma_slideinfos):
        table.clear()


def test_the_official_client_reads_the_forms_of_the_sandbox(two: list[Sandbox], session: Any) -> None:
    """It keeps the sandbox honest."""
    assert core.get_available_forms(A, session) == {1: "Report", 8: "Quality"}
    assert core.prepare_form_dictionary("Report", session) == {"Diagnosis": None, "Grade": None, "Stains": None}
    assert core.get_submitted_forms(A, session) == {}
    fill_in(two[0], A, 1, Diagnosis="x")
    assert core.get_submitted_forms(A, session) == {1: "Report"}
    assert [one["FormID"] for one in core.get_submitted_form_data(A, session)] == [1]
