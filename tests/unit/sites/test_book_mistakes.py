"""What people write by mistake: said so that it can be mended, and without a secret in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_credentials import complaint, make_site

from pmarep.errors import ConfigError
from pmarep.sites import Credentials, SiteBook

BOOK = '[sites.a]\nurl = "https://a.example/"\nusername = "u"\ntarget = "Slides/in"\n'


@pytest.mark.skipif(sys.platform == "win32", reason="Windows programs split their command line themselves")
@pytest.mark.parametrize("command", ["TOKEN=s3cr3t-t0ken vault read x", ["TOKEN=s3cr3t-t0ken", "vault"]])
def test_a_command_for_a_shell(command: str | list[str]) -> None:
    message = complaint(lambda: Credentials({"PATH": "/nowhere"}).password_for(make_site(command=command)))
    assert "s3cr3t" not in message
    assert "its password_command (TOKEN=***) could not be started" in message
    assert "write env before NAME=value" in message


def test_a_command_that_quotes_the_password_in_its_error() -> None:
    script = "import sys, json; print('pa\"ss'); print(json.dumps('pa\"ss'), file=sys.stderr); sys.exit(3)"
    message = complaint(lambda: Credentials({}).password_for(make_site(command=[sys.executable, "-c", script])))
    assert "ss" not in message.partition("exit code 3")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (r'"C:\Users\ca.pem"', r"'C:\Users\ca.pem'"),
        (r'"C:\hospital\ca.pem"', r"'C:\hospital\ca.pem'"),
        (r'"C:\temp\new.pem"', r"'C:\temp\new.pem'"),
    ],
)
@pytest.mark.parametrize("key", ["ca_bundle", "client_cert"])
def test_windows_paths_in_double_quotes(tmp_path: Path, key: str, value: str, words: str) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(f"{BOOK}{key} = {value}\n")
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(book)
    assert "line 5" in str(caught.value)
    assert words in str(caught.value)
    assert "single quotes" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("user", ["user", "x", "nils", "thomas", "bea", "roger", "fred", "uta"])
def test_a_windows_user_in_double_quotes(tmp_path: Path, user: str) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(BOOK.replace('"u"', rf'"DOMAIN\{user}"'))
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(book)
    assert "line 3" in str(caught.value)
    assert rf"write it in single quotes: username = 'DOMAIN\{user}'" in str(caught.value)
    book.write_text(BOOK.replace('"u"', rf"'DOMAIN\{user}'"))
    assert SiteBook.load(book).sites["a"].username == rf"DOMAIN\{user}"


def test_other_values_are_not_repeated(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(BOOK + r'password = "gehe\im"')
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(book)
    assert "gehe" not in str(caught.value)


def test_and_in_single_ones(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(BOOK + "ca_bundle = 'C:\\Users\\ca.pem'\n")
    assert str(SiteBook.load(book).sites["a"].ca_bundle).endswith("C:\\Users\\ca.pem")
