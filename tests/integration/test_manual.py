"""Every command of the manual is run, and what is no command is held against what would read it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import pytest
from support.manual import DOCS, Block, Reader, blocks, check_arguments, is_shown
from support.sandboxes import StartSandbox
from support.sites_cli import SitesCli

from pmarep.demo.sample_slides import write_mirax, write_svs
from pmarep.sites import SiteBook

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the manual's commands are those of a POSIX shell")

FOR_DEVELOPERS = {"architecture.md", "contract.md", "protocol.md"}
PAGES = sorted(path.name for path in DOCS.glob("*.md") if path.name not in FOR_DEVELOPERS)
BLOCKS = [block for page in [*PAGES, "../README.md"] for block in blocks(page)]
LANGUAGES = {"console", "toml", "ini", "crontab", "xml", "bat", "sh", "yaml", "csv", "python", "json", "text", ""}


def of(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=lambda block: f"{block.page}:{block.line}")


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path, start_sandbox: StartSandbox) -> Iterator[Reader]:
    """A reader of the page that the test is about."""
    folder = tmp_path / "home"
    folder.mkdir()
    person = Reader(request.node.callspec.params["page"], SitesCli(folder), start_sandbox)
    yield person
    for process in person.running:
        process.kill()


def write_cases(folder: Path) -> None:
    """Three slides that are real enough; nothing else in the folder."""
    write_svs(folder / "liver.svs", width=256, height=256)
    write_svs(folder / "old" / "spleen.svs", width=128, height=128, seed=1)
    write_mirax(folder / "case 1" / "kidney.mrxs")
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page(page: str, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [block for block in blocks(page) if block.language in ("console", "python") or block.comment]
    if any("cases" in block.text for block in commands) and page != "start.md":
        write_cases(reader.folder / "cases")
    monkeypatch.chdir(reader.folder)
    for block in commands:
        if block.said("not run") is not None:
            for command, _ in block.commands():
                if command.startswith("pmarep "):
                    check_arguments(shlex.split(command, comments=True)[1:])
            continue
        reader.prepare(block)
        if block.language == "console":
            reader.type(block)
        elif block.language == "python":
            for name, value in reader.environment.items():
                monkeypatch.setenv(name, value)
            exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})


def test_every_block_has_a_language_that_is_checked() -> None:
    assert [block.where for block in BLOCKS if block.language not in LANGUAGES] == []


@of("toml")
def test_books_can_be_loaded(block: Block, tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(block.text, "utf-8")
    SiteBook.load(book)


@of("crontab", "ini", "sh")
def test_lines_of_other_programs_call_pmarep_rightly(block: Block) -> None:
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        found = re.search(r"(?:^|/|\s)pmarep (push|verify|slides|sites|status) (.*)$", line)
        if found and not line.startswith("#"):
            check_arguments([found[1], *shlex.split(found[2].replace("$HOME", "/home/me"))])
    if block.language == "sh":
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, "")


@of("text", "")
def test_commands_that_are_only_shown_have_these_options(block: Block) -> None:
    for line in block.text.splitlines():
        if line.removeprefix("$ ").startswith("pmarep "):
            check_arguments(shlex.split(line.removeprefix("$ "), comments=True)[1:])


@of("xml")
def test_the_task_of_windows(block: Block) -> None:
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    task = ET.fromstring(block.text)
    if task.tag == "service":  # of WinSW
        assert [child.tag for child in task if child.tag in ("id", "executable", "arguments")] == [
            "id", "executable", "arguments"
        ]  # fmt: skip
        check_arguments((task.findtext("arguments") or "").split())
        return
    assert task.tag == f"{{{space['t']}}}Task"
    # The schema wants these in this order.
    assert [re.sub("{.*}", "", child.tag) for child in task] == [
        "RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"
    ]  # fmt: skip
    (command,) = task.findall(".//t:Command", space)
    (arguments,) = task.findall(".//t:Arguments", space)
    assert (command.text or "").endswith("pmarep.exe")
    check_arguments((arguments.text or "").split())


@of("yaml")
def test_the_documents_of_kubernetes(block: Block) -> None:
    import yaml

    config, job = yaml.safe_load_all(block.text)
    assert config["kind"] == "ConfigMap"
    assert job["kind"] in ("CronJob", "Job")
    spec = job["spec"]["jobTemplate"]["spec"] if job["kind"] == "CronJob" else job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    check_arguments(container["args"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    image = (DOCS.parent / "Containerfile").read_text("utf-8")
    for mount in container["volumeMounts"]:
        assert mount["mountPath"] == "/course" or f'"{mount["mountPath"]}' in image
    assert pod["securityContext"]["fsGroup"] == int(re.findall(r"--uid (\d+)", image)[0])


@of("yaml")
def test_its_book_can_be_loaded(block: Block, tmp_path: Path) -> None:
    import yaml

    book = tmp_path / "sites.toml"
    book.write_text(next(iter(yaml.safe_load_all(block.text)))["data"]["sites.toml"])
    assert list(SiteBook.load(book).sites) == ["tokyo"]


class TestContainerfile:
    TEXT = (DOCS.parent / "Containerfile").read_text("utf-8")
    STEPS = re.findall(r"^([A-Z]+) (.*)$", TEXT.replace("\\\n", " "), re.MULTILINE)

    def test_every_path_that_it_copies_exists(self) -> None:
        let_through = (DOCS.parent / ".dockerignore").read_text("utf-8").split()
        copied = [words.split()[:-1] for step, words in self.STEPS if step == "COPY" and "--from" not in words]
        assert copied
        for path in (path for paths in copied for path in paths):
            assert (DOCS.parent / path).exists()
            assert f"!{path}" in let_through

    def test_it_copies_what_the_build_reads(self) -> None:
        text = (DOCS.parent / "pyproject.toml").read_text("utf-8")
        read = re.findall(r"^(?:readme = |license-files = \[)\"([^\"]+)\"", text, re.MULTILINE)
        assert set(read) <= {word for step, words in self.STEPS if step == "COPY" for word in words.split()}

    def test_it_runs_as_an_ordinary_user_and_names_no_secret(self) -> None:
        assert ("USER", "10001") in self.STEPS
        assert dict(self.STEPS)["ENTRYPOINT"] == '["pmarep"]'
        assert not re.search("password|secret|token", re.sub("(?m)^#.*$", "", self.TEXT), re.IGNORECASE)

    def test_its_commands_are_shell(self) -> None:
        for step, words in self.STEPS:
            if step == "RUN":
                assert subprocess.run(["sh", "-n", "-c", words]).returncode == 0


def test_messages_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    said = re.sub(r"\s+", " ", "\0".join(texts()))
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 60
    pieces = [(message, piece) for message in messages for piece in message.replace("\\|", "|").split("...")]
    assert [(message, piece) for message, piece in pieces if piece.strip(" ;:,.()") not in said] == []


def texts() -> Iterator[str]:
    """Every text in the code, that of an f-string in pieces: from what Python has compiled, which takes no time."""
    for path in (DOCS.parent / "src" / "pmarep").rglob("*.py"):
        waiting: list[object] = [SourceFileLoader(path.stem, str(path)).get_code(path.stem)]
        while waiting:
            match waiting.pop():
                case str(text):
                    yield text
                case CodeType() as code:
                    waiting += code.co_consts
                case tuple() | frozenset() as several:
                    waiting += several


@pytest.mark.parametrize(
    ("shown", "output", "true"),
    [
        ("a\n...\nb", "a\nb\n", True),
        ("a\n...\nb", "a\nc\nd\nb\n", True),
        ("a ... b", "a and b\n", True),
        ("2 slides, 586 KiB, in 3s", "2 slides, 1.2 MiB, in 1m4s\n", True),
        ("2 slides", "3 slides\n", False),
        ("a", "a\nb\n", False),
    ],
)
def test_what_a_page_shows_is_compared(shown: str, output: str, true: bool) -> None:
    assert is_shown(shown, output) is true


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_every_unit_is_looked_at_by_the_test_of_unattended_runs() -> None:
    assert {block.page for block in BLOCKS if block.language == "ini"} == {"unattended.md"}
