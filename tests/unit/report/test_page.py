"""The HTML of a report: whatever the names are, nothing of them is markup, script or formula."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import stat
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.browser import Browser, find_browser
from support.records import ABOUT, ODD_NAMES, made_up_run

from pmarep.cli.report import report_observers
from pmarep.errors import UsageError
from pmarep.report.choose import choose_runs, report_of
from pmarep.report.exports import COLUMNS, to_csv, to_json
from pmarep.report.model import Report, build_report
from pmarep.report.page import to_html
from pmarep.report.write import ReportFormat, check_file, format_of, write_report
from pmarep.state.run_records import records_in
from pmarep.state.state_folders import state_folders
from pmarep.text import printable

TIME, LATER = "2026-11-27T20:00:00.000+00:00", "2026-11-27T20:00:01.000+00:00"
STARTED = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
NAMES = st.text(st.characters(), min_size=1) | st.sampled_from(
    [*ODD_NAMES, "</script><script>x", "<!--<script>", "&lt;", "{{js}}", "]]>", "\u2028", "\0", "'\"><b onclick=x>"]
)


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text in each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = [""]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1], []).append(data)

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["script"][0])
        return found


def report_with(name: str) -> Report:
    """A report in which everything that a file system, a server or a person can name is called `name`."""
    about = {**ABOUT, "sources": [name], "machine": name, "include": [name], "to": name}
    about["sites"] = [{"name": name, "url": name, "target": name}]
    lines = [
        {"event": "run", "time": TIME, "record": 1, "number": 1, **about},
        {"event": "slides", "first": 0, "below": name, "folder": name, "slides": [[name, name, 5, 1, name]]},
        {"event": "slide_finished", "time": TIME, "site": name, "slide": name * 2, "status": "failed", "error": name},
        {"event": "site_state", "time": TIME, "site": name, "state": "stopped", "reason": name},
        {"event": "progress", "time": LATER, "site": name, "bytes_sent": 1},
        {"event": "source_problem", "time": TIME, "path": name, "why": name, "detail": name},
        {"event": "notice", "time": TIME, "text": name},
        {"event": "annotations_finished", "time": TIME, "site": name, "slide": name * 2, "error": name},
    ]
    return build_report(lines, False)


PLAIN = Page(to_html(report_with("plain"))).elements


@given(NAMES)
@example("\ud800 of Windows")
def test_no_name_is_markup_or_script(name: str) -> None:
    text = to_html(report_with(name), Path("/state"))
    page = Page(text)
    # The same elements, with the same attributes, but for the values of those that say a name.
    assert [(tag, sorted(attributes)) for tag, attributes in page.elements] == [(t, sorted(a)) for t, a in PLAIN]
    assert len(page.texts["script"]) == 2
    assert page.data["names"] == [printable(name * 2)]
    assert page.data["errors"] == [printable(name)]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    text.encode()  # no lone surrogate


def test_the_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    text = to_html(report_with("x"))
    page = Page(text)
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(page.texts[tag][-1].encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(|innerHTML|eval\(", text.replace("http-equiv", ""))


def test_the_head_says_that_names_are_private_and_the_text_what_is_missing() -> None:
    text = to_html(report_with("x"))
    assert "names of patients" in text
    assert "<b>x: 1 slide failed</b>" in text
    assert "pmarep push x --sites x --to x --include x" in text


def report_of_lines(*lines: dict[str, Any], **about: Any) -> Report:
    """A report of one slide, `a/x`, which is to go to tokyo."""
    sites = [{"name": "tokyo", "url": "https://t/", "target": "Slides/in"}]
    first = {"event": "run", "time": TIME, "record": 1, "number": 1, **ABOUT, "sites": sites, **about}
    return build_report([first, *lines], False)


X = {"event": "slides", "first": 0, "below": "a/", "folder": "/a", "slides": [["x", "SVS", 5, 1]]}


def ended(**more: Any) -> dict[str, Any]:
    return {"event": "summary", "time": LATER, "exit_code": 1, "sites": {}, "left_out": {}, **more}


def test_what_could_not_be_looked_at_is_not_called_missing() -> None:
    stopped = {"event": "site_state", "time": TIME, "site": "tokyo", "state": "stopped", "reason": "wrong password"}
    text = to_html(report_of_lines(X, stopped, ended(), to="second"))
    assert "1 slide of 1 not known to be at every site" in text
    assert "What is missing" not in text
    assert "tokyo: 1 slide not tried, not known to be there" in text
    assert "https://t/ Slides/in/second<br>" in text
    assert "<td>0</td><td>0</td><td><b>1</b></td>" in text


def test_a_slide_that_needs_a_decision_has_no_command_to_repeat() -> None:
    line = {"event": "slide_finished", "time": TIME, "site": "tokyo", "slide": "a/x", "status": "failed"}
    text = to_html(report_of_lines(X, {**line, "error": "another is there", "needs_decision": True}, ended()))
    assert "1 slide needs a decision" in text
    assert "would replace it" in text
    assert "pmarep push" not in text
    assert Page(text).data["commands"] == {}


def test_a_folder_without_slides_is_the_reason() -> None:
    text = to_html(report_of_lines(ended(source={"empty": ["/e<b>"], "may_be_empty": False})))
    assert "No slide is in /e&lt;b&gt;; is its drive mounted?</p>" in text


EXCLUDED = {"event": "slides_known", "time": TIME, "site": "tokyo", "status": "excluded", "slides": [[0, 0]]}
RULED_OUT = {"event": "slide_finished", "time": TIME, "site": "tokyo", "slide": "a/y", "status": "left_out"}


WANTED, BUT = "where the site book wants it", "but for 1 that require leaves out there"


@pytest.mark.parametrize(
    ("lines", "tokyo", "said"),
    [
        ([EXCLUDED, RULED_OUT], {"left_out": 1}, f"Every slide is {WANTED}, {BUT}."),
        ([EXCLUDED, RULED_OUT], None, f"Every slide that was found by then is {WANTED}, {BUT}."),
        ([EXCLUDED], {"extra": 1}, f"Every slide of the source is {WANTED}; tokyo may have others."),
        ([RULED_OUT], {"left_out": 1}, f"Every slide is at every site, {BUT}."),
        ([], {"extra": 1}, "Every slide of the source is at every site; tokyo may have others."),
    ],
)
def test_it_is_said_of_no_slide_that_it_is_where_it_must_not_be(
    lines: list[dict[str, Any]], tokyo: dict[str, int] | None, said: str
) -> None:
    found = {**X, "slides": [["x", "SVS", 5, 1], ["y", "SVS", 5, 1]]}
    there = {"event": "slides_known", "time": TIME, "site": "tokyo", "status": "skipped", "slides": [[0, 1]]}
    summary = [] if tokyo is None else [ended(exit_code=4, sites={"tokyo": {"error": None, **tokyo}})]
    page = to_html(report_of_lines(found, there, *lines, *summary))
    assert said in page
    assert f"<td>{2 - len(lines)}</td><td>0</td><td>0</td>" in page  # there, missing, not tried


def test_a_command_is_in_the_page_as_a_shell_takes_it() -> None:
    report = report_with("a'b")
    assert Page(to_html(report)).data["commands"] == {
        "0": "pmarep push 'a'\"'\"'b/a'\"'\"'b' --sites 'a'\"'\"'b' --to 'a'\"'\"'b'"
    }


async def made_up(folder: Path, slides: int = 200, *, finished: bool = True) -> Report:
    await made_up_run(folder / "runs", slides, started=STARTED, finished=finished)
    return report_of(records_in(folder / "runs")[0])


async def test_everything_that_is_missing_is_there_without_the_script(tmp_path: Path) -> None:
    report = await made_up(tmp_path)
    listed = Page(to_html(report)).texts["li"]
    for index, _, _ in report.missing():
        assert printable(report.slides[index].path) in listed


async def test_a_killed_run_says_so(tmp_path: Path) -> None:
    report = await made_up(tmp_path, finished=False)
    assert "The run was killed or the machine went down" in to_html(report)
    assert json.loads(to_json(report))["runs"][0]["state"] == "killed"


async def test_json_has_names_as_they_are_and_csv_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    report = await made_up(tmp_path)
    text = to_json(report, tmp_path)
    assert text.isascii()
    data = json.loads(text)
    assert [slide["slide"] for slide in data["slides"]] == [slide.path for slide in report.slides]
    assert data["slides"][3]["sites"]["saopaulo"]["state"] == "failed"
    assert data["slides"][199]["sites"]["ghent"]["error"] == "ghent.example has not answered for 10m00s"
    assert data["missing"]["count"] == sum(1 for _ in report.missing())
    assert data["missing"]["command"].startswith("pmarep push '/data/cases 2026' --sites tokyo,saopaulo,ghent")

    table = to_csv(report)
    assert table.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(table[1:])))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 1 + 200 * 3
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert to_csv(report).count("\r\n") == len(rows)  # names have no line breaks


@given(NAMES)
def test_no_cell_of_a_table_is_a_formula(name: str) -> None:
    for row in csv.reader(io.StringIO(to_csv(report_with(name))[1:])):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)


def test_the_name_of_a_file_says_the_format() -> None:
    assert [format_of(Path(name)) for name in ("a.CSV", "a.json", "a.html", "a", "a.txt")] == [
        ReportFormat.CSV, ReportFormat.JSON, ReportFormat.HTML, ReportFormat.HTML, ReportFormat.HTML,
    ]  # fmt: skip


def test_a_report_is_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "x.html"
    file.write_text("old")
    file.chmod(0o644)
    write_report(file, b"new")
    assert file.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        link = tmp_path / "link"
        link.symlink_to(file)
        write_report(link, b"newer")
        assert link.is_symlink()
        assert file.read_bytes() == b"newer"


def test_a_file_that_cannot_be_written_is_said_before(tmp_path: Path) -> None:
    check_file(tmp_path / "x.html", "the report")
    with pytest.raises(UsageError, match="is a folder"):
        check_file(tmp_path, "the report")
    with pytest.raises(UsageError, match=r"there is no folder .*; make it first"):
        check_file(tmp_path / "none" / "x", "the report")


def test_a_dry_run_has_no_report(tmp_path: Path) -> None:
    assert report_observers(None, tmp_path, dry_run=True) == []
    with pytest.raises(UsageError, match="a dry run does nothing"):
        report_observers(tmp_path / "x", tmp_path, dry_run=True)


def test_a_run_is_chosen_by_number_id_or_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no record of any run"):
        choose_runs(state_folders([tmp_path]), None)
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("20261127T204200Z-3", "20261127T204230Z-4", "20261128T000000Z-5"):
        (runs / f"{name}.jsonl.gz").touch()

    def chosen(wanted: str | None) -> list[int]:
        return [record.number for record in choose_runs(state_folders([tmp_path]), wanted)]

    start = datetime(2026, 11, 27, 20, 42, tzinfo=UTC).astimezone().strftime("%Y-%m-%dT%H:%M")
    assert chosen(None) == [5]
    assert chosen("3") == [3]
    assert chosen(f"{start}:30") == [4]
    assert chosen("20261127T204200Z-3") == [3]
    with pytest.raises(UsageError, match=r"2 runs are .*: 4 \(.*\), 3 \(.*\); name one by its number"):
        chosen(start)
    with pytest.raises(UsageError, match=r"there is no run 9; the last ones are 5 \("):
        chosen("9")


@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium: apt install chromium")
async def test_the_matrix_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(to_html(await made_up(tmp_path)), "utf-8")
    with Browser(find_browser() or "") as browser:
        browser.open(page)
        count = "document.getElementById('count').textContent"
        assert browser.run(count) == "200 slides"
        browser.run("words.value = 'alert'; words.dispatchEvent(new Event('input'))")
        assert browser.run(count) == "1 of 200 slides"
        assert browser.run("document.querySelector('#rows th').textContent") == f"odd/{ODD_NAMES[0]}"
        browser.run("words.value = ''; only.checked = true; only.dispatchEvent(new Event('change'))")
        assert browser.run(count) == "137 of 200 slides"
        browser.run("document.querySelector('#rows td.cell').focus()")
        browser.press("ArrowDown")
        browser.press("ArrowRight")
        browser.press("Enter")
        assert "at saopaulo" in browser.run("document.getElementById('detail').textContent")
        browser.press("Escape")
        assert browser.run("document.getElementById('detail').hidden") is True
        browser.run("document.querySelector('button[data-show=\"1\"]').click()")
        assert browser.run(count) == "5 of 200 slides"
        assert browser.complaints == []


def test_what_a_mirror_has_deleted_and_left_is_in_every_format() -> None:
    gone = {"event": "slide_deleted", "time": LATER, "site": "tokyo", "slide": "=<b>.svs", "to": "Slides/in/=<b>.svs",
            "files": 2, "bytes": 2048}  # fmt: skip
    stays = {**gone, "event": "slide_extra", "slide": "z.svs", "reason": "only listed", "planned": False}
    site = {"error": None, "extra": 1, "deleted": 1, "mirror_error": None}
    report = report_of_lines(X, gone, stays, ended(sites={"tokyo": site}))
    page = Page(to_html(report))
    assert {"=<b>.svs", "z.svs"} <= set(page.texts["li"])
    assert "tokyo: 1 slide, 2.0 KiB" in page.texts["b"]
    found = json.loads(to_json(report))
    assert found["deleted"] == [{key: gone[key] for key in ("time", "site", "slide", "to", "files", "bytes")}]
    assert found["extra"][0]["reason"] == "only listed"
    rows = list(csv.DictReader(io.StringIO(to_csv(report).removeprefix("\ufeff"))))
    assert [(row["slide"], row["state"], row["error"]) for row in rows[1:]] == [
        ("'=<b>.svs", "deleted", ""), ("z.svs", "extra", "only listed")
    ]  # fmt: skip
