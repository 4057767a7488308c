"""Sites from CSV: every way that spreadsheets write it, and every problem with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmarep.errors import ConfigError
from pmarep.sites import SiteBook
from pmarep.sites.book_edit import add_sites
from pmarep.sites.csv_import import CsvImportError, read_csv_sites
from pmarep.sites.toml_lines import Value

BOOK = """\
[servers.campus]
url = "https://campus/"
username = "seeder"
[sites.tokyo]
url = "https://tokyo/"
username = "t"
target = "T"
[groups]
geo = ["tokyo"]
"""


Sites = dict[str, dict[str, Value]]


@pytest.fixture
def book(tmp_path: Path) -> SiteBook:
    (tmp_path / "sites.toml").write_text(BOOK)
    return SiteBook.load(tmp_path / "sites.toml")


def read(book: SiteBook, content: bytes | str, server: str | None = "campus", update: bool = False) -> Sites:
    file = book.path.parent / "boxes.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv_sites(file, book, server, update)


EXPECTED = {
    "box-anna": {"server": "campus", "target": "slidebox-anna/ä, b", "connections": 8, "bwlimit": "08:00,2M 19:00,off"},
    "box-ben": {"server": "campus", "target": "slidebox-ben", "verify_tls": False},
}
PLAIN = (
    "Name,target,Connections,bwlimit,verify_tls\n"
    'box-anna,"slidebox-anna/ä, b",8,"08:00,2M 19:00,off",\n'
    ",,,,\n"
    "box-ben, slidebox-ben ,,,FALSE\n"
)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",\n", ";\n").replace("Name,target,Connections,bwlimit,", "Name;target;Connections;bwlimit;")
        .replace('anna,"', 'anna;"').replace('",8,"', '";8;"').replace('off",', 'off";').replace(",,,;", ";;;;")
        .replace("ben, slidebox-ben ,,,", "ben; slidebox-ben ;;;").replace(",,,,", ";;;;").encode(),
        "name\ttarget\tconnections\tbwlimit\tverify_tls\nbox-anna\tslidebox-anna/ä, b\t8\t08:00,2M 19:00,off\t\n"
        "box-ben\tslidebox-ben\t\t\tfalse".encode("utf-16"),
    ],
    ids=["plain", "mark and CRLF", "semicolons", "Excel's Unicode text"],
)  # fmt: skip
def test_the_ways_of_spreadsheets(book: SiteBook, content: bytes) -> None:
    assert read(book, content) == EXPECTED


def test_a_url_of_its_own_is_not_at_the_server(book: SiteBook) -> None:
    found = read(book, "name,target,url,username\na,A,https://a/,me\nb,B,,\n")
    assert found == {
        "a": {"target": "A", "url": "https://a/", "username": "me"},
        "b": {"server": "campus", "target": "B"},
    }


def test_files_are_relative_to_the_spreadsheet(book: SiteBook) -> None:
    pem = book.path.parent / "ca.pem"
    pem.touch()
    assert read(book, "name,target,ca_bundle\na,A,ca.pem\n")["a"]["ca_bundle"] == str(pem)
    with pytest.raises(CsvImportError) as caught:
        read(book, "name,target,ca_bundle\na,A,no.pem\n")
    assert "column 3 (ca_bundle): the ca_bundle" in caught.value.problems[0]


def problems(book: SiteBook, content: str, server: str | None = "campus", update: bool = False) -> list[str]:
    with pytest.raises(CsvImportError) as caught:
        read(book, content, server, update)
    file = book.path.parent / "boxes.csv"
    count = len(caught.value.problems)
    assert str(caught.value) == f"{file} has {count} problem{'s' * (count != 1)}; nothing was changed"
    return [problem.removeprefix(f"{file}, ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ['line 1: there is no column "name"']),
        ("name,target\n", ["line 1: there are no sites below the header"]),
        ("box-anna,x\n", ["line 1, column 1 (box-anna): there is no such column; known: name, ",
                          "line 1, column 2 (x): ",
                          'line 1: there is no column "name"']),
        ("name,tarket,name\n", ['line 1, column 2 (tarket): there is no such column; did you mean "target"?',
                                "line 1, column 3 (name): this column is there twice"]),
        ("name,password\nx,geheim\n", ["line 1, column 2 (password): looks like a password"]),
        ("name,target\na,A\n\n\na,B\n", ['line 5, column 1 (name): the name "a" is in line 2 already']),
        ('name,target\na,"A\nB"\nb,/b\n', ['line 2, column 2 (target): target holds a control character',
                                           'line 4, column 2 (target): target "/b" begins']),
        ("name,target\na b,A\ntokyo,T\ngeo,G\n,X\n", ['line 2, column 1 (name): the name "a b" cannot be used',
                                                      'line 3, column 1 (name): there is already a site "tokyo"; --up',
                                                      'line 4, column 1 (name): there is already a group "geo"',
                                                      "line 5, column 1 (name): the name is empty"]),
        ("name,target\na,A,extra\n", ["line 2: column 3 has no name in the first line"]),
        ("name,target,connections\na,,many\n", ["line 2, column 3 (connections): connections has to be",
                                                'line 2: "a" has no target']),
        ("name,target,server\na,A,campsu\n", ['line 2: there is no server "campsu"; did you mean "campus"?']),
        ("name,target,server,url\na,A,campus,https://x/\n", ["line 2: server and url exclude each other"]),
        ('name,target\na,"A"x\n', ["line 2: this is not CSV: "]),
        ('name,target\na,"A\n', ["line 2: this is not CSV: "]),
    ],
)  # fmt: skip
def test_every_problem_has_its_line_and_column(book: SiteBook, content: str, expected: list[str]) -> None:
    found = problems(book, content)
    assert len(found) == len(expected), found
    for problem, words in zip(found, expected, strict=True):
        assert problem.startswith(words)
        assert "geheim" not in problem
        assert "\n" not in problem


def test_without_a_server_each_site_needs_a_url(book: SiteBook) -> None:
    assert problems(book, "name,target\na,A\n", server=None) == [
        'line 2: "a" has no url and no username; add a column, or name a --server'
    ]


def test_update_changes_the_given_keys_and_adds_the_rest(book: SiteBook) -> None:
    found = read(book, "name,target,server\ntokyo,T2,\nnew,N,campus\n", update=True, server=None)
    after = add_sites(book.path, found, update=True)
    assert (after.sites["tokyo"].url, after.sites["tokyo"].target) == ("https://tokyo/", "T2")
    assert book.path.read_text() == BOOK.replace('"T"', '"T2"').replace(
        "[groups]", '\n[sites.new]\ntarget = "N"\nserver = "campus"\n\n[groups]'
    )
    assert "server and url exclude" in problems(after, "name,target\ntokyo,T\n", update=True)[0]


@pytest.mark.parametrize(
    ("content", "server", "words"),
    [
        (None, None, "boxes.csv is not there; name a CSV file with the columns name,target"),
        (b"name,target\nm\xfcller,x\n", None, 'boxes.csv, line 2: the file is not UTF-8; save it as "CSV UTF-8"'),
        (b"", "campsu", 'sites.toml: there is no server "campsu"; did you mean "campus"?'),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_refused(
    book: SiteBook, content: bytes | None, server: str | None, words: str
) -> None:
    file = book.path.parent / "boxes.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_csv_sites(file, book, server, False)
    assert str(caught.value).endswith(words)
