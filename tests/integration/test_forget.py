"""`pmarep forget`: what it takes from the journal, what it leaves, and what it says."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock
from support.corpus import tree
from support.fork_server import run
from support.push_cli import PushCli

from pmacore_sandbox import Sandbox
from pmarep.cli.forget import forget_interactively
from pmarep.cli.forgetting import Criteria, find_in_all
from pmarep.errors import ConfigError, TargetBusyError, UsageError
from pmarep.state.journal import Journal
from pmarep.state.journal_cleaner import JournalCleaner
from pmarep.state.records import RemotePath
from pmarep.state.run_records import lock_of
from pmarep.state.target_locks import hold_targets

TOKYO, OLD = "https://tokyo.example/", "https://old.example/core/"
BOOK = f"""
[sites.tokyo]
url = "{TOKYO}"
username = "u"
target = "Slides/in"
[sites.deep]
url = "{TOKYO}"
username = "u"
target = "Slides/in/deep"
"""
SENT = [(TOKYO, "Slides/in/a.svs"), (TOKYO, "Slides/in/deep/a.svs"), (TOKYO, "Slides/inn/a.svs"), (OLD, "Boxes/ü.svs")]


class Answers:
    """A person who says yes or no."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def yes(self, question: str, default: bool) -> bool:
        assert not default
        self.asked.append(question)
        return self.answer

    def text(self, question: str, default: str | None = None) -> str:
        raise AssertionError(question)

    hidden = text

    def say(self, words: str) -> None:
        raise AssertionError(words)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with four slides that were sent and one that is partly there, a day ago."""
    monkeypatch.setenv("PMAREP_CONFIG", str(tmp_path / "sites.toml"))
    (tmp_path / "sites.toml").write_text(BOOK)
    folder = tmp_path / "state"
    folder.mkdir()
    day_ago = time.time() - 86400

    async def fill() -> None:
        with closing(Journal(folder)) as journal:
            for server, path in SENT:
                await journal.record_sent(RemotePath(server, path), "x")
            half = RemotePath(TOKYO, "Slides/in/half.mrxs")
            sizes = {"1.dat": 1024, "2.dat": 3072}
            await journal.record_announced(half, "x", 1, '{"Id": 1}', sizes=sizes)
            await journal.record_file_sent(half, "1.dat")
            await journal.record_run_started(["/cases"])

    monkeypatch.setattr(time, "time", lambda: day_ago)
    asyncio.run(fill())
    monkeypatch.undo()
    monkeypatch.setenv("PMAREP_CONFIG", str(tmp_path / "sites.toml"))
    return folder


def paths(state: Path) -> list[str]:
    async def read() -> list[str]:
        with closing(JournalCleaner(state, read_only=True)) as journal:
            return [entry.place.path for entry in await journal.entries(lambda _: True)]

    return asyncio.run(read())


ALL = sorted([path for _, path in SENT] + ["Slides/in/half.mrxs"])


def forget(
    state: Path, criteria: Criteria, answer: bool | None = None, *, dry_run: bool = False, yes: bool = False
) -> Answers:
    ask = Answers(bool(answer))
    asyncio.run(forget_interactively(criteria, state, None, None if answer is None else ask, dry_run=dry_run, yes=yes))
    return ask


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        (Criteria(sites=("tokyo",)), ["Slides/in/a.svs", "Slides/in/half.mrxs"]),
        (Criteria(sites=("deep",)), ["Slides/in/deep/a.svs"]),
        (Criteria(sites=("tokyo", "deep")), ["Slides/in/a.svs", "Slides/in/deep/a.svs", "Slides/in/half.mrxs"]),
        (Criteria(servers=("https://OLD.example:443/core",)), ["Boxes/ü.svs"]),
        (Criteria(servers=(TOKYO,)), [path for path in ALL if path != "Boxes/ü.svs"]),
        (Criteria(sites=("tokyo",), servers=(OLD,)), []),
        (Criteria(before=time.time() - 3600), ALL),
        (Criteria(before=time.time() - 7 * 86400), []),
        (Criteria(sites=("deep",), before=time.time() - 3600), ["Slides/in/deep/a.svs"]),
    ],
)
def test_only_what_fits_all_criteria_goes(state: Path, criteria: Criteria, gone: list[str]) -> None:
    forget(state, criteria, yes=True)
    assert sorted(paths(state)) == [path for path in ALL if path not in gone]


def test_forget_says_what_is_lost_and_asks_before_it_changes_anything(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(state, Criteria(before=time.time() - 3600), answer=False).asked == ["Forget that?"]
    assert capsys.readouterr().out.splitlines() == [
        "to be forgotten:",
        "  deep: that 1 slide is there",
        "  https://old.example/core/: that 1 slide is there",
        "  https://tokyo.example/: that 1 slide is there",
        "  tokyo: that 1 slide is there; 1 slide partly sent, of which 1.0 KiB would have to be sent again",
        "  1 run and what its reports are made of",
        "nothing was changed",
    ]
    assert sorted(paths(state)) == ALL
    forget(state, Criteria(before=time.time() - 3600), answer=True)
    assert paths(state) == []
    capsys.readouterr()
    forget(state, Criteria(before=time.time() - 3600), yes=True)
    assert capsys.readouterr().out == "nothing to forget\n"


def test_forget_keeps_what_verify_has_found_wrong(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it the next push would go by names and sizes, and say that a damaged slide is there."""

    async def find_wrong() -> None:
        with closing(Journal(state)) as journal:
            await journal.record_broken(RemotePath(TOKYO, "Slides/in/a.svs"), "x", "stamp")
            await journal.record_different(RemotePath(TOKYO, "Slides/in/deep/a.svs"), "x", "stamp")
            await journal.record_unreadable(RemotePath(TOKYO, "Slides/in/deep/b.svs"), "x", "stamp")

    asyncio.run(find_wrong())
    wrong = ["Slides/in/a.svs", "Slides/in/deep/a.svs", "Slides/in/deep/b.svs"]
    forget(state, Criteria(servers=(TOKYO,)), yes=True)
    assert sorted(paths(state)) == ["Boxes/ü.svs", *wrong]
    said = capsys.readouterr().out
    assert "deep: 2 slides found damaged or different: that stays known (--damaged)" in said
    assert "tokyo: 1 slide found damaged" in said
    forget(state, Criteria(servers=(TOKYO,), damaged=True), yes=True)
    assert paths(state) == ["Boxes/ü.svs"]
    assert "deep: that 2 slides were found damaged or different" in capsys.readouterr().out


def test_a_dry_run_and_nobody_to_ask_change_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget(state, Criteria(sites=("tokyo",)), dry_run=True)
    assert capsys.readouterr().out.endswith("dry run: nothing was forgotten\n")
    with pytest.raises(UsageError, match="say --yes"):
        forget(state, Criteria(sites=("tokyo",)))
    assert sorted(paths(state)) == ALL


@pytest.mark.parametrize("held", ["Slides", "Slides/in", "Slides/in/deep"])
def test_a_run_that_holds_a_target_is_not_disturbed(state: Path, held: str) -> None:
    ask = Answers(True)
    with hold_targets(state / "locks", [("tokyo", (TOKYO + held).casefold())]):
        with pytest.raises(TargetBusyError, match=r"another run holds.*; nothing was forgotten$") as error:
            asyncio.run(forget_interactively(Criteria(sites=("tokyo",)), state, None, ask, dry_run=False, yes=False))
        assert error.value.exit_code == 3
        forget(state, Criteria(servers=(OLD,)), yes=True)
    assert ask.asked == []
    assert sorted(paths(state)) == [path for path in ALL if path != "Boxes/ü.svs"]


def test_where_one_of_several_is_held_nothing_goes(state: Path) -> None:
    with (
        hold_targets(state / "locks", [("old", (OLD + "Boxes").casefold())]),
        pytest.raises(TargetBusyError, match=r"old\.example"),
    ):
        forget(state, Criteria(before=time.time() - 3600), yes=True)
    assert sorted(paths(state)) == ALL


def test_a_run_that_goes_on_keeps_its_record(state: Path) -> None:
    started = datetime.fromtimestamp(time.time() - 86400, UTC)
    site = {"name": "tokyo", "url": TOKYO, "target": "Slides/in"}
    head = {"event": "run", "record": 1, "command": "push", "sources": ["/cases"], "sites": [site], "to": ""}
    record = state / "runs" / f"{started:%Y%m%dT%H%M%SZ}-1.jsonl.gz"
    record.parent.mkdir()
    record.write_bytes(gzip.compress(json.dumps({**head, "time": started.isoformat()}).encode() + b"\n"))

    def runs() -> int:
        async def read() -> int:
            with closing(Journal(state, read_only=True)) as journal:
                return len(await journal.runs(9))

        return asyncio.run(read())

    with FileLock(lock_of(record)):
        forget(state, Criteria(before=time.time() - 3600), yes=True)
        assert (record.exists(), runs()) == (True, 1)
    forget(state, Criteria(before=time.time() - 3600), yes=True)
    assert (record.exists(), runs()) == (False, 0)


def test_forget_refuses_sites_servers_and_sources_that_are_not_known(state: Path) -> None:
    with pytest.raises(ConfigError, match=r'no site "tokio" is in the site book or .*; did you mean "tokyo"\?'):
        forget(state, Criteria(sites=("tokio",)))
    with pytest.raises(UsageError, match="--server: url"):
        forget(state, Criteria(servers=("old.example",)))
    with pytest.raises(UsageError, match=r"no slide of /nowhere is in the record of a run; say where"):
        forget(state, Criteria(sources=(Path("/nowhere"),)))


def test_forget_keeps_an_entry_that_a_run_has_changed_meanwhile(state: Path) -> None:
    async def meanwhile() -> None:
        with closing(JournalCleaner(state)) as journal:
            found = (await find_in_all({state: journal}, Criteria(sites=("tokyo",)), None))[state]
            await journal.record_sent(RemotePath(TOKYO, "Slides/in/a.svs"), "new")
            await journal.forget(found.entries)

    asyncio.run(meanwhile())
    assert "Slides/in/a.svs" in paths(state)
    assert "Slides/in/half.mrxs" not in paths(state)


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def command(cli: PushCli, *options: str) -> subprocess.CompletedProcess[str]:
    return run(["forget", "--state-dir", str(cli.state), "--config", str(cli.book), *options], cli.environment)


def test_a_source_and_a_site_that_have_left(cli: PushCli, sandbox: Sandbox) -> None:
    """By the records of runs; what stays at the site is compared by the next push, and not sent again."""
    other = tree(cli.source.parent / "other", "b.svs", content=os.urandom(1000))
    tree(cli.source, "x/a.svs", content=os.urandom(1000))
    cli.site("tokyo", sandbox)
    assert cli.push("--to", "y").code == 0
    assert cli.push(source=other).code == 0
    assert command(cli, "--source", str(cli.source), "--yes").returncode == 0
    assert paths(cli.state) == ["Slides/in/b.svs"]
    runs = json.loads(run(["status", "--json", "--state-dir", str(cli.state)], cli.environment).stdout)["runs"]
    assert [found["sources"] for found in runs] == [[str(other)]]
    assert len(list((cli.state / "runs").glob("*.jsonl.gz"))) == 1
    again = cli.push("--to", "y")
    assert again.counts("tokyo") == (0, 1, 0)
    cli.book.write_text("")
    assert command(cli, "--site", "tokyo", "--yes").returncode == 0
    assert paths(cli.state) == []
    assert list((cli.state / "runs").glob("*.jsonl.gz")) == []


def test_nothing_to_go_by_is_a_usage_error(cli: PushCli) -> None:
    done = command(cli)
    assert (done.returncode, done.stderr) == (
        2, "pmarep: say what to forget: --site NAME, --server URL, --source PATH or --older-than T\n",
    )  # fmt: skip
    cli.book.write_text("")
    done = command(cli, "--older-than", "90d")
    assert (done.returncode, done.stdout) == (0, f"nothing to forget: no runs yet in {cli.state}\n")
