"""The records that real runs leave, also one that is killed, and their reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from support.corpus import tree
from support.fork_server import LatePatch, run
from support.push_cli import PushCli, wait_until

from pmacore_sandbox import CannedResponse, Sandbox, SlowRead
from pmarep.state.run_records import RunFile, records_in


def newest(cli: PushCli) -> RunFile:
    return records_in(cli.state / "runs")[0]


def of(record: RunFile, event: str) -> list[dict[str, Any]]:
    return [line for line in record.lines() if line["event"] == event]


def test_a_run_and_the_next_one_over_what_is_there(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a/1.svs", "a/2.svs", "b.svs", content=os.urandom(100))
    tree(cli.source, "empty.svs", content=b"")
    cli.site("tokyo", sandbox)
    first = cli.push()
    record = newest(cli)
    (about,) = of(record, "run")
    assert about["sources"] == [str(cli.source)]
    assert about["sites"] == [{"name": "tokyo", "url": sandbox.url, "target": "Slides/in"}]
    assert about["config"] == str(cli.book)
    assert not record.is_running()
    for event in ("slide_finished", "source_problem", "site_state", "summary", "slide_started"):
        assert of(record, event) == [line for line in first.events if line["event"] == event]
    assert all(line["verified_by"] == "size" for line in of(record, "slide_finished"))
    found = {line["below"] + row[0]: row[2] for line in of(record, "slides") for row in line["slides"]}
    assert found == {"a/1.svs": 100, "a/2.svs": 100, "b.svs": 100}

    tree(cli.source, "c.svs", content=os.urandom(100))
    second = cli.push()
    record = newest(cli)
    assert [line["slide"] for line in of(record, "slide_finished")] == ["c.svs"]
    ranges = [one for line in of(record, "slides_known") for one in line["slides"]]
    numbers = [number for low, high in ranges for number in range(low, high + 1)]
    names = [line["below"] + row[0] for line in of(record, "slides") for row in line["slides"]]
    assert sorted(names[number] for number in numbers) == ["a/1.svs", "a/2.svs", "b.svs"]
    skipped = [line for line in second.finished("tokyo").values() if line["status"] == "skipped"]
    assert {line["verified_by"] for line in skipped} == {"listing"}

    assert cli.push("--dry-run").code == 1
    assert len(records_in(cli.state / "runs")) == 2
    assert cli.verify("--level", "deep").code == 1
    assert {line["verified_by"] for line in of(newest(cli), "slide_finished")} == {"deep"}


def test_the_summary_is_the_last_line_where_the_end_of_the_record_cannot_be_written(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a.svs", content=os.urandom(100))
    cli.site("tokyo", sandbox)
    patch = """
from pmarep.state.run_record import _PackedFile
write = _PackedFile.write
def full(self, lines, last=False):
    if last:
        raise OSError(28, "No space left on device")
    write(self, lines)
_PackedFile.write = full
"""
    done = cli.push(patch=LatePatch(patch))
    assert (done.code, done.events[-1]["event"]) == (0, "summary")
    (text,) = [event["text"] for event in done.events if event["event"] == "notice"]
    assert text.startswith("cannot write the record of this run")


def test_a_killed_run_has_reported_what_arrived(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "quick.svs", content=os.urandom(100))
    tree(cli.source, "slow.svs", content=os.urandom(300_000))
    cli.site("tokyo", sandbox)
    sandbox.faults.add(SlowRead(1000.0), path="slow.svs")
    with cli.start() as running:
        running.wait_for(lambda event: event["event"] == "slide_finished")
        wait_until(lambda: bool(of(newest(cli), "slide_finished")))
        assert newest(cli).is_running()
        running.kill()
    record = newest(cli)
    assert not record.is_running()
    assert [line["slide"] for line in of(record, "slide_finished")] == ["quick.svs"]
    assert {line["slide"] for line in of(record, "slide_started")} == {"quick.svs", "slow.svs"}
    assert of(record, "summary") == []


def test_a_push_writes_its_report_and_one_of_the_last_run_can_be_made(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a.svs", "b.svs", content=os.urandom(100))
    cli.site("tokyo", sandbox)
    cli.site("away", "http://127.0.0.1:9/")
    page, table = tmp_path / "report.html", tmp_path / "report.csv"
    assert cli.push("--report", str(page)).code == 1
    text = page.read_text("utf-8")
    assert "2 slides of 2 not known to be at every site" in text
    assert "pmarep push" in text
    assert str(cli.book) in text
    verified = cli.run("--sites", "tokyo", "--report", str(table), command="verify")
    assert verified.code == 0
    assert {line.split(",")[7] for line in table.read_text("utf-8-sig").splitlines()} == {"state", "verified"}
    done = run(["report", "--format", "json", "--state-dir", str(cli.state)], cli.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert {slide["sites"]["tokyo"]["state"] for slide in json.loads(done.stdout)["slides"]} == {"verified"}
    first = run(["report", "1", "-o", str(page), "--state-dir", str(cli.state)], cli.environment)
    assert first.stdout == f"the report of run 1 is {page}\n"
    assert text == page.read_text("utf-8")


def test_a_report_that_cannot_be_written_is_one_line_and_exit_code_1(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a.svs", content=os.urandom(100))
    cli.site("tokyo", sandbox)
    patch = "import pmarep.report.write\ndef fail(*_): raise OSError(28, 'No space left on device')\n"
    patch += "pmarep.report.write.replace_private_file = fail"
    done = cli.push("--report", str(tmp_path / "x.html"), patch=LatePatch(patch))
    assert done.code == 1
    assert (
        done.stderr
        == f"pmarep: cannot write the report {tmp_path / 'x.html'}: No space left on device; name another file\n"
    )
    assert done.events[-1]["exit_code"] == 0
    before = len(sandbox.requests)
    refused = cli.push("--report", str(tmp_path))
    assert refused.code == 2
    assert "is a folder" in refused.stderr
    assert len(sandbox.requests) == before


def test_thumbnails_come_from_the_first_site_that_has_the_slide(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a.svs", "b & c.svs", content=os.urandom(100))
    cli.site("away", "http://127.0.0.1:9/")
    cli.site("tokyo", sandbox)
    assert cli.push().code == 1
    sandbox.faults.add(CannedResponse(200, "no picture", "text/plain"), path="thumbnail.*a.svs")
    page = tmp_path / "page.html"
    options = ["--config", str(cli.book), "--state-dir", str(cli.state)]
    done = run(["report", "--thumbnails", "-o", str(page), *options], cli.environment)
    assert (done.returncode, done.stderr) == (0, "")
    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 1
    asked = [request for request in sandbox.requests if request.path.startswith("thumbnail")]
    assert len(asked) == 2
    assert sandbox.requests[-1].path.lower().startswith("api/json/deauthenticate")
    cli.book.write_text(cli.book.read_text("utf-8").replace("Slides/in", "Slides/elsewhere"), "utf-8")
    gone = run(["report", "--thumbnails", "-o", str(page), *options], cli.environment)
    assert gone.stderr == "".join(
        f"pmarep: no thumbnails from {name}: it is not in the site book as it was then\n" for name in ("away", "tokyo")
    )
    assert "data:image/png" not in page.read_text("utf-8")
