"""`require` and `prepare` of the site book: what may leave, and as what. Real commands, a real client, real sockets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tiny_tiff, write_mirax
from support.corpus_labels import APERIO_LABEL, aperio, write_tiff
from support.fork_server import PATIENCE
from support.gate import PATIENT, STRIP, TWO_AT_ONCE, Gate, Wire, leaked
from support.push_cli import PushCli, arrived, contents, transfers
from support.waiting import until

from pmacore_sandbox import Sandbox
from pmacore_sandbox.faults import Hold


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(PushCli(tmp_path / "cli"), tmp_path)


def audit_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# require


def test_require_lets_slides_pass_and_leaves_others_out(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    cli = gate.cli
    cli.site("strict", sandbox, require=gate.require())
    cli.site("open", sandbox, "Slides/open")
    for name in ("a.svs", "deep/secret 1.svs"):
        gate.slide(name)
    result = cli.push("--audit", str(tmp_path / "audit"))
    assert result.code == 4
    finished = result.finished("strict")
    assert {name: event["status"] for name, event in finished.items()} == {
        "a.svs": "sent", "deep/secret 1.svs": "left_out",
    }  # fmt: skip
    assert finished["deep/secret 1.svs"]["error"] == "no consent for secret 1"
    at = result.summary["sites"]["strict"]
    assert (at["sent"], at["left_out"], at["failed"]) == (1, 1, 0)
    assert result.summary["sites"]["open"]["sent"] == 2
    assert list(arrived(sandbox)) == ["a.svs"]
    left = [line for line in audit_lines(tmp_path / "audit") if line["status"] == "left_out"]
    assert [(line["site"], line["error"]) for line in left] == [("strict", "no consent for secret 1")]
    assert gate.runs() == ["1.svs", "a.svs", "secret"]

    verified = cli.verify("--json")
    assert verified.code == 4
    assert verified.finished("strict")["deep/secret 1.svs"]["status"] == "left_out"
    assert cli.push().code == 4
    assert gate.runs().count("a.svs") == 1  # it is there


def test_what_is_left_out_is_said_to_people(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    gate.cli.site("strict", sandbox, require=gate.require())
    for name in ("a.svs", "secret.svs"):
        gate.slide(name)
    report = tmp_path / "report.html"
    result = gate.cli.run("--report", str(report))
    assert "strict: left out secret.svs: no consent for secret" in result.lines
    assert any(line.startswith("strict  1 sent, 0 skipped, 0 failed, 1 left out; ") for line in result.lines)
    assert result.lines[-1] == ("1 slide left out by require at strict; see above; every other slide is at every site")
    assert "but for 1 that require leaves out there" in report.read_text(encoding="utf-8")
    assert "no consent for secret" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nonexistent/command", "{slide}"], "require (/nonexistent/command) could not be started: "),
        ([sys.executable, "-c", "import time; time.sleep(99)", "{slide}"], "was not done in 1s and was ended"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)", "{slide}"], "was ended by signal 9"),
    ],
)
def test_a_require_that_cannot_answer_fails_the_slide(
    gate: Gate, sandbox: Sandbox, command: list[str], words: str
) -> None:
    gate.cli.site("a", sandbox, require=command)
    with gate.cli.book.open("a") as book:
        book.write(f"[gate]\ntimeout = {1 if 'sleep' in command[-2] else PATIENCE:.0f}\n")
    gate.slide("a.svs")
    result = gate.cli.push()
    assert result.code == 1
    assert words in result.finished("a")["a.svs"]["error"]
    assert arrived(sandbox) == {}


def test_nothing_that_was_written_after_the_answer_is_sent(
    gate: Gate, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what is written into the file while it is sent, with its time put back."""
    wire, hold = Wire(monkeypatch), Hold()
    gate.cli.site("a", sandbox, require=gate.require())
    slide = gate.cli.source / "a.svs"
    slide.write_bytes(tiny_tiff(5_000_000))
    os.utime(slide, (1e9, 1e9))
    sandbox.faults.add(hold, path="path=", method="POST")
    with gate.cli.start("--bwlimit", "1M") as running:  # else it may be read already
        assert hold.reached.wait(PATIENCE)
        with slide.open("r+b") as file:
            for at in range(10_000, 5_000_000, 100_000):
                file.seek(at)
                file.write(PATIENT)
        os.utime(slide, (1e9, 1e9))
        hold.release()
        result = running.result()
    assert result.code == 1
    assert "while being sent" in result.finished("a")["a.svs"]["error"]  # changed or replaced, by when it is seen
    assert wire.leaks == set()


def test_a_slide_that_is_half_there_is_asked_about_again(gate: Gate, sandbox: Sandbox) -> None:
    """The consent was taken back between two runs."""
    gate.cli.site("a", sandbox, require=gate.require("pass"))
    write_mirax(gate.cli.source / "m.mrxs", data_files=4, data_size=100_000)
    hold = Hold()
    sandbox.faults.add(hold, path="path=", method="POST", after=4)
    with gate.cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.kill()
    hold.release()
    assert sandbox.wait_idle()
    sandbox.clear_requests()
    gate.cli.book.write_text("")
    gate.cli.site("a", sandbox, require=gate.require("import sys; sys.exit('not any more')"))
    result = gate.cli.push()
    assert result.code == 4
    assert result.finished("a")["m.mrxs"]["error"] == "not any more"
    assert transfers(sandbox) == []


# prepare


def test_what_prepare_makes_is_sent_and_nothing_else(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    cli = gate.cli
    cli.site("a", sandbox, "Slides/a", prepare=gate.prepare())
    cli.site("b", sandbox, "Slides/b", prepare=gate.prepare())
    clean = {"a.svs": gate.slide("a.svs"), "Müller & Söhne/b #1.svs": gate.slide("Müller & Söhne/b #1.svs")}
    write_mirax(cli.source / "deep" / "m.mrxs")
    with (cli.source / "deep" / "m" / "Data0000.dat").open("ab") as file:
        file.write(b"\0" + PATIENT)
    before = contents(cli.source)
    result = cli.push("--audit", str(tmp_path / "audit"), "--verify", "deep")
    assert result.code == 0
    assert contents(cli.source) == before
    there = arrived(sandbox, "Slides/a")
    assert there == arrived(sandbox, "Slides/b")
    assert {name: there[name] for name in clean} == clean
    assert set(there) == set(before)
    assert leaked(sandbox.data) == []
    assert len(gate.runs()) == 4  # one name has a blank
    size = len(clean["a.svs"])
    assert result.finished("a")["a.svs"]["bytes"] == size
    [line, _] = [line for line in audit_lines(tmp_path / "audit") if line["slide"] == "a.svs"]
    assert line["source"] == str(cli.source)
    assert line["files"][0]["bytes"] == size
    assert line["prepared"]["source_files"][0]["bytes"] == len(before["a.svs"])

    again = cli.push()
    assert again.counts("a") == (0, 3, 0)
    assert cli.verify("--json").code == 0
    assert len(gate.runs()) == 4


def test_where_every_site_has_the_result_it_is_not_made_again(gate: Gate, sandbox: Sandbox) -> None:
    cli = gate.cli
    cli.site("a", sandbox, "Slides/a", prepare=gate.prepare())
    gate.slide("a.svs")
    assert cli.push().code == 0
    for result in (cli.state / "prepared" / "results").iterdir():
        for file in result.iterdir():
            file.unlink()
        result.rmdir()
    assert cli.push().counts("a") == (0, 1, 0)
    assert cli.verify("--json").code == 0
    assert gate.runs() == ["a.svs"]
    cli.site("b", sandbox, "Slides/b", prepare=gate.prepare())
    assert cli.push().code == 0
    assert gate.runs() == ["a.svs", "a.svs"]
    assert cli.push("--verify", "deep").code == 0
    assert gate.runs() == ["a.svs", "a.svs"]
    assert arrived(sandbox, "Slides/a") == arrived(sandbox, "Slides/b")


BAD = {
    "fails": ("print('cannot read it'); sys.exit(3)", "ended with exit code 3: cannot read it; nothing was sent"),
    "hangs": ("import time; (out / slide.name).write_bytes(raw); time.sleep(99)", "was not done in 1s and was ended"),
    "nothing": ("pass", "has left nothing in {out}, where secret.svs was to be"),
    "other name": ("(out / 'clean.svs').write_bytes(raw)", "has left clean.svs, where secret.svs was to be"),
    "two": ("[(out / n).write_bytes(raw) for n in (slide.name, 'b.svs')]", "has left 2 slides (b.svs, secret.svs)"),
    "no slide": ("(out / 'readme.xyz').write_bytes(raw)", "has left nothing that is a slide (readme.xyz)"),
    "half": ("(out / slide.name).write_bytes(b'')", "has left secret.svs, which cannot be sent"),
    "outside": ("(out.parent / slide.name).write_bytes(raw)", "has left nothing in {out}"),
    "a link": ("(out / slide.name).symlink_to(slide)", "has left secret.svs, which cannot be sent"),
    "a hard link": ("(out / slide.name).hardlink_to(slide)", "as a link to another file; it has to copy"),
    "a folder that is a link": ("out.rmdir(); out.symlink_to(slide.parent)", "prepare"),
}


@pytest.mark.parametrize(("code", "words"), BAD.values(), ids=BAD)
def test_what_a_bad_prepare_leaves_is_a_failed_slide(
    gate: Gate, sandbox: Sandbox, code: str, words: str, request: pytest.FixtureRequest
) -> None:
    head = "import sys, pathlib\nslide, out = map(pathlib.Path, sys.argv[1:3])\nraw = slide.read_bytes()\n"
    gate.cli.site("a", sandbox, prepare=gate.prepare(head + code))
    with gate.cli.book.open("a") as book:
        book.write(f"[gate]\ntimeout = {1 if 'time' in code else PATIENCE:.0f}\n")
    gate.slide("secret.svs")
    before = contents(gate.cli.source)
    info = (gate.cli.source / "secret.svs").stat()
    result = gate.cli.push()
    assert result.code == 1
    assert words in result.finished("a")["secret.svs"]["error"]
    assert arrived(sandbox, "Slides") == {}
    assert contents(gate.cli.source) == before
    after = (gate.cli.source / "secret.svs").stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_nlink) == (info.st_mtime_ns, info.st_mode, 1)
    assert leaked(gate.cli.state) == []


def test_a_command_that_cannot_be_had_is_a_failed_slide_at_every_site(gate: Gate, sandbox: Sandbox) -> None:
    for name in ("a", "b"):
        gate.cli.site(name, sandbox, f"Slides/{name}", prepare=["/nonexistent", "{slide}", "{out}"])
    gate.slide("secret.svs")
    result = gate.cli.push()
    for name in ("a", "b"):
        assert "prepare (/nonexistent) could not be started" in result.finished(name)["secret.svs"]["error"]
    assert arrived(sandbox, "Slides") == {}


def test_a_source_that_changes_while_it_is_prepared_is_not_sent(gate: Gate, sandbox: Sandbox) -> None:
    code = STRIP + "\nslide.write_bytes(slide.read_bytes() + b'more')\n"
    gate.cli.site("a", sandbox, prepare=gate.prepare(code))
    gate.slide("a.svs")
    result = gate.cli.push()
    assert result.code == 1
    assert "changed while being sent" in result.finished("a")["a.svs"]["error"]
    assert arrived(sandbox, "Slides") == {}


def test_many_slides_to_three_sites_are_prepared_once_each(gate: Gate, sandbox: Sandbox) -> None:
    for name in ("a", "b", "c"):
        gate.cli.site(name, sandbox, f"Slides/{name}", prepare=gate.prepare())
    for number in range(30):
        gate.slide(f"{number}.svs", 100)
    assert gate.cli.push().code == 0
    assert len(gate.runs()) == 30
    assert leaked(sandbox.data) == []
    result = gate.cli.push()
    assert [result.counts(name) for name in ("a", "b", "c")] == [(0, 30, 0)] * 3
    assert len(gate.runs()) == 30


@pytest.mark.parametrize("finished", [1, 9])
def test_a_kill_in_the_middle_sends_nothing_raw(gate: Gate, sandbox: Sandbox, finished: int) -> None:
    """Killed while some are being prepared and some sent; the next run does the rest and no command a second time."""
    slow = STRIP + "\nimport time; time.sleep(0.05)\n"
    for name in ("a", "b"):
        gate.cli.site(name, sandbox, f"Slides/{name}", prepare=gate.prepare(slow))
    clean = {f"{number}.svs": gate.slide(f"{number}.svs", 300) for number in range(8)}
    with gate.cli.start(patch=TWO_AT_ONCE) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished", finished)
        running.kill()
    gate.wait_for_commands()
    assert leaked(sandbox.data) == []
    ran = gate.runs()
    assert gate.cli.push().code == 0
    assert leaked(sandbox.data) == []
    for name in ("a", "b"):
        assert arrived(sandbox, f"Slides/{name}") == clean
    again = [name for name in gate.runs() if gate.runs().count(name) > 1]
    assert len(set(again)) <= 2 * 2  # those that were being prepared, or had just been
    assert len(ran) <= 8


def test_a_dry_run_runs_nothing_and_says_what_would_be_run(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox, require=gate.require(), prepare=gate.prepare())
    gate.cli.site("b", sandbox, "Slides/b", require=gate.require())
    gate.slide("a.svs")
    would = f"require ({sys.executable})"
    [at_a, at_b] = sorted(
        (event for event in gate.cli.push("--dry-run").events if event["event"] == "slide_planned"),
        key=lambda event: str(event["site"]),
    )
    assert (at_a["action"], at_a["reason"]) == (
        "send", f"not there; {would} and prepare ({sys.executable}) would be run first",
    )  # fmt: skip
    assert (at_b["action"], at_b["reason"]) == ("send", f"not there; {would} would be run first")
    assert gate.runs() == []
    assert not (gate.cli.state / "prepared").exists()
    assert gate.cli.push().code == 0
    ran = gate.runs()
    planned = [event for event in gate.cli.push("--dry-run").events if event["event"] == "slide_planned"]
    assert {event["action"] for event in planned} == {"skip"}
    assert gate.runs() == ran


def test_slides_says_which_commands_a_push_would_run(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox, require=gate.require(), prepare=gate.prepare())
    gate.cli.site("b", sandbox, "Slides/b")
    gate.slide("a.svs")
    words = ["slides", str(gate.cli.source), "--sites", "a,b", "--config", str(gate.cli.book)]
    last = gate.cli._result(words).stdout.splitlines()[-2:]
    assert last[0].endswith("; a push runs require and prepare first")
    assert last[1].startswith("b takes 1 of 1 slide")
    assert gate.runs() == []


def test_a_new_rule_prepares_again_and_the_old_slide_is_a_conflict(gate: Gate, sandbox: Sandbox) -> None:
    """Also where the sizes are the same: what is there is surely another."""
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    clean = gate.slide("a.svs")
    assert gate.cli.push().code == 0
    book = gate.cli.book.read_text()
    changed = STRIP + "data = copy.read_bytes()\ncopy.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))\n"
    gate.cli.book.write_text("")
    gate.cli.site("a", sandbox, prepare=gate.prepare(changed))
    result = gate.cli.push()
    assert result.code == 1
    assert "it was sent before prepare made of the slide what it makes now" in result.finished("a")["a.svs"]["error"]
    assert gate.cli.push("--existing", "overwrite").counts("a") == (1, 0, 0)
    assert arrived(sandbox)["a.svs"] == clean[:-1] + bytes([clean[-1] ^ 1])
    gate.cli.book.write_text(book.replace('"-S"', '"-S", "-B"'))  # another text, which makes the same as at first
    assert gate.cli.push().code == 1


def test_what_was_sent_raw_before_is_a_conflict(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox)
    gate.slide("a.svs")
    assert gate.cli.push().code == 0
    gate.cli.book.write_text("")
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    assert gate.cli.verify("--json").code == 1
    assert gate.cli.push().code == 1
    assert gate.cli.push("--existing", "overwrite").code == 0
    assert leaked(sandbox.data) == []
    assert gate.cli.verify("--json").code == 0


def test_label_images_looks_into_the_result(gate: Gate, sandbox: Sandbox) -> None:
    strip = "import sys, pathlib\nslide, out = map(pathlib.Path, sys.argv[1:3])\n"
    strip += "(out / slide.name).write_bytes(slide.with_suffix('.clean').read_bytes())\n"
    gate.cli.site("a", sandbox, prepare=gate.prepare(strip), label_images="refuse")
    for name, clean in (("good", aperio()), ("bad", aperio(APERIO_LABEL))):
        write_tiff(gate.cli.source / f"{name}.svs", aperio(APERIO_LABEL))
        write_tiff(gate.cli.source / f"{name}.clean", clean)
    result = gate.cli.push()
    finished = result.finished("a")
    assert finished["good.svs"]["status"] == "sent"
    assert finished["bad.svs"]["error"].startswith("it carries a label image, and a has label_images")
    assert list(arrived(sandbox)) == ["good.svs"]


def test_the_cache_is_bounded_and_private(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    with gate.cli.book.open("a") as book:
        book.write('[gate]\ncache = "cache"\ncache_size = "50K"\n')
    for number in range(8):
        gate.slide(f"{number}.svs", 20_000)
    assert gate.cli.push().counts("a") == (8, 0, 0)
    cache = gate.cli.book.parent / "cache"
    assert sum(map(len, contents(cache / "results").values())) <= 50 * 1024
    assert {path.stat().st_mode & 0o077 for path in (cache, *cache.glob("*"), *cache.glob("results/*"))} == {0}
    gate.slide("large.svs", 60_000)
    result = gate.cli.push()
    assert result.finished("a")["large.svs"]["error"].startswith("prepare needs room for 58.")
    assert "make cache_size in [gate] larger" in result.finished("a")["large.svs"]["error"]
    assert gate.cli.push("--exclude", "large.svs").counts("a") == (0, 8, 0)
    assert len(gate.runs()) == 8


def test_a_place_and_a_list_for_clean_up_do_not_go_with_it(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    gate.cli.site("b", sandbox, "Slides/b")
    gate.slide("a.svs")
    result = gate.cli.run("--at-all-sites", str(tmp_path / "list"))
    assert (result.code, "a gets what prepare makes of them" in result.stderr) == (2, True)
    result = gate.cli.run("--sites", "a", source=Path("b:"))
    assert (result.code, "a has prepare, which need files of this machine" in result.stderr) == (2, True)


def test_mirror_and_annotations_go_by_the_source(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox, require=gate.require(), prepare=gate.prepare())
    for name in ("a.svs", "secret.svs"):
        gate.slide(name)
    (sandbox.data / "Slides" / "in").mkdir(parents=True)
    for name in ("secret.svs", "old.svs"):
        (sandbox.data / "Slides" / "in" / name).write_bytes(tiny_tiff(10))
    result = gate.cli.push("--mirror", "--yes", "--max-delete", "5")
    assert result.code == 4
    assert sorted(arrived(sandbox)) == ["a.svs", "secret.svs"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a process group of its own")
def test_an_interrupt_ends_the_command_and_all_that_it_has_started(gate: Gate, sandbox: Sandbox) -> None:
    code = "import os, pathlib, subprocess, sys, time\n"
    code += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(999)'])\n"
    code += "part = pathlib.Path(sys.argv[3] + '.part')\npart.write_text(f'{os.getpid()} {child.pid}')\n"
    code += "part.rename(sys.argv[3])\ntime.sleep(999)\n"
    for name in ("a", "b"):
        gate.cli.site(name, sandbox, f"Slides/{name}", prepare=gate.prepare(code))
    gate.slide("a.svs")
    with gate.cli.start() as running:
        until(gate.ran.exists)
        pids = gate.ran.read_text().split()
        running.interrupt()
        result = running.result()
    assert result.code == 130
    until(lambda: not any(is_alive(int(pid)) for pid in pids))  # a moment after it was told
    assert list((gate.cli.state / "prepared" / "runs").iterdir()) == []
    assert arrived(sandbox, "Slides") == {}


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie whose parent has not looked does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_upload_goes_on_with_a_result_that_was_made_again(gate: Gate, sandbox: Sandbox) -> None:
    """The same bytes are the same version, though their first files are gone."""
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    write_mirax(gate.cli.source / "m.mrxs", data_files=6, data_size=300_000)
    hold = Hold()
    sandbox.faults.add(hold, path="path=", method="POST", after=5)  # two small files come first
    with gate.cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        until(lambda: gate.journaled() >= 4)  # it is written a while after the answer
        running.kill()
    hold.release()
    assert sandbox.wait_idle()
    shutil.rmtree(gate.cli.state / "prepared" / "results")
    result = gate.cli.push()
    assert result.code == 0
    assert result.finished("a")["m.mrxs"]["resumed_bytes"] >= 300_000
    assert gate.runs() == ["m.mrxs", "m.mrxs"]
    assert set(arrived(sandbox)) == set(contents(gate.cli.source))


def test_shards_share_the_cache(gate: Gate, sandbox: Sandbox) -> None:
    for name in ("a", "b"):
        gate.cli.site(name, sandbox, f"Slides/{name}", prepare=gate.prepare())
    for number in range(8):
        gate.slide(f"{number}.svs", 100)
    with gate.cli.start("--shard", "1/2") as first, gate.cli.start("--shard", "2/2") as second:
        assert (first.result().code, second.result().code) == (0, 0)
    result = gate.cli.push()
    assert result.counts("a") == (0, 8, 0)
    assert len(gate.runs()) == 8


def test_verify_asks_and_prepares_only_what_it_must(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox, prepare=gate.prepare(), require=gate.require())
    clean = gate.slide("there.svs")
    gate.slide("missing.svs")
    (sandbox.data / "Slides" / "in").mkdir(parents=True)
    (sandbox.data / "Slides" / "in" / "there.svs").write_bytes(clean)
    finished = gate.cli.verify("--json").finished("a")
    assert finished["there.svs"]["status"] == "verified"
    assert finished["missing.svs"]["error"] == "it is not there; pmarep push sends it"
    assert gate.runs() == ["missing.svs", "there.svs"]  # asked about the one, and prepared the other


def test_a_site_that_is_away_takes_no_result_from_another(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("dead", "http://127.0.0.1:9/", prepare=gate.prepare())
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    clean = gate.slide("a.svs")
    result = gate.cli.push("--patience", "0")
    assert (result.code, result.counts("a")) == (1, (1, 0, 0))
    assert arrived(sandbox) == {"a.svs": clean}


def test_verify_puts_the_hashes_of_results_on_record_though_the_cache_is_small(
    gate: Gate, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each result has to go before the next one is made."""
    gate.cli.site("a", sandbox, prepare=gate.prepare())
    with gate.cli.book.open("a") as book:
        book.write('[gate]\ncache_size = "25K"\n')
    clean = {f"{number}.svs": gate.slide(f"{number}.svs", 20_000) for number in range(4)}
    assert gate.cli.push().code == 0
    assert gate.cli.verify("--json", "--audit", str(tmp_path / "audit")).code == 0
    hashes = {line["slide"]: [file["sha256"] for file in line["files"]] for line in audit_lines(tmp_path / "audit")}
    assert hashes == {name: [hashlib.sha256(content).hexdigest()] for name, content in clean.items()}


def test_fingerprints_of_what_different_commands_make_are_not_compared(gate: Gate, sandbox: Sandbox) -> None:
    gate.cli.site("a", sandbox, "Slides/a", prepare=gate.prepare())
    gate.cli.site("b", sandbox, "Slides/b")
    gate.slide("a.svs")
    result = gate.cli.push("--verify", "fingerprint")
    assert (result.code, result.counts("a"), result.counts("b")) == (0, (1, 0, 0), (1, 0, 0))
