"""Read the blocks of the manual's pages, and run their commands as a reader would, against sandboxes.

A block is a fence with a language. A comment before it says what a page cannot: `<!-- manual: exit 1 -->`; several
are separated by `;`:

- `sites tokyo saopaulo`: before this block the book has these sites, with passwords;
- `file boxes.csv`: the block is this file, here;
- `annotated tokyo a.svs`: before this block somebody annotates this slide below the site's target;
- `exit 1`: how the block's last command ends, if not with 0;
- `not run: REASON`: the commands are only held against the options that there are.

`console` blocks are run in order, all of a page in one folder with `cases/` in it. Output that is shown is compared,
`...` standing for anything; blanks, sizes, durations and rates may differ. `https://NAME.example/` is a sandbox of that
name, and the folder is `/home/me`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from typer.testing import CliRunner

from pmacore_sandbox import Sandbox
from pmarep.cli.app import app
from pmarep.demo import environment as demo_environment
from support import fork_server
from support.annotations import annotate, annotation
from support.forms import forms
from support.push_cli import Running
from support.sandboxes import PASSWORD, StartSandbox
from support.sites_cli import SitesCli

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"(?:^<!-- manual: ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIES = re.compile(
    r"\d[\d.]* (?:[KMGT]i)?B(?:ytes)?(?:/s)?|\b\d+ bytes\b|\b(?:\d+h)?(?:\d+m)?\d+s\b|\b\d+ ms\b"
    r"|\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:[+-]\d\d:\d\d)?)?)?\b"
)


@dataclass(frozen=True)
class Block:
    """A fence of a page. `line` is that of its first line, for people."""

    page: str
    line: int
    language: str
    text: str
    comment: str

    def said(self, word: str) -> str | None:
        """Return what the comment says after a word; None where it has not this word."""
        for part in self.comment.split("; "):
            if part == word or part.startswith((f"{word} ", f"{word}: ")):
                return part.removeprefix(word).lstrip(": ")
        return None

    @property
    def where(self) -> str:
        return f"docs/{self.page}, line {self.line}"

    def commands(self) -> list[tuple[str, list[str]]]:
        """Return the commands of a `console` block, each with the lines of output that are shown."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif found[-1][0].endswith("\\"):
                found[-1] = (found[-1][0].removesuffix("\\") + line.strip(), [])
            else:
                found[-1][1].append(line)
        return found


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, match.start(3)), match[2], match[3], match[1] or "")
        for match in _BLOCK.finditer(text)
    ]


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def check_arguments(words: list[str]) -> None:
    """Hold a command's words, after `pmarep`, against the commands and options that there are; run nothing."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]
    if not hasattr(command, "commands"):
        command.make_context("pmarep", rest)


@dataclass
class Reader:
    """A reader of one page, in a folder of their own with `cases/`, who types what the page says."""

    page: str
    cli: SitesCli
    start_sandbox: StartSandbox
    places: dict[str, str] = field(default_factory=dict)
    """What stands in the page, such as `https://tokyo.example/core/`, and what is here in its place."""

    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    """By the first part of their hosts' names."""

    running: list[Running] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.cli.folder

    def prepare(self, block: Block) -> None:
        """Start the sandboxes that a block names, write its file, add its sites."""
        for url in re.findall(r"https://[a-z.]+\.example/(?:[a-z.]+/)?", block.text):
            self.place(url)
        if name := block.said("file"):
            (self.folder / name).write_text(self.here(block.text), "utf-8")
        for name in (block.said("sites") or "").split():
            if not self.cli.book.exists() or f"[sites.{name}]" not in self.cli.book.read_text("utf-8"):
                url = self.place(f"https://{name}.example/")
                with self.cli.book.open("a", encoding="utf-8") as book:
                    book.write(
                        f'[sites.{name}]\nurl = "{url}"\nusername = "replicator"\ntarget = "Slides/incoming"\n'
                        'label_images = "allow"\n'
                    )
                self.cli.environ[f"PMAREP_PASSWORD_{name.upper()}"] = PASSWORD
        if slide := block.said("annotated"):
            name, _, path = slide.partition(" ")
            annotate(self.sandboxes[name], f"Slides/incoming/{path}", *map(annotation, range(3)))

    def place(self, url: str) -> str:
        if url not in self.places:
            host, _, path = url.removeprefix("https://").partition("/")
            text = (DOCS / self.page).read_text("utf-8")
            roots = re.findall(r"--target ([\w-]+)/|target = \"([\w-]+)/|,([\w-]+)/\w+$", text, re.MULTILINE)
            names = dict.fromkeys(["Slides", *("".join(found) for found in roots)])
            core = self.start_sandbox(host, roots=tuple(names), path=f"/{path}", user="replicator", forms=forms())
            self.places[url] = core.url
            self.sandboxes[host.split(".")[0]] = core
            for word in ("servers.", "--server "):  # by the name that `sites duplicate` makes of the host
                self.places[word + host.split(".")[-2]] = f"{word}127-0-0-1"
        return self.places[url]

    def here(self, text: str) -> str:
        for there, ours in sorted(self.places.items(), key=lambda both: -len(both[0])):
            text = text.replace(there, ours)
        return text

    def as_shown(self, text: str) -> str:
        """Return output as the page would show it: other names, and as on a terminal without the times of lines."""
        text = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", text, flags=re.MULTILINE)
        for there, ours in self.places.items():
            text = text.replace(ours, there)
        text = text.replace(str(self.cli.book), "/home/me/.config/pmarep/sites.toml")
        return text.replace(str(self.folder), "/home/me")

    def type(self, block: Block) -> None:
        """Run a `console` block."""
        commands = block.commands()
        for number, (command, shown) in enumerate(commands, 1):
            code, output = self.run(self.here(command))
            where = f"{block.where}: $ {command}\n{output}"
            assert code == (int(block.said("exit") or 0) if number == len(commands) else 0), where
            assert "Traceback" not in output, where
            assert PASSWORD not in output, where
            if shown:
                assert is_shown("\n".join(shown), self.as_shown(output)), f"{where}\n--- shown:\n" + "\n".join(shown)

    def run(self, command: str) -> tuple[int, str]:
        """Return the exit code and the output of a command, as short a way as it allows."""
        if command.startswith("export "):
            self.cli.environ.update(word.partition("=")[::2] for word in words_of(command)[1:])
            return 0, ""
        if command.startswith("kill %"):
            return 0, self.stop()
        if command.endswith(" &"):
            return 0, self.start(words_of(command.removesuffix(" &"))[1:])
        if match := re.fullmatch(r"(pass show \S+) \| (pmarep [^|>]*)", command):
            return self.pmarep(words_of(match[2])[1:], f"{PASSWORD}\n")
        if match := re.fullmatch(r"(pmarep [^|>]*) > (\S+)", command):
            code, output = self.pmarep(words_of(match[1])[1:])
            (self.folder / match[2]).write_text(output, "utf-8")
            return code, ""
        if not re.search(r"[|>;&$`]", re.sub(r"'[^']*'", "", command)) and command.startswith("pmarep "):
            return self.pmarep(words_of(command)[1:])
        return self.bash(command)

    def pmarep(self, words: list[str], text: str = "") -> tuple[int, str]:
        if "--slides" in words:
            with mock.patch.object(demo_environment, "SIDE", 256):  # those of the demo have 13 MB each
                result = CliRunner().invoke(app, words)
            return result.exit_code, result.output
        done = fork_server.run(words, self.environment, folder=self.folder, text=text)
        return done.returncode, done.stdout + done.stderr

    def bash(self, command: str) -> tuple[int, str]:
        tools = self.folder / "bin"
        if not tools.exists():
            tools.mkdir()
            (tools / "pmarep").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pmarep "$@"\n')
            (tools / "pmarep").chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env={**self.environment, "PATH": f"{tools}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            timeout=fork_server.PATIENCE,
        )  # fmt: skip
        return done.returncode, done.stdout

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.cli.environment, "NO_PROXY": "*",
            "PMAREP_STATE_DIR": str(self.folder / "state"),
        }  # fmt: skip

    def start(self, words: list[str]) -> str:
        """Start `pmarep sandbox` at a free port, and return its first line."""
        port = words[words.index("--port") + 1]
        words[words.index("--port") + 1] = "0"
        process = Running(fork_server.start(words, self.environment, folder=self.folder))
        self.running.append(process)
        process.wait_for_words("sandbox listens on ")
        line = process.lines[0]
        ours = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert ours
        self.places[f"http://127.0.0.1:{port}/"] = ours[0]
        return line

    def stop(self) -> str:
        while self.running:
            self.running.pop().interrupt()
        return ""


def is_shown(shown: str, output: str) -> bool:
    """Return whether a page shows an output truly: `...` is anything, a line of it any lines."""

    def alike(line: str) -> str:
        return " ".join(_VARIES.sub("\0", line).split())

    def pattern(line: str) -> str:
        if line.strip() == "...":
            return r"(?:[^\n]*\n)*?"
        pieces = alike(line).split("...")
        return "[^\\n]*".join(re.escape(piece) for piece in pieces) + r"\n"

    text = "".join(alike(line) + "\n" for line in output.splitlines() if line.strip())
    expected = "".join(pattern(line) for line in shown.splitlines() if line.strip())
    return re.fullmatch(expected, text) is not None
