"""`password_file`: read only where nobody else can read it, and said in words that tell what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from test_credentials import SECRET, complaint, make_site

from pmarep.errors import ConfigError
from pmarep.sites import Credentials, SiteBook
from pmarep.sites.password_file import write_password_file

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
BOOK = '[sites.a]\nurl = "https://a.example/"\nusername = "u"\ntarget = "Slides/in"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_password_file(tmp_path / "the password", SECRET)
    return tmp_path / "the password"


def site(file: Path, **keys: Any) -> Any:
    return make_site(password_file=file, **keys)


def test_the_first_line_counts(file: Path) -> None:
    password = Credentials({}).password_for(site(file))
    assert (password, password.source) == (SECRET, f"from {file}")
    file.write_bytes(f"{SECRET}\r\nmore".encode())
    assert Credentials({}).password_for(site(file)) == SECRET


def test_a_variable_comes_first(file: Path) -> None:
    credentials = Credentials({"PMAREP_PASSWORD_BOX_ANNA": "other"})
    assert credentials.password_for(site(file)) == "other"
    assert credentials.source_before_keyring(site(file)) == "the variable PMAREP_PASSWORD_BOX_ANNA"
    assert Credentials({}).source_before_keyring(site(file)) == f"its password_file {file}"


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o620, 0o644])
def test_a_file_that_is_open_to_others_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    message = complaint(lambda: Credentials({}).password_for(site(file)))
    opened = f"its password_file {file} is open to others on this machine (mode {mode:04o}); chmod 600 it"
    assert f"{opened}, or set PMAREP_PASSWORD_BOX_ANNA" in message
    file.chmod(0o400)
    assert Credentials({}).password_for(site(file)) == SECRET


@POSIX
def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_password_file(tmp_path / "new", SECRET)
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_password_file(tmp_path / "new", "other")


def test_a_missing_or_empty_password_file_is_named(tmp_path: Path) -> None:
    gone = complaint(lambda: Credentials({}).password_for(site(tmp_path / "gone")))
    assert f"its password_file {tmp_path / 'gone'} cannot be read (No such file or directory); mend it, or set" in gone
    write_password_file(tmp_path / "empty", "")
    assert "has no password on its first line" in complaint(
        lambda: Credentials({}).password_for(site(tmp_path / "empty"))
    )


@POSIX
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    message = complaint(lambda: Credentials({}).password_for(site(tmp_path / "pipe")))
    assert "is no file; name one that holds the password" in message


def test_it_is_relative_to_the_book(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(f'{BOOK}password_file = "a.password"\n')
    assert SiteBook.load(book).sites["a"].password_file == tmp_path / "a.password"


def test_a_table_has_one_source_at_most(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(f'{BOOK}password_file = "x"\npassword_command = "y"\n')
    with pytest.raises(ConfigError, match=r"\[sites.a\] password_command and password_file exclude each other"):
        SiteBook.load(book)


@pytest.mark.parametrize(
    ("below", "own"), [("password_command", "password_file"), ("password_file", "password_command")]
)
@pytest.mark.parametrize("table", ["[defaults]", "[servers.s]"])
def test_the_own_one_displaces_that_of_the_server_or_the_defaults(
    tmp_path: Path, table: str, below: str, own: str
) -> None:
    book = tmp_path / "sites.toml"
    server = '[servers.s]\nurl = "https://s/"\n' if table == "[defaults]" else 'url = "https://s/"\n'
    book.write_text(
        f'{table}\n{below} = "below"\n{server}[sites.a]\nserver = "s"\nusername = "u"\ntarget = "S"\n{own} = "own"\n'
    )
    found = SiteBook.load(book).sites["a"]
    assert getattr(found, below) is None
    assert str(getattr(found, own)).endswith("own")
