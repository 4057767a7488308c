"""Short sessions, and others who answer in PMA.core's place for a while: nothing is wrong with slides or user."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import in_process
from support.corpus import tree
from support.sandboxes import PASSWORD

from pmacore_sandbox import CannedResponse, EndSessions, Sandbox
from pmarep.sites import Site

SLIDES = 4
FIREWALL = CannedResponse(
    403, "<!DOCTYPE html><html><title>Request Rejected</title>Your support ID is: 7</html>", "text/html"
)


async def pushed(tmp_path: Path, sandbox: Sandbox) -> in_process.Report:
    tree(tmp_path / "cases", *(f"case {number % 3}/{number}.svs" for number in range(SLIDES)))
    site = Site(name="tokyo", url=sandbox.url, username="seeder", target="Slides/in")
    return await in_process.push(
        tmp_path / "cases", [site], tmp_path / "state", PASSWORD, patience=3600.0, connections=2
    )


@pytest.mark.parametrize(("every", "status"), [(3, None), (3, 403), (4, None), (9, 403)])
async def test_a_session_ends_with_every_few_calls(
    tmp_path: Path, sandbox: Sandbox, every: int, status: int | None
) -> None:
    rule = sandbox.faults.add(EndSessions(status), every=every)
    report = await pushed(tmp_path, sandbox)
    assert report.code == 0, report.error("tokyo")
    assert rule.hits
    assert len(list((sandbox.data / "Slides/in").rglob("*.svs"))) == SLIDES


@pytest.mark.parametrize("every", [4, 15])
async def test_a_firewall_answers_now_and_then(tmp_path: Path, sandbox: Sandbox, every: int) -> None:
    rule = sandbox.faults.add(FIREWALL, every=every)
    report = await pushed(tmp_path, sandbox)
    assert report.code == 0, report.error("tokyo")
    assert rule.hits


async def test_a_slide_that_a_firewall_never_lets_through(tmp_path: Path, sandbox: Sandbox) -> None:
    """That one fails, and it is said who does not want it; the others arrive."""
    sandbox.faults.add(FIREWALL, path="path=3.svs")
    report = await pushed(tmp_path, sandbox)
    failed = [slide for slide, event in report.finished("tokyo").items() if event.error]
    assert failed == ["case 0/3.svs"]
    assert 'a web page ("Request Rejected"), which is not PMA.core\'s' in report.error("tokyo")


@pytest.mark.parametrize("path", ["", "path=", "GetImageInfo", "transfer/Upload$"])
async def test_a_captive_portal_in_the_middle_of_a_run(tmp_path: Path, sandbox: Sandbox, path: str) -> None:
    portal = CannedResponse(302, headers={"Location": "http://portal.example/login"})
    rule = sandbox.faults.add(portal, path=path, after=8 if path == "" else 1, times=30)
    report = await pushed(tmp_path, sandbox)
    assert report.code == 0, report.error("tokyo")
    assert rule.hits


async def test_a_url_that_redirects_from_the_beginning_is_wrong(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse(302, headers={"Location": "http://elsewhere.example/"}))
    report = await pushed(tmp_path, sandbox)
    assert "redirects to http://elsewhere.example/; use " in report.error("tokyo")
