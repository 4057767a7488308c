"""`pmarep demo`: what it shows, what it proves, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pmarep.cli.app import app
from pmarep.sandbox import Answer, Corrupt
from pmarep.sandbox import stage as stage_module
from pmarep.sandbox.stage import Stage

# The command, with smaller slides on slower lines.
_QUICK = """
import sys
from pmarep.cli import main
from pmarep.sandbox import stage
stage.SIDE, stage.RATES = 768, {"tokyo": 5e6, "saopaulo": 4e6}
sys.argv = ["pmarep", "demo"]
main()
"""

_WITHOUT_EXTRA = """
import sys
from pmarep.cli import main
sys.modules["tifffile"] = None
sys.argv = ["pmarep", "demo"]
main()
"""


class Home:
    """A user's home and temporary folder, in which everything that appears can be seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "LANG") if key in os.environ}
        self.environ = kept | {
            "HOME": str(self.folder),
            "USERPROFILE": str(self.folder),
            "APPDATA": str(self.folder),
            "LOCALAPPDATA": str(self.folder),
            "TMPDIR": str(self.temporary),
            "TEMP": str(self.temporary),
            "PYTHONUTF8": "1",
            "PMAREP_CONFIG": str(self.folder / "own" / "sites.toml"),
            "PMAREP_STATE_DIR": str(self.folder / "own" / "state"),
            "PMAREP_PASSWORD_TOKYO": "the user's own",
        }

    def start(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environ | environ, encoding="utf-8",
        )  # fmt: skip

    @property
    def left(self) -> list[Path]:
        return [*self.temporary.iterdir(), *self.folder.iterdir()]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.slow
def test_it_shows_that_all_slides_are_at_both_sites(home: Home) -> None:
    started = time.monotonic()
    # A proxy and a wish for colours, as hospitals and CI machines have them, change nothing.
    process = home.start("-m", "pmarep", "demo", HTTP_PROXY="http://127.0.0.1:9", FORCE_COLOR="1")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, ""), output
    assert time.monotonic() - started < 30
    assert not [c for c in output if not c.isprintable() and c != "\n"]
    tokyo, saopaulo = output.partition("\ntokyo  Slides/incoming at http://127.0.0.1:")[2].split("\nsaopaulo  ")
    for listing in (tokyo, saopaulo):
        assert listing.count("  identical\n") == 6
        assert "  胃生検/スライド標本 12.mrxs " in listing
        assert " 7 files  " in listing
        assert "  teaching/renal/kidney [PAS].tif " in listing
    assert "All 6 slides are at both sites, byte-identical." in output
    assert "  pmarep push FOLDER" in output.rpartition("The real thing:")[2]
    assert home.left == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_the_board(home: Home) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [sys.executable, "-c", _QUICK],
        stdin=theirs, stdout=theirs, stderr=theirs, env=home.environ | {"TERM": "xterm-256color"},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = _read_all(ours)
    assert process.returncode == 0, shown
    for seen in ("━━━", "0/6", "total", "MiB/s"):
        assert seen in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is there again
    assert shown.count("identical\x1b") == 12
    assert home.left == []


def _read_all(terminal: int) -> str:
    content = b""
    try:
        while block := os.read(terminal, 65536):
            content += block
    except OSError:
        pass  # Linux's way of saying that the other end is closed
    os.close(terminal)
    return content.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("after", "number", "times"),
    [
        ("Made-up", signal.SIGINT, 1),  # writing slides
        ("$ pmarep push", signal.SIGTERM, 1),
        (": sent ", signal.SIGINT, 1),
        (": sent ", signal.SIGINT, 3),
        ("What the servers", signal.SIGHUP, 1),
    ],
)
def test_interrupted_it_leaves_nothing(home: Home, after: str, number: signal.Signals, times: int) -> None:
    process = home.start("-c", _QUICK)
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            break
    for _ in range(times):
        process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, output + errors
    assert "identical" not in output
    assert "next run" not in output
    assert errors == "pmarep: interrupted; the servers are stopped and the folder is removed\n"
    assert home.left == []


def test_a_missing_extra_is_one_line(home: Home) -> None:
    process = home.start("-c", _WITHOUT_EXTRA)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors == "pmarep: the demo needs tifffile; install it with: pip install 'pmarep[sandbox]'\n"
    assert home.left == []


class _Small(Stage):
    """The stage with small slides, no slow lines, and something wrong with São Paulo."""

    def __init__(self) -> None:
        super().__init__(side=300, rates={"tokyo": None, "saopaulo": None})

    def start_servers(self) -> None:
        super().start_servers()
        self.harm()

    def harm(self) -> None:
        raise NotImplementedError


class _Damaging(_Small):
    def harm(self) -> None:
        self.sandboxes["saopaulo"].faults.add(Corrupt(5000), method="POST", path=".*kidney")


class _Losing(_Small):
    def harm(self) -> None:
        self.sandboxes["saopaulo"].faults.add(Answer.refusal("no room"), method="POST", path="transfer/Upload/.*skin")


class _Failing(_Small):
    def harm(self) -> None:
        raise OSError("no more sockets")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("stage", "wrong", "finding"),
    [(_Damaging, "kidney [PAS].tif ", "kidney [PAS].tif DIFFERS"), (_Losing, "skin.svs ", "missing")],
)
def test_what_did_not_arrive_as_it_was_is_shown(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, stage: type[Stage], wrong: str, finding: str
) -> None:
    monkeypatch.setattr(stage_module, "Stage", stage)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1, result.output
    lines = [line.rstrip() for line in result.output.splitlines()]
    assert [wrong in line for line in lines if line.endswith("  " + finding)] == [True]
    assert sum(line.endswith("  identical") for line in lines) == 11
    assert "Not everything arrived" in result.output
    assert "byte-identical" not in result.output
    assert list(temporary.iterdir()) == []


def test_it_tidies_up_after_a_failure(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "Stage", _Failing)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    result = CliRunner().invoke(app, ["demo"])
    assert isinstance(result.exception, OSError)
    assert list(temporary.iterdir()) == []
    assert {number: signal.getsignal(number) for number in before} == before


def test_its_slides_are_slides(temporary: Path) -> None:
    import openslide

    with Stage(side=512) as stage:
        stage.write_slides()
        vendors = {
            path.name: openslide.OpenSlide.detect_format(str(path))
            for path in stage.source.rglob("*")
            if path.is_file()
        }
    assert sorted(name for name, vendor in vendors.items() if vendor == "aperio") == [
        "IgA nephropathy.svs",
        "Präparat Größe 3.svs",
        "Präparat Größe 4.svs",
        "skin.svs",
    ]
    assert vendors["kidney [PAS].tif"] == "generic-tiff"
    assert len(vendors) == 12
