"""`pmarep rm`: what it deletes, what it must not, what it says, and what a push knows of it afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import unicodedata
from pathlib import Path

import pytest
from support.fork_server import LatePatch, run
from support.in_process import SamePassword
from support.push_cli import PushCli, arrived, transfers
from support.sandboxes import PASSWORD, StartSandbox
from support.sites_cli import ScriptedPrompt

from pmacore_sandbox import Sandbox
from pmacore_sandbox.faults import CannedResponse
from pmarep.cli.places.rm import SHOWN, _Removal
from pmarep.errors import UsageError
from pmarep.sites import SiteBook
from pmarep.sites.place import needed_place
from pmarep.state.target_locks import hold_targets

NO_LAG = LatePatch("import pmarep.remote.removal\npmarep.remote.removal.SHOWN_AFTER = (0.0,)")
ACCENTED = unicodedata.normalize("NFC", "Müller")


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    """A site with what was pushed there: three slides in two folders."""
    cli = PushCli(tmp_path)
    cli.site("tokyo", sandbox)
    put(cli.source, {"a.svs": b"a" * 10, f"{ACCENTED}/B & 1.svs": b"b" * 20, f"{ACCENTED}/c.svs": b"c" * 30})
    assert cli.push().code == 0
    return cli


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def rm(cli: PushCli, *arguments: str, code: int = 0, patch: str = "") -> subprocess.CompletedProcess[str]:
    folders = ["--config", str(cli.book), "--state-dir", str(cli.state)]
    done = run(["rm", *arguments, *folders], cli.environment, patch=patch)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_what_was_deleted_is_sent_again(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", ACCENTED).upper()
    done = rm(cli, f"tokyo:{decomposed}/b & 1.SVS", "--yes")
    assert done.stdout.splitlines() == [
        f"deleted tokyo:/Slides/in/{ACCENTED}/B & 1.svs (1 file, 20 B)",
        "deleted 1 slide, 20 B",
    ]
    assert set(arrived(sandbox)) == {"a.svs", f"{ACCENTED}/c.svs"}
    result = cli.push()
    assert result.counts("tokyo") == (1, 2, 0)
    assert f"{ACCENTED}/B & 1.svs" in arrived(sandbox)


def test_the_journal_does_not_claim_what_was_deleted(cli: PushCli, sandbox: Sandbox) -> None:
    """Where somebody else puts a slide of that name and size there, it is not taken for the one that was sent."""
    assert cli.push().finished("tokyo")["a.svs"]["verified_by"] == "listing"
    rm(cli, "tokyo:A.SVS", f"tokyo:{unicodedata.normalize('NFD', ACCENTED)}", "-r", "--yes")
    put(sandbox.data / "Slides/in", {"A.svs": b"x" * 10, f"{ACCENTED}/c.svs": b"x" * 30})
    finished = cli.push().finished("tokyo")
    assert {slide: one["verified_by"] for slide, one in finished.items()} == {
        "a.svs": "files", f"{ACCENTED}/c.svs": "files", f"{ACCENTED}/B & 1.svs": "size"
    }  # fmt: skip


def test_all_slides_below_a_folder(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    assert "--recursive deletes all slides below it" in rm(cli, f"tokyo:{ACCENTED}", "--yes", code=2).stderr
    listed = rm(cli, f"tokyo:{ACCENTED}", "-r", "--dry-run", "--audit", str(audit)).stdout
    assert listed.splitlines()[-1] == "dry run: 2 slides (50 B) at tokyo would be deleted; nothing was"
    assert "this would delete 2 slides (50 B) at tokyo; say --yes" in rm(cli, f"tokyo:{ACCENTED}", "-r", code=2).stderr
    assert (len(arrived(sandbox)), audit.exists()) == (3, False)
    done = rm(cli, f"tokyo:{ACCENTED}", "-r", "--yes", "--audit", str(audit))
    assert set(arrived(sandbox)) == {"a.svs"}
    assert done.stdout.splitlines()[-2:] == [
        "deleted 2 slides, 50 B",
        "folders stay, also empty ones: PMA.core has no call that removes one",
    ]
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["to"].rpartition("/")[2], line["status"]) for line in lines if line["status"] == "deleted"] == [
        ("B & 1.svs", "deleted"), ("c.svs", "deleted")
    ]  # fmt: skip
    assert [line["status"] for line in lines].count("deleting") == 2
    assert lines[-1]["files"] == [{"path": "c.svs", "bytes": 30, "sha256": None}]
    assert "no slide is there" in rm(cli, f"tokyo:{ACCENTED}", "-r", "--yes").stdout


def test_bad_input_deletes_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    for arguments, words in [
        (["tokyo:/", "-r"], "which pmarep never empties as a whole"),
        (["tokyo:/Slides", "-r"], "which pmarep never empties as a whole"),
        (["tokyo:a.svs", "tokyo:B.svs"], 'there is no folder or slide "B.svs"'),
        (["tokyo:a.svs", "tokyo:", "--yes"], "is a folder"),
        (["tokyo:a.svs/x"], "is a slide, so nothing lies below it"),
        ([f"tokyo:{ACCENTED}.", "-r"], "there is no folder or slide"),
        (["tokyo:../other", "-r"], 'holds the part ".."'),
        (["a.svs"], "is no place at a site"),
        ([], "no place is named"),
    ]:
        done = rm(cli, *arguments, *([] if "--yes" in arguments else ["--yes"]), code=2)
        assert words in done.stderr, arguments
    assert len(arrived(sandbox)) == 3


def test_a_root_directory_that_is_a_target_is_not_emptied(tmp_path: Path, cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("whole", sandbox, target="Slides")
    assert "never empties as a whole" in rm(cli, "whole:", "-r", "--yes", code=2).stderr
    assert len(arrived(sandbox)) == 3


def test_a_folder_of_which_not_all_is_told_stays(cli: PushCli, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.refusal("Access denied"), path=f"GetFiles.*{ACCENTED[0]}")
    done = rm(cli, "tokyo:", "-r", "--yes", code=1)
    assert "the server does not tell what is in" in done.stderr
    assert len(arrived(sandbox)) == 3


def test_while_a_run_holds_the_target_nothing_is_deleted(cli: PushCli, sandbox: Sandbox) -> None:
    for target in ("Slides/in", "slides/IN/" + ACCENTED.lower(), "Slides"):
        with hold_targets(cli.state / "locks", [("tokyo", f"{sandbox.url}{target}".casefold())]):
            done = rm(cli, f"tokyo:{ACCENTED}", "-r", "--yes", code=3)
            assert "nothing was deleted, start again when that has ended" in done.stderr
    assert len(arrived(sandbox)) == 3


def test_a_server_that_answers_and_deletes_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse(200, "true"), path="DeleteSlide")
    done = rm(cli, "tokyo:a.svs", "--yes", code=1, patch=NO_LAG)
    assert "a.svs was not deleted: the server answered that it was deleted, and still lists it" in done.stderr
    assert done.stdout.splitlines()[-1] == "deleted 0 slides, 0 B"
    sandbox.faults.clear()
    sandbox.clear_requests()
    assert cli.push().counts("tokyo") == (0, 3, 0)
    assert transfers(sandbox) == []


class TestQuestion:
    def ask(self, cli: PushCli, answer: bool, *places: str) -> ScriptedPrompt:
        prompt = ScriptedPrompt(answer)
        book = SiteBook.load(cli.book)
        chosen = [needed_place(place, book) for place in places]
        removal = _Removal(chosen, cli.state, None, prompt, recursive=True, dry_run=False, yes=False)
        assert asyncio.run(removal.run(SamePassword(PASSWORD))) == 0
        return prompt

    def test_it_says_how_many_slides_of_how_many_bytes_at_which_site(
        self, cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox
    ) -> None:
        ghent = start_sandbox("ghent")
        cli.site("ghent", ghent)
        put(ghent.data / "Slides/in", {f"{number}.svs": b"1" for number in range(SHOWN + 1)})
        prompt = self.ask(cli, False, "tokyo:", f"tokyo:{ACCENTED}", "ghent:")
        (question,) = prompt.seen
        assert question == "Delete 3 slides (60 B) at tokyo and 21 slides (21 B) at ghent? There is no way back."
        assert len(arrived(sandbox)) == 3

    def test_after_yes_they_go(self, cli: PushCli, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        self.ask(cli, True, "tokyo:")
        assert arrived(sandbox) == {}
        assert "\ndeleted 3 slides, 60 B\n" in capsys.readouterr().out

    def test_what_somebody_puts_there_meanwhile_stays(
        self, cli: PushCli, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Slow(ScriptedPrompt):
            def yes(self, question: str, default: bool) -> bool:
                (sandbox.data / "Slides/in/a.svs").write_bytes(b"other")
                (sandbox.data / "Slides/in/new.svs").write_bytes(b"new")
                return super().yes(question, default)

        book = SiteBook.load(cli.book)
        removal = _Removal(
            [needed_place("tokyo:", book)], cli.state, None, Slow(True), recursive=True, dry_run=False, yes=False
        )
        assert asyncio.run(removal.run(SamePassword(PASSWORD))) == 1
        assert set(arrived(sandbox)) == {"a.svs", "new.svs"}
        assert "its files have changed there since it was listed" in capsys.readouterr().err

    def test_without_a_terminal_nobody_is_asked(self, cli: PushCli) -> None:
        book = SiteBook.load(cli.book)
        removal = _Removal(
            [needed_place("tokyo:a.svs", book)], cli.state, None, None, recursive=False, dry_run=False, yes=False
        )
        with pytest.raises(UsageError, match="say --yes; nothing was deleted"):
            asyncio.run(removal.run(SamePassword(PASSWORD)))


def test_a_broken_replacement_is_not_resumed_over_what_was_deleted(cli: PushCli, sandbox: Sandbox) -> None:
    """Of a slide whose files were being replaced, those that had come go with the old ones."""
    import contextlib

    from pmarep.state.journal import Journal
    from pmarep.state.records import RemotePath

    place = RemotePath(sandbox.url, "Slides/in/a.svs")

    async def half() -> None:
        with contextlib.closing(Journal(cli.state)) as journal:
            await journal.record_announced(place, "x", 1, '{"Id": 1}', replaces=True, sizes={"a.svs": 10})
            await journal.record_file_sent(place, "a.svs")

    async def entry() -> object:
        with contextlib.closing(Journal(cli.state)) as journal:
            return await journal.entry(place)

    asyncio.run(half())
    sandbox.faults.add(CannedResponse.refusal("no"), path="DeleteSlide")
    rm(cli, "tokyo:a.svs", "--yes", code=1)
    assert asyncio.run(entry()) is None


def test_what_shards_know_is_forgotten_too(cli: PushCli, sandbox: Sandbox) -> None:
    """A run takes over what the journals of shards know, and would have it back."""
    for number in ("1/2", "2/2"):
        assert cli.push("--shard", number).code == 0
    rm(cli, "tokyo:a.svs", "--yes")
    put(sandbox.data / "Slides/in", {"a.svs": b"x" * 10})
    assert cli.push().finished("tokyo")["a.svs"]["verified_by"] == "files"
