# ruff: noqa: SIM905
"""Whatever stands in a site book: sites, or one line of ours that says what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pmarep.errors import PmarepError
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText

BOOK = Path("sites.toml")
CANARY = "hunter2-CANARY"

_keys = st.sampled_from(
    "url username target server connections bwlimit ca_bundle client_cert proxy verify_tls connect_timeout timeout "
    "password passwd token allow_http_uploads password_command include".split()
) | st.text(max_size=6)
_values = st.sampled_from(
    ['"https://a.example/"', '"http://[::1"', '"x"', '""', "1", "-1", "1e400", "nan", "true", "[]", '["a"]', "{}",
     "1979-05-27", "99999999999999999999", '"auto"', '"none"', '"20M"', '"08:00,2M"', '"\\u0000"', '"a/../b"', "'''",
     f'"https://u:{CANARY}@a.example/"', f'"http://u:{CANARY}@p.example:3128"', "[[[[[[", "0x", "é"]
) | st.text(max_size=6)  # fmt: skip
_headers = st.sampled_from(
    ["[sites.a]", "[sites.b]", "[servers.s]", "[groups]", "[defaults]", "[sites]", "[[sites]]", "[sites.'a.b']", "[x",
     "[sites.\"\"]", 'include = ["other.toml"]', "[sites.a.b]", "[groups.x]", "[sites.all]"]
)  # fmt: skip
_secret = st.sampled_from(["password", "passwd", "token"]).map(lambda key: f'{key} = "{CANARY}"')
_lines = _headers | st.builds("{} = {}".format, _keys, _values) | _secret | st.text(max_size=20)
books = st.lists(_lines, max_size=14).map("\n".join)


def read(content: bytes) -> None:
    """Either is fine: a book, or an error of ours in one line, with no password in it."""
    try:
        book = SiteBook.parse(BookText.decode(BOOK, content))
        assert all(site.url and site.username and site.target for site in book.sites.values())
        assert CANARY not in repr(
            [site.password_command for site in book.sites.values() if site.password_command is None]
        )
    except PmarepError as error:
        words = str(error)
        assert "\n" not in words
        assert len(words) < 2000
        assert CANARY not in words


@given(books)
@example("a = " + "[" * 100)
@example(f'[sites.a]\nurl = "https://u:{CANARY}@a.example/"\n')
@example(f'[sites.a]\npassword = "{CANARY}"\n')
def test_any_lines(text: str) -> None:
    read(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=200))
@example(b"\xff\xfe[sites]")
@example(b"\0")
def test_any_bytes(content: bytes) -> None:
    read(content)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = " + "[" * 100_000),
        pytest.param("a = " + "{b = " * 20_000),
        "[" + "a." * 5_000 + "b]",
    ],
    ids=["lists", "tables", "a long name"],
)
def test_nesting_without_end(text: str) -> None:
    read(text.encode())
