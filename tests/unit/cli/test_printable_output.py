"""Text from servers and from file names is shown in one way: on its line, and without effect on the terminal."""

from __future__ import annotations

import ast
import io
import logging
from pathlib import Path

import pytest
from support.corpus import tree
from typer.testing import CliRunner

import pmarep.cli
from pmarep.cli.app import app
from pmarep.cli.list_output import print_columns, print_fitted_columns
from pmarep.cli.output_streams import echo
from pmarep.cli.sites.check_table import show
from pmarep.cli.sites.prompter import TerminalPrompter
from pmarep.cli.slides.output import PlainSlideOutput, TerminalSlideOutput
from pmarep.pmacore.redact import RedactingFilter
from pmarep.sites.site_check import SiteCheck, Tls
from pmarep.slides import find_slides

EVIL = "x\x1b]0;owned\x07\x1b[2J\r\nforged: ok\u2028and\u202egnp.svs\x9b31m\t"


def harmless(text: str) -> None:
    assert not set(text) & set("\x1b\x07\r\u2028\u202e\x9b"), repr(text)
    assert not any(line.startswith(("forged", "and")) for line in text.splitlines())
    assert "owned" in text or "gnp" in text


@pytest.mark.parametrize("err", [False, True])
def test_say(capsys: pytest.CaptureFixture[str], err: bool) -> None:
    echo("a\nb\tc", EVIL.replace("\n", ""), err=err)
    out = capsys.readouterr()[err]
    harmless(out)
    assert out.startswith("a\nb\\x09c\t")


def test_the_checks_of_a_site(capsys: pytest.CaptureFixture[str]) -> None:
    check = SiteCheck(
        "tokyo", "https://h/", f"Slides/{EVIL}", version=EVIL, tls=Tls(EVIL, "", 1, True), folder="exists",
    )  # fmt: skip
    show([check, SiteCheck("rome", "https://h/", "R", error="refused: " + EVIL.replace("\n", ""))], print_columns)
    out = capsys.readouterr().out
    harmless(out)
    assert len(out.splitlines()) == 5
    print_fitted_columns([["NAME", "URL"], [EVIL, EVIL]])
    harmless(capsys.readouterr().out)


def test_a_prompt_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalPrompter().say(f"  1  {EVIL}".replace("\n", ""))
    harmless(capsys.readouterr().out)


@pytest.mark.parametrize("kind", [PlainSlideOutput, TerminalSlideOutput])
def test_names_of_files(tmp_path: Path, kind: type[PlainSlideOutput], capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path, "gnp\u202esvs.svs", "gnp\u2028and.svs", "empty\u202e.mrxs", "no\u2028slide.txt")
    output = kind(verbose=True)
    for thing in find_slides(tmp_path):
        output.add(thing)
    output.finish()
    out = capsys.readouterr().out
    harmless(out)
    assert "\\u202e" in out


def test_a_wrong_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["pmarep", "slides", str(tmp_path / "gnp\x1b[2J\u202e")])
    with pytest.raises(SystemExit):
        pmarep.cli.main()
    harmless(capsys.readouterr().err)


def test_log_lines() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("pmarep.test_log_lines")
    logger.addHandler(handler)
    try:
        logger.error("said %s", EVIL)
        try:
            raise RuntimeError("gnp\x1b[2J\u202e")
        except RuntimeError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
    harmless(stream.getvalue())
    assert stream.getvalue().count("Traceback") == 1


def test_nothing_else_prints() -> None:
    """A new command that prints by itself would forget it."""
    folder = Path(pmarep.cli.__file__).parent
    # Events and lines that are printable before; headings in bold.
    allowed = {
        ("output_streams.py", "print"),
        ("base.py", "print"),
        ("list.py", "typer.secho"),
        ("show.py", "typer.secho"),
    }
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write"):
                    found.add((path.name, name))
    assert found - allowed == {("output_streams.py", "sys.stdout.write")}  # an own line break


def test_the_version_is_still_reported() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("pmarep ")
