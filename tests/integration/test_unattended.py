"""Nightly jobs: no terminal, no keyring, hardly an environment. The manual's lines are run as they are written."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE, USUAL_ENVIRONMENT, run
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="cron and systemd are not there")

PAGE = (Path(__file__).parents[2] / "docs" / "unattended.md").read_text(encoding="utf-8")
PMAREP = Path(sys.executable).parent / "pmarep"


def blocks(text: str, language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for of, block in found if of == language]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a person who has installed pmarep with pipx, and has a course to send."""
    folder = tmp_path / "home"
    (folder / ".local" / "bin").mkdir(parents=True)
    (folder / ".local" / "bin" / "pmarep").symlink_to(PMAREP)
    (folder / ".config" / "pmarep").mkdir(parents=True)
    course = tree(folder / "course", "a.svs", "Lymphknoten/Präparat 3.svs")
    for path in course.rglob("*.svs"):
        os.utime(path, (1_700_000_000, 1_700_000_000))  # not just copied: nobody waits for them to settle
    return folder


def cron(home: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As cron does: its environment, the home as the current folder, no terminal, /bin/sh."""
    usual = {"HOME": str(home), "LOGNAME": "somebody", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    assignments = [f"{name}={value}" for name, value in {**usual, **variables}.items()]
    return subprocess.run(
        ["/usr/bin/env", "-i", *assignments, "/bin/sh", "-c", command],
        cwd=home, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip


def push_here(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command of a crontab, in a process that is forked: it has no terminal either."""
    return run(
        ["push", str(home / "course"), "--sites", "tokyo"],
        {**os.environ, **USUAL_ENVIRONMENT, "HOME": str(home), **variables},
    )


def crontab(text: str) -> tuple[dict[str, str], str]:
    """The variables and the one command of a crontab. cron itself ends a command at a `%`."""
    variables, commands = {}, []
    for line in text.splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            variables[match[1]] = match[2]
        elif match := re.fullmatch(r"(?:[\d*/,-]+\s+){5}(.*)", line):
            commands.append(match[1])
    assert len(commands) == 1
    assert "%" not in commands[0]
    return variables, commands[0]


def site(name: str, at: Sandbox) -> str:
    return f'[sites.{name}]\nurl = "{at.url}"\nusername = "{USER}"\ntarget = "Slides/in"\n'


NO_NOTE = '[defaults]\nlabel_images = "allow"\n'
"""What a push says of labels before the first one to a site is no matter here."""


def put(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)


def written_book(text: str, at: Sandbox) -> str:
    """A book of the page, with the url and user of a server that is there."""
    text = text.replace("https://tokyo.example/", at.url).replace('"replicator"', f'"{USER}"')
    assert at.url in text
    return text


def test_the_crontab_with_variables(home: Path, start_sandbox: StartSandbox) -> None:
    tokyo, saopaulo = start_sandbox("tokyo"), start_sandbox("saopaulo")
    (text,) = [block for block in blocks(PAGE, "crontab") if "PMAREP_PASSWORD_TOKYO=..." in block]
    variables, command = crontab(text)
    assert variables == {"PMAREP_PASSWORD_TOKYO": "...", "PMAREP_PASSWORD_SAOPAULO": "..."}
    put(home / ".config/pmarep/sites.toml", NO_NOTE + site("tokyo", tokyo) + site("saopaulo", saopaulo))
    done = cron(home, command, **dict.fromkeys(variables, PASSWORD))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "cron mails whatever is printed"
    assert arrived(tokyo, "Slides/in") == arrived(saopaulo, "Slides/in") == contents(home / "course")


def test_the_crontab_with_a_password_file(home: Path, sandbox: Sandbox) -> None:
    _, command = crontab(blocks(PAGE, "crontab")[1])
    put(home / ".config/pmarep/sites.toml", NO_NOTE + written_book(blocks(PAGE, "toml")[0], sandbox))
    put(home / ".config/pmarep/tokyo.password", f"{PASSWORD}\n")
    done = cron(home, command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert arrived(sandbox, "Slides/incoming") == contents(home / "course")
    (home / ".config/pmarep/tokyo.password").unlink()
    done = push_here(home)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"pmarep: no password for tokyo: its password_file .*tokyo\.password cannot be read "
        r"\(No such file or directory\); mend it, or set PMAREP_PASSWORD_TOKYO\n",
        done.stderr,
    )


def units(folder: Path) -> tuple[Path, Path]:
    """The page's service and timer, with the three places that are another's machine changed to ours."""
    service, timer, _ = blocks(PAGE, "ini")
    for old, new in (
        ("/usr/local/bin/pmarep", PMAREP), ("/srv/course", folder / "course"), ("/etc/pmarep", folder / "etc"),
        ("/var/lib/pmarep", folder / "state"),
    ):  # fmt: skip
        assert old in service
        service = service.replace(old, str(new))
    (folder / "etc").mkdir()
    put(folder / "pmarep.service", service)
    put(folder / "pmarep.timer", timer)
    return folder / "pmarep.service", folder / "pmarep.timer"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_understands_the_units(home: Path) -> None:
    files = [*map(str, units(home)), str(home / "pmarep-stays.service")]
    put(Path(files[-1]), blocks(PAGE, "ini")[2].replace("/usr/local/bin/pmarep", str(PMAREP)))
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, encoding="utf-8", timeout=PATIENCE
    )
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "pmarep" in line]
    assert about_ours == []
    calendar = configparser.ConfigParser()
    calendar.read(files[1])
    when = calendar["Timer"]["OnCalendar"]
    assert subprocess.run(["systemd-analyze", "calendar", when], capture_output=True).returncode == 0


def test_the_service_of_systemd(home: Path, sandbox: Sandbox) -> None:
    """What systemd does with the unit: credentials in a folder of their own, variables, the command without a shell."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(units(home)[0], encoding="utf-8")
    service = parser["Service"]
    put(home / "etc/sites.toml", NO_NOTE + written_book(blocks(PAGE, "toml")[1], sandbox))
    put(home / "etc/tokyo.password", f"{PASSWORD}\n")
    name, _, source = service["LoadCredential"].partition(":")
    (home / "credentials").mkdir()
    shutil.copy(source, home / "credentials" / name)
    environment = dict(word.split("=", 1) for word in shlex.split(service["Environment"]))

    variables = {**environment, "PATH": "/usr/bin:/bin", "CREDENTIALS_DIRECTORY": str(home / "credentials")}
    done = subprocess.run(
        shlex.split(service["ExecStart"]), env=variables, cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert arrived(sandbox, "Slides/incoming") == contents(home / "course")
    assert list((home / "state").iterdir())
    words = shlex.split(service["ExecStart"])[1:]
    done = run(words, {**os.environ, **USUAL_ENVIRONMENT, **environment})  # by hand, without the credentials
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "set PMAREP_PASSWORD_TOKYO" in done.stderr


@pytest.mark.parametrize("keyring", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_without_keyring_and_terminal(home: Path, sandbox: Sandbox, keyring: str) -> None:
    put(home / ".config/pmarep/sites.toml", site("tokyo", sandbox))
    done = push_here(home, PYTHON_KEYRING_BACKEND=keyring)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pmarep: no password for tokyo: ")
    assert (
        "set PMAREP_PASSWORD_TOKYO, or name a private file with it: pmarep sites edit tokyo --password-file FILE\n"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert not sandbox.requests
    done = push_here(home, PYTHON_KEYRING_BACKEND=keyring, PMAREP_PASSWORD_TOKYO=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert arrived(sandbox) == contents(home / "course")


def test_without_anything_about_keyrings(home: Path, sandbox: Sandbox) -> None:
    """A server's machine as it is: whatever keyring library finds there, no D-Bus is running."""
    put(home / ".config/pmarep/sites.toml", site("tokyo", sandbox))
    done = cron(home, f"{shlex.quote(str(PMAREP))} push $HOME/course --sites tokyo")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "set PMAREP_PASSWORD_TOKYO" in done.stderr
