"""Commands that are pasted into a shell say there what they were."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pmarep.system.shell_words import shell_line

WORDS = [
    "plain", "two words", "it's", 'a "quote"', "$HOME `ls` \\ !x", "a&b;c|d<e>f", "#%+*?[x]{y}~", "", "Präparat 日本",
    "tab\tand\nline", "\x1b[2J", "\x07" + "7", os.fsdecode(b"caf\xe9 '\\"), "\u202eabc", "--", "--x=-1",
]  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_posix_shell_reads_the_same_words(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not there")
    line = shell_line(WORDS, "linux")
    assert all(word.isprintable() for word in line.split("\n"))
    done = subprocess.run(
        [shell, "-c", f"printf '%s\\0' {os.fsdecode(line.encode('utf-8', 'surrogateescape'))}"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]] == WORDS


@pytest.mark.parametrize(
    ("word", "written"),
    [
        (r"C:\slides\a.svs", r"C:\slides\a.svs"),
        ("C:\\my slides\\", r'"C:\my slides\\"'),
        ("a&b", '"a&b"'),
        ("*.svs", '"*.svs"'),
        (r'say \"x"', r'"say \\\"x\""'),
        ("", '""'),
        ("--sites", "--sites"),
        ("a,b", '"a,b"'),  # which PowerShell takes for a list
    ],
)
def test_words_on_windows(word: str, written: str) -> None:
    assert shell_line([word], "win32") == written
