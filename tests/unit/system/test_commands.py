"""Commands of the site book, as Windows starts them and as they speak there."""

from __future__ import annotations

import io
import locale
import shutil
import sys
from pathlib import Path

import pytest

from pmarep.engine.gate.command_run import CommandEnd, run_to_end
from pmarep.system.commands import executable_for_names, last_line

FOUND = {"strip": r"C:\rules\strip.CMD", "old": r"C:\rules\old.bat", "py": r"C:\Windows\py.exe"}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(shutil, "which", lambda name, path: FOUND.get(name) if path == "P" else None)
    monkeypatch.setattr(locale, "getencoding", lambda: "cp1252")


@pytest.mark.parametrize(
    ("words", "started"),
    [
        # cmd would end the command at an & without quotes, and take , ; = ( ) for ends of words.
        (("strip", r"C:\a&calc.svs", "x=1"), r'"C:\rules\strip.CMD" "C:\a&calc.svs" "x=1"'),
        (("old", r"C:\My cases\50 %, (2).svs"), r'"C:\rules\old.bat" "C:\My cases\50 %, (2).svs"'),
        (("py", r"C:\a&b %PATH%.svs"), [r"C:\Windows\py.exe", r"C:\a&b %PATH%.svs"]),
        (("nowhere", "%a%"), ["nowhere", "%a%"]),
    ],
)
@pytest.mark.usefixtures("windows")
def test_a_batch_file_gets_names_in_quotes(words: tuple[str, ...], started: list[str] | str) -> None:
    assert executable_for_names(words, "P") == started


@pytest.mark.parametrize("name", [r"C:\%PATH%.svs", 'a"b'])
@pytest.mark.usefixtures("windows")
def test_what_no_batch_file_can_be_given_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no batch file can be given a name with two %"):
        executable_for_names(("strip", name), "P")


def test_elsewhere_words_are_words() -> None:
    assert executable_for_names(("x.cmd", "%a%", "b&c"), "P") == ["x.cmd", "%a%", "b&c"]


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (b"looking\r\nkein Einverst\xe4ndnis f\xfcr 5 \x80\r\n", "kein Einverständnis für 5 €"),
        ("同意なし\n".encode(), "同意なし"),
        (b"\xe4" * 9000 + b"\nfine\n", "fine"),
        (b"", ""),
    ],
)
@pytest.mark.usefixtures("windows")
def test_what_programs_of_windows_print_is_read(printed: bytes, line: str) -> None:
    assert last_line(io.BytesIO(printed)) == line


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, ""), (3, ""), (-9, "signal 9"), (0xC000013A, "Windows (0xC000013A)"), (0xC0000005, "Windows (0xC0000005)"),
        (0xFFFFFFFF, ""), (None, ""),
    ],
)  # fmt: skip
def test_what_ended_a_command_is_no_answer_of_it(code: int | None, words: str) -> None:
    """0xFFFFFFFF is what exit(-1) makes there."""
    assert CommandEnd(code, "").ended_by == words


async def test_a_command_has_no_window_and_no_ctrl_c_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, windows: None
) -> None:
    given: dict[str, object] = {}

    class Popen:
        pid = 1

        def __init__(self, _words: object, **options: object) -> None:
            given.update(options)

        def wait(self, _seconds: float) -> int:
            return 0

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("subprocess.Popen", Popen)
    assert await run_to_end(("py", "x"), {"PATH": "P"}, 5) == CommandEnd(0, "")
    assert given["creationflags"] == 0x08000000
