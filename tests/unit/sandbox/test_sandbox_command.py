from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import fork_server, plain_http
from support.fork_server import PATIENCE, LatePatch

from pmacore_sandbox import Sandbox, Settings
from pmarep.cli.app import app
from pmarep.errors import PmarepError, UsageError

PMAREP = [sys.executable, "-m", "pmarep"]


@contextmanager
def running(*options: str, password: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {**os.environ, "PMAREP_SANDBOX_PASSWORD": password}
    command = [*PMAREP, "sandbox", "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"http://\S+", line)
            assert match, line + process.stdout.read()
            yield process, match[0]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    options = ["--data", str(tmp_path / "d"), "--path", "/core", "--root", "Slides", "--root", "Boxes", "--user", "ann"]
    with running(*options, password="geheim") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/core/", url)
        login = {"username": "ann", "password": "geheim"}
        session = plain_http.post(url + "api/json/authenticate", json=login).json()["SessionId"]
        roots = plain_http.get(url + "api/json/GetRootDirectories", params={"sessionID": session})
        assert roots.json() == ["Slides", "Boxes"]
        process.send_signal(number)
        assert process.stdout is not None
        rest = process.stdout.read()
        assert process.wait(PATIENCE) == 0
        assert rest == ""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **fork_server.USUAL_ENVIRONMENT, **variables}
    environment.pop("PMAREP_SANDBOX_PASSWORD", None)
    return fork_server.run(["sandbox", *arguments], environment)


def test_a_password_is_needed(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path))
    assert done.returncode == 2
    assert "PMAREP_SANDBOX_PASSWORD" in done.stderr
    words = " ".join(run("--help", COLUMNS="200").stdout.replace("│", " ").split())
    assert (
        "--password TEXT The user's password; required, here or in the variable. [variable: PMAREP_SANDBOX_PASSWORD]"
        in words
    )


def test_a_missing_extra_is_a_clear_sentence(tmp_path: Path) -> None:
    missing = LatePatch("import sys\nassert 'uvicorn' not in sys.modules\nsys.modules['uvicorn'] = None")
    environment = {**os.environ, **fork_server.USUAL_ENVIRONMENT}
    done = fork_server.run(["sandbox", "--data", str(tmp_path), "--password", "p"], environment, patch=missing)
    assert done.returncode == 1
    assert "in a clone of the sources with: pipx install --force '.[sandbox]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_imports_no_server() -> None:
    code = "import sys, pmarep.cli.app; print({'uvicorn', 'starlette', 'pmacore_sandbox'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_port_in_use_is_a_clear_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "other", password="p", port=sandbox.settings.port)
    with pytest.raises(PmarepError, match="choose another port"):
        Sandbox(settings).start()


def test_a_data_folder_that_cannot_be_is_a_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PmarepError, match="data folder"):
        Sandbox(Settings(data=tmp_path / "file", password="p")).start()


@pytest.mark.parametrize("roots", [(), ("a", "A"), ("..",), ("a/b",), (".sandbox",), ("",)])
def test_root_directories_that_cannot_be(tmp_path: Path, roots: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        Settings(data=tmp_path, password="p", roots=roots)


def test_the_password_is_not_in_the_settings_text(tmp_path: Path) -> None:
    assert "geheim" not in repr(Settings(data=tmp_path, password="geheim"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--part-size", "foo"), "--part-size: cannot read the size 'foo'"),
        (("--rate", "9" * 400), "--rate: such a size"),
        (("--data", __file__), "cannot use the data folder"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1:0: "),
        (("--host", "a..b"), "cannot listen on a..b:0: "),
    ],
)
def test_options_that_the_sandbox_cannot_use_are_usage_errors(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UsageError) as error:
        app(("sandbox", "--data", str(tmp_path / "d"), "--port", "0", "--password", "x", *options))
    assert str(error.value).startswith(words)
    assert len(str(error.value).splitlines()) == 1
