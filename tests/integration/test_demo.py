"""`pmarep demo`: what it shows, what it proves, and that nothing is left of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.fork_server import LatePatch, Process, finish, start
from typer.testing import CliRunner

from pmacore_sandbox import CannedResponse, Corrupt
from pmacore_sandbox.emulators import processes
from pmacore_sandbox.emulators.processes import EmulatorMissing, azurite
from pmarep.cli.app import app
from pmarep.demo import environment
from pmarep.demo.environment import DemoEnvironment
from pmarep.errors import PmarepError

SLIDES = "from pmarep.demo import environment; environment.SIDE, environment.RATES = "
SMALL_SLIDES = SLIDES + "512, {'tokyo': 5e6, 'saopaulo': 4e6}"
ONE_HARDLY_SENDS = LatePatch(SLIDES + "300, {'tokyo': None, 'saopaulo': 200e3}")
# In parts or blocks, in a tenth of a second.
_PIECE = 640 * 1024
_SLIDES_IN_PIECES = SLIDES + "300, {'tokyo': 60e6, 'saopaulo': 40e6}\n"
SLIDES_IN_PIECES = {
    "s3": LatePatch(f"""{_SLIDES_IN_PIECES}
from pmarep.demo import storage
storage.PART_SIZE = {_PIECE}
"""),
    "azure": LatePatch(f"""{_SLIDES_IN_PIECES}
from pmarep.state import unfinished
from pmarep.uploaders import azure
unfinished.MIB = unfinished.SMALLEST_BLOCK = azure.SMALLEST_BLOCK = {_PIECE}
"""),
}


WAITS = """
import threading
from pmarep.cli import demo
said, asked, interrupted = demo._say, demo.Ending._on_signal, threading.Event()
def say(text):
    said(text)
    if {after!r} in text:
        interrupted.wait(240)
def on_signal(*arguments):
    asked(*arguments)
    interrupted.set()
demo._say, demo.Ending._on_signal = say, on_signal
"""
"""It goes on only when it is interrupted."""


NOT_INSTALLED = """
import sys
for name in [name for name in sys.modules if name.startswith(("pmarep.demo", "pmacore_sandbox"))]:
    del sys.modules[name]  # which the fork server has imported
sys.modules[{missing!r}] = None
"""


class Home:
    """A user's home and temporary folder, in which everything that appears can be seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "SYSTEMROOT", "LANG") if key in os.environ}
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

    def start(self, *options: str, patch: str, **environ: str) -> Process:
        """Start `pmarep demo`."""
        return start(["demo", *options], self.environ | environ, patch=patch, own_group=True)

    @property
    def left(self) -> list[Path]:
        """Files, and the processes that are still there."""
        return [*self.temporary.iterdir(), *self.folder.iterdir(), *self._processes()]

    def _processes(self) -> Iterator[Path]:
        for process in Path("/proc").glob("[0-9]*"):  # none but on Linux
            with suppress(OSError):  # it has just ended, or is somebody else's
                if f"HOME={self.folder}\0".encode() in (process / "environ").read_bytes():
                    yield process


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.slow
def test_it_shows_that_all_slides_are_at_both_sites(home: Home) -> None:
    # A proxy and a wish for colours, as hospitals and CI machines have them, change nothing.
    process = subprocess.Popen(
        [sys.executable, "-c", f"{SMALL_SLIDES}; from pmarep.cli import main; main()", "demo"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env=home.environ | {"HTTP_PROXY": "http://127.0.0.1:9", "FORCE_COLOR": "1"},
    )  # fmt: skip
    code, output, errors = finish(process)
    assert (code, errors) == (0, ""), output
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


@pytest.fixture(params=["s3", "azure"])
def cloud(request: pytest.FixtureRequest) -> str:
    if request.param == "azure":
        request.getfixturevalue("azurite_url")  # skips where there is none
    return str(request.param)


def test_it_shows_the_same_in_a_cloud(home: Home, cloud: str, request: pytest.FixtureRequest) -> None:
    """The emulator of all tests does as well as one of its own, which is started in the test below."""
    url = request.getfixturevalue({"s3": "moto_url", "azure": "azurite_url"}[cloud])
    emulator = "\nfrom contextlib import nullcontext\nfrom pmarep.demo import storage"
    emulator += f"\nstorage.moto = storage.azurite = lambda **_: nullcontext({url!r})"
    patch = LatePatch(SLIDES_IN_PIECES[cloud] + emulator)
    process = home.start("--kind", cloud, patch=patch, HTTP_PROXY="http://127.0.0.1:9")
    code, output, errors = finish(process)
    assert (code, errors) == (0, ""), output
    # Four slides and one that is a bit smaller, in two each.
    pieces = {"s3": "parts: 10 to tokyo, 10 to saopaulo", "azure": "blocks: 10 to tokyo, 10 to saopaulo"}
    assert f"\nLarger files went in {pieces[cloud]}\n" in output
    assert output.count("  identical\n") == 12
    assert "All 6 slides are at both sites, byte-identical." in output
    assert home.left == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted_it_leaves_nothing_of_an_emulator(home: Home, cloud: str) -> None:
    """Before a server uses it, and afterwards: how it stops does not depend on what it is."""
    after = {"s3": "Made-up", "azure": "$ pmarep push"}[cloud]
    patch = LatePatch(SLIDES_IN_PIECES[cloud] + WAITS.format(after=after))
    interrupt(home.start("--kind", cloud, patch=patch), after, signal.SIGINT, 1)
    assert home.left == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_the_board(home: Home) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [sys.executable, "-c", f"{SMALL_SLIDES}; from pmarep.cli import main; main()", "demo"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=home.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = _read_all(ours)
    assert process.returncode == 0, shown
    for seen in ("━━━", "0 of 6 slides", "total", "iB/s"):
        assert seen in shown
    assert "\x1b[?25l" not in shown  # the cursor is there all the time
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
    ("after", "number", "times", "patch"),
    [
        ("Made-up", signal.SIGINT, 1, ONE_HARDLY_SENDS),  # writing slides
        ("$ pmarep push", signal.SIGTERM, 1, ONE_HARDLY_SENDS),
        (": sent ", signal.SIGINT, 1, ONE_HARDLY_SENDS),
        (": sent ", signal.SIGINT, 3, ONE_HARDLY_SENDS),
        ("What the servers", signal.SIGHUP, 1, SLIDES + "300, {'tokyo': None, 'saopaulo': None}"),
    ],
)
def test_interrupted_it_leaves_nothing(home: Home, after: str, number: signal.Signals, times: int, patch: str) -> None:
    interrupt(home.start(patch=LatePatch(patch + WAITS.format(after=after))), after, number, times)
    assert home.left == []


def interrupt(process: Process, after: str, number: signal.Signals, times: int) -> None:
    """As a terminal does it: the whole process group gets the signal."""
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            break
    for _ in range(times):
        os.killpg(process.pid, number)
    code, output, errors = finish(process)
    assert code == 130, output + errors
    assert "identical" not in output
    assert "next run" not in output
    assert errors == "pmarep: interrupted; the servers are stopped and the folder is removed\n"


@pytest.mark.parametrize(
    ("missing", "kind", "line"),
    [
        (
            "tifffile",
            "filesystem",
            "the demo needs tifffile; install it in a clone of the sources with: pipx install --force '.[sandbox]'",
        ),
        (
            "boto3",
            "filesystem",
            "the demo needs boto3; install it in a clone of the sources with: pipx install --force '.[sandbox]'",
        ),
        ("moto", "s3", "moto's S3 server is not installed; get it with: pip install 'moto[s3,server]'"),
        ("flask", "s3", "moto's S3 server is not installed; get it with: pip install 'moto[s3,server]'"),
    ],
)
def test_what_is_not_installed_is_one_line(home: Home, missing: str, kind: str, line: str) -> None:
    process = home.start("--kind", kind, patch=LatePatch(NOT_INSTALLED.format(missing=missing)))
    assert finish(process) == (1, "", f"pmarep: {line}\n")
    assert home.left == []


def test_azurite_is_looked_for_where_npm_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        processes, "__file__", str(tmp_path / "site-packages" / "pmacore_sandbox" / "emulators" / "processes.py")
    )
    monkeypatch.chdir(tmp_path)
    programs: dict[str, str] = {}
    monkeypatch.setattr(shutil, "which", programs.get)
    assert reason_for_none().startswith("Azurite needs Node.js")
    programs["node"] = sys.executable  # it will do for a script of one line
    assert reason_for_none() == "Azurite is not installed; get it with: make demo KIND=azure, or: npm install azurite"
    for folder in (tmp_path, tmp_path / ".node"):
        script = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        script.parent.mkdir(parents=True)
        script.write_text(f"print('{folder.name} is broken')")
        with pytest.raises(PmarepError, match=rf"Azurite did not start \({folder.name} is broken\); "), azurite():
            pass


def reason_for_none() -> str:
    with pytest.raises(EmulatorMissing) as caught, azurite():
        pass
    return str(caught.value)


class _Small(DemoEnvironment):
    """The demo's environment with small slides, no rate limits, and something wrong with São Paulo."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, side=300, rates={"tokyo": None, "saopaulo": None})

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
        self.sandboxes["saopaulo"].faults.add(
            CannedResponse.refusal("no room"), method="POST", path="transfer/Upload/.*skin"
        )


class _Failing(_Small):
    def harm(self) -> None:
        raise OSError("no more sockets")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("harmed", "wrong", "result"),
    [(_Damaging, "kidney [PAS].tif ", "kidney [PAS].tif DIFFERS"), (_Losing, "skin.svs ", "missing")],
)
def test_what_did_not_arrive_as_it_was_is_shown(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, harmed: type[DemoEnvironment], wrong: str, result: str
) -> None:
    monkeypatch.setattr(environment, "DemoEnvironment", harmed)
    run = CliRunner().invoke(app, ["demo"])
    assert run.exit_code == 1, run.output
    lines = [line.rstrip() for line in run.output.splitlines()]
    assert [wrong in line for line in lines if line.endswith("  " + result)] == [True]
    assert sum(line.endswith("  identical") for line in lines) == 11
    assert "Not everything arrived" in run.output
    assert "byte-identical" not in run.output
    assert list(temporary.iterdir()) == []


def test_it_tidies_up_after_a_failure(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "DemoEnvironment", _Failing)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    result = CliRunner().invoke(app, ["demo"])
    assert isinstance(result.exception, OSError)
    assert list(temporary.iterdir()) == []
    assert {number: signal.getsignal(number) for number in before} == before


def test_its_slides_are_slides(temporary: Path) -> None:
    import openslide

    with DemoEnvironment(side=512) as made:
        made.write_slides()
        vendors = {
            path.name: openslide.OpenSlide.detect_format(str(path)) for path in made.source.rglob("*") if path.is_file()
        }
    assert sorted(name for name, vendor in vendors.items() if vendor == "aperio") == [
        "IgA nephropathy.svs",
        "Präparat Größe 3.svs",
        "Präparat Größe 4.svs",
        "skin.svs",
    ]
    assert vendors["kidney [PAS].tif"] == "generic-tiff"
    assert len(vendors) == 12
