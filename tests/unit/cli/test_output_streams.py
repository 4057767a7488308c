"""What a program's standard output may be, on every platform."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pmarep import cli
from pmarep.cli.list_output import print_json
from pmarep.cli.output_streams import is_broken_pipe
from pmarep.cli.render import LinesOutput

EINVAL = OSError(errno.EINVAL, "Invalid argument")


class Broken:
    """A stdout with this file behind it, of which Windows says that it cannot be written."""

    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, text: str) -> int:
        raise EINVAL

    def flush(self) -> None:
        raise EINVAL

    def fileno(self) -> int:
        return self._file


@contextmanager
def piped(platform: str) -> Iterator[None]:
    """Not a fixture: pytest puts its own stdout into place after those."""
    reader, writer = os.pipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Broken(writer))
        patch.setattr(sys, "platform", platform)
        yield
    os.close(reader)
    os.close(writer)


def test_that_nobody_reads_a_pipe_is_no_error_on_windows() -> None:
    output = LinesOutput(quiet=False, verbose=False)
    with piped("win32"):
        output.write_line("a")
    assert output.write_error is None


def test_nor_is_it_at_the_end() -> None:
    with piped("win32"):
        assert cli._without_output(EINVAL, 0) == 0


def test_it_is_one_of_a_file_and_of_other_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with piped("linux"):
        assert not is_broken_pipe(EINVAL)
        assert is_broken_pipe(BrokenPipeError(errno.EPIPE, ""))
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(sys, "stdout", file)
        assert not is_broken_pipe(EINVAL)


def test_json_is_ascii_whatever_the_encoding(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"ä": "😀"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"ä": "😀"}
