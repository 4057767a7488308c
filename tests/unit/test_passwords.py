"""A password that a program wrote, in whatever encoding."""

from __future__ import annotations

import io
import locale
import sys
import traceback

import pytest

from pmarep.cli.sites.login import _piped_password
from pmarep.errors import CredentialsError
from pmarep.passwords import NotTextError, first_line

SECRET = " pä ss€Ċ਀ "  # with U+010A and U+0A00, which have the byte of a line end in UTF-16
LINES = f"{SECRET}\r\nmore ü\r\n"


def piped(data: bytes) -> str:
    """As on Windows, where the text of stdin would be cp1252."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="cp1252"))
        return _piped_password()


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [("", "utf-8"), ("\ufeff", "utf-8"), ("\ufeff", "utf-16-le"), ("\ufeff", "utf-16-be")],
)
def test_any_encoding_that_says_what_it_is(mark: str, encoding: str) -> None:
    data = f"{mark}{LINES}".encode(encoding)
    assert first_line(data) == piped(data) == SECRET


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\nmore", "\n\xff\0"])
def test_the_first_line_only(end: str) -> None:
    data = b"secret" + end.encode("latin-1")
    assert first_line(data) == piped(data) == "secret"
    assert first_line(end.encode("latin-1")) == piped(end.encode("latin-1")) == ""


def test_what_is_not_utf_8_is_in_the_encoding_of_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "cp1252")
    assert first_line("pä€ss\n".encode("cp1252")) == piped("pä€ss\n".encode("cp1252")) == "pä€ss"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("geheim\n".encode("utf-16-le"), "a text with NULs"),
        ("geheim\n".encode("utf-16-be"), "a text with NULs"),
        ("\ufeffgeheim\n".encode("utf-32-le"), "a text with NULs"),
        (b"geheim\x81", "something that is no text"),
        (b"\xef\xbb\xbfgeheim\xe4", "something that is no text"),
        (b"\xff\xfeg\0e\0h", "something that is no text"),
    ],
)
def test_a_password_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes, words: str) -> None:
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _: "cp1252")
    with pytest.raises(NotTextError, match=words):
        first_line(data)
    with pytest.raises(CredentialsError, match=f"^stdin has {words}.*; nothing was kept$") as caught:
        piped(data)
    assert caught.value.exit_code == 2
    assert "geh" not in "".join(traceback.format_exception(caught.value)).replace("\\x00", "")
