"""Run `pmarep sites` and `groups` as processes with a site book and a keyring of their own; answer prompts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.fork_server import USUAL_ENVIRONMENT, run
from support.sandboxes import PASSWORD, USER


@dataclass
class SitesCli:
    """Runs pmarep in a folder of its own, with a book and a keyring: `sites_cli("list")` is `pmarep sites list`."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def book(self) -> Path:
        return self.folder / "sites.toml"

    @property
    def kept(self) -> dict[str, str]:
        """What the keyring has."""
        file = self.folder / "keyring.json"
        found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **USUAL_ENVIRONMENT,
            "PMAREP_CONFIG": str(self.book),
            "PYTHON_KEYRING_BACKEND": "support.file_keyring.Keyring",
            "TEST_KEYRING": str(self.folder / "keyring.json"),
            **self.environ,
        }

    def __call__(self, *args: str, stdin: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.pmarep("sites", *args, stdin=stdin, code=code)

    def pmarep(self, *args: str, stdin: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run(args, self.environment, folder=self.folder, text=stdin or "")
        assert done.returncode == code, (done.stdout, done.stderr)
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def write(self, **sites: tuple[str, str]) -> None:
        """A book with these sites: name, url and target."""
        self.book.write_text(
            "".join(
                f'[sites.{name}]\nurl = "{url}"\nusername = "{USER}"\ntarget = "{target}"\n'
                for name, (url, target) in sites.items()
            )
        )


class ScriptedPrompt:
    """A prompter that gives these answers one by one, and keeps what was asked and said."""

    def __init__(self, *answers: str | bool) -> None:
        self.answers: Iterator[str | bool] = iter(answers)
        self.seen: list[str] = []

    def text(self, question: str, default: str | None = None) -> str:
        self.seen.append(question)
        answer = str(next(self.answers))
        return default or "" if answer == "<enter>" else answer

    hidden = text

    def yes(self, question: str, default: bool) -> bool:
        self.seen.append(question)
        answer = next(self.answers)
        assert isinstance(answer, bool), question
        return answer

    def say(self, words: str) -> None:
        self.seen.append(words)

    def heard(self, words: str) -> bool:
        return any(words in line for line in self.seen)


class MemoryKeyring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[username]
