"""What people and scripts see of a push, and what nobody may see."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, start
from support.push_cli import NO_PAUSES, PushCli, Result, arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Drop, EndSessions, Hold, Sandbox, SlowRead

FILE = r"transfer/Upload/[0-9]+\?path="
CANARY = "CANARY-pässwörd&+%?=/<>\"'\\-the-end"

KEYS = {
    "run_started": {"sites", "slides", "bytes"},
    "slide_started": {"site", "slide"},
    "slide_finished": {"site", "slide", "status", "bytes", "seconds", "resumed_bytes", "error"},
    "site_state": {"site", "state", "reason"},
    "progress": {"site", "bytes_done", "bytes_total", "rate", "connections"},
    "summary": {"exit_code", "seconds", "sites"},
}
SITE_KEYS = {"sent", "skipped", "failed", "verified", "bytes_sent", "bytes_resumed", "seconds", "error"}
SITE_KEYS |= {"left_out", "excluded", "not_begun", "bytes_kept", "bytes_again"}
SITE_KEYS |= {"differing", "changed", "not_looked_at", "needs_decision"}
SITE_KEYS |= {"annotations_added", "annotations_there", "annotations_failed"}
SITE_KEYS |= {"extra", "deleted", "bytes_deleted", "mirror_error", "pulled"}


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def test_json_is_as_in_the_contract(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=2, data_size=400_000)
    tree(cli.source, 'bad"name.svs', "there.svs")
    tree(cli.source, "empty.svs", content=b"")
    slow = start_sandbox("slow")
    slow.faults.add(SlowRead(300_000), path=FILE)
    cli.site("quick", sandbox)
    cli.site("slow", slow)
    cli.site("dead", "http://127.0.0.1:9/")
    result = cli.push()
    assert result.code == 1
    assert result.stderr == ""
    assert result.stdout.isascii()
    events = result.events
    assert set(KEYS) <= {event["event"] for event in events}
    for event in events:
        assert datetime.fromisoformat(event["time"]).tzinfo == UTC
        assert event.keys() >= KEYS.get(event["event"], set())
    assert [event["event"] for event in events].count("summary") == 1
    assert events[-1]["event"] == "summary"
    assert events[-1]["sites"].keys() == {"quick", "slow", "dead"}
    assert all(site.keys() == SITE_KEYS for site in events[-1]["sites"].values())
    progress = [e for e in events if e["event"] == "progress" and e["site"] == "slow"]
    assert progress
    assert all(0 <= e["bytes_done"] <= e["bytes_total"] for e in progress)
    states = [e["state"] for e in events if e["event"] == "site_state" and e["site"] == "quick"]
    assert states == ["connecting", "running", "done"]


@pytest.mark.parametrize("command", ["push", "verify"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--connections",), "requires an argument"), (("--nix",), "No such option"), (("--patience=1", "-n"), "-n")],
)
def test_json_has_a_summary_also_for_arguments_that_cannot_be_read(
    cli: PushCli, sandbox: Sandbox, command: str, arguments: tuple[str, ...], words: str
) -> None:
    cli.site("a", sandbox)
    result = cli.run("--json", *arguments, command=command)
    assert result.code == 2
    assert len(result.events) == 1
    assert words in result.summary["error"]
    assert words in result.stderr


def test_a_wrong_choice_is_reported_in_plain_words(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox)
    result = cli.push("--existing", "bogus")
    assert result.code == 2
    assert "'bogus'" in result.summary["error"]
    assert "Value error" not in result.summary["error"] + result.stderr
    # What comes after -- is a folder.
    assert cli.run("--nix", "--", "--json").stdout == ""


@pytest.mark.parametrize("arguments", [("--sites", "nobody"), ("--to", ".."), ("--bwlimit", "fast")])
def test_json_has_a_summary_also_where_nothing_can_begin(
    cli: PushCli, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    cli.site("a", sandbox)
    result = cli.push(*arguments)
    assert result.code == 2
    assert len(result.events) == 1
    assert result.stderr == f"pmarep: {result.summary['error']}\n"


def test_plain_lines(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.svs", content=os.urandom(2048))
    tree(cli.source, "evil\x1b[31m.svs", "notes.txt")
    cli.site("a", sandbox)
    result = cli.run()
    lines = result.lines
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  not sent: evil", result.stdout)
    assert lines[0].startswith("not sent: evil\\x1b[31m.svs")
    assert lines[1] == "2 slides, 4.0 KiB, to a"
    assert {line.split(" (")[0] for line in lines[2:4]} == {"a: sent a.svs", "a: sent b.svs"}
    assert lines[4] == "left out: 1 other file"
    assert lines[5].startswith("a  2 sent, 0 skipped, 0 failed; 4.0 KiB in ")
    assert lines[6] == "1 thing in the source could not be sent, see above"
    assert len(lines) == 7
    assert result.stdout.isprintable() or "\x1b" not in result.stdout


def test_quiet_says_nothing_when_all_is_well(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs")
    cli.site("a", sandbox)
    assert cli.run("-q") == Result(0, "", "")


def test_a_failed_slide_is_one_line_of_quiet_output(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "good.svs", "why?.svs")
    cli.site("a", sandbox)
    lines = cli.run("-q").lines
    assert [line for line in lines if "why?.svs" in line] == lines[:1]
    assert lines[0].startswith("a: failed why?.svs: ")


def test_nobody_reads_the_output(cli: PushCli, sandbox: Sandbox) -> None:
    """`pmarep push ... | head -1` brings every slide all the same, and the exit code says so."""
    for number in range(10):
        tree(cli.source, f"{number}.svs", content=os.urandom(100))
    cli.site("a", sandbox)
    hold = Hold()
    sandbox.faults.add(hold, path="GetVersionInfo")
    process = start(cli.arguments(), cli.environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    sandbox.faults.clear()
    with process.stderr:
        assert (process.stderr.read(), process.wait(PATIENCE)) == ("", 0)
    assert arrived(sandbox) == contents(cli.source)


def test_a_journal_that_fails_ends_the_run_with_a_summary(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.svs")
    cli.site("a", sandbox)
    hold = Hold()
    sandbox.faults.add(hold, path=FILE)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
            journal.executescript("DROP TABLE file; DROP TABLE run")
        sandbox.faults.clear()
        result = running.result()
    assert result.code == 1
    assert "journal" in result.summary["sites"]["a"]["error"]
    assert sandbox.open_sessions == 0


# Secrets


def leaks(result: Result, secrets: list[str]) -> list[str]:
    """What of the secrets stands in the output, also as JSON or in a URL would write it."""
    from urllib.parse import quote, quote_plus

    output = result.stdout + result.stderr
    forms = {f for s in secrets for f in (s, quote(s), quote(s, safe=""), quote_plus(s), json.dumps(s)[1:-1])}
    forms |= {"CANARY"}
    return [form for form in forms if form in output]


@pytest.mark.parametrize(
    ("version", "arguments"),
    [("3.0.3.2222", ("-vv",)), ("3.0.3.2222", ("-vv", "--json")), ("2.0.0.1500", ("-vv",))],
)
def test_no_secret_in_the_output(
    cli: PushCli, start_sandbox: StartSandbox, version: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[str] = []
    sandbox = start_sandbox("a", password=CANARY, version=version)
    assert sandbox._core is not None
    open_session = sandbox._core.sessions.open

    def remember() -> str:
        sessions.append(open_session())
        return sessions[-1]

    monkeypatch.setattr(sandbox._core.sessions, "open", remember)
    write_mirax(cli.source / "m.mrxs")
    tree(cli.source, "a.svs", "b.svs", "c.svs", "d.svs", "why?.svs")
    cli.site("a", sandbox)
    cli.site("wrong", sandbox, "Slides/wrong", password=CANARY + "x", username="other")
    cli.site("dead", "http://127.0.0.1:9/", password=CANARY)
    cli.site("lost", sandbox, "Nowhere/in")
    echo = f"Not for {CANARY}. No resource matches 'http://h/api?sessionID=SID&password={CANARY}'"
    sandbox.faults.add(EndSessions(), path=FILE + "a.svs", times=1)
    sandbox.faults.add(Drop(10), path=FILE + "b.svs", times=1)
    sandbox.faults.add(CannedResponse.iis(503), path=FILE + "c.svs", times=1)
    sandbox.faults.add(CannedResponse.aspnet(echo), path=FILE + "d.svs")
    sandbox.faults.add(CannedResponse(302, "", headers={"Location": "http://h/?sessionID=SID"}), path="DeAuthenticate")
    result = cli.run(*arguments, patch=NO_PAUSES)
    assert result.code == 1
    assert len(sessions) >= 2
    assert "dead" in result.stdout
    if "-vv" in arguments:
        assert "HTTP Request: POST http://127.0.0.1" in result.stderr
    assert leaks(result, [CANARY, CANARY + "x", *sessions]) == []
    for path in cli.state.rglob("*"):
        if path.is_file():
            assert b"CANARY" not in path.read_bytes()
            assert not any(session.encode() in path.read_bytes() for session in sessions)


def test_help_imports_nothing_heavy() -> None:
    """`pmarep --help` has to be there in 0.3 s."""
    heavy = ["httpx", "pydantic", "rich", "keyring", "sqlite3", "asyncio", "tomlkit"]
    code = f"import sys, pmarep.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_push_imports_nothing_for_rounds_and_nothing_of_what_httpx_has_for_its_own_command(
    cli: PushCli, sandbox: Sandbox
) -> None:
    """The latter is a tenth of the start of each of our commands."""
    tree(cli.source, "1.svs")
    cli.site("a", sandbox)
    code = "import sys; from pmarep.cli import main\ntry: main()\nexcept SystemExit as end: print(end.code)\n"
    code += "names = 'pmarep.cli.rounds', 'watchfiles', 'rich.console', 'pygments', 'httpx'\n"
    code += "print([name for name in names if name in sys.modules])"
    words = ["push", str(cli.source), "--sites", "a", "--settle", "0"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--config", str(cli.book), "--state-dir", str(cli.state)],
        env=cli.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-2:] == ["0", "['httpx']"], done.stderr
