"""Servers choose the texts: none costs more than its length, and no spelling of a secret gets through."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.scripted_core import URL, ScriptedCore

from pmarep.pmacore import Connection, CredentialsRefused, PmaCore, ProtocolError
from pmarep.pmacore.errors import Intercepted
from pmarep.pmacore.http import says_full
from pmarep.pmacore.redact import HIDDEN, one_line, redact

MEGABYTE = 1_000_000

SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON": json.dumps,
    "JSON with letters as they are": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of .NET": lambda text: json.dumps(text).replace('\\"', "\\u0022").replace("'", "\\u0027"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "a URL": lambda text: quote(text, safe=""),
    "a path": quote,
    "a form": quote_plus,
    "a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "a URL in small letters": lambda text: quote(text, safe="").lower() if text.islower() else quote(text, safe=""),
    "HTML": html.escape,
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "a program": repr,
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "Latin-1 read as UTF-8": lambda text: text.encode("latin-1", "replace").decode("utf-8", "replace"),
}

hard = st.text(st.sampled_from("\\\\\"'/&<>%+ ?=;:#üß日🙂aB7"), min_size=3, max_size=20).filter(
    lambda text: not text.isspace() and HIDDEN not in text
)


@pytest.mark.parametrize(
    "unit", ["?", "?a", "://", "://a", "x-amz-", "password ", '="', "\\", "\\u0026", "?\\/", "sig="]
)
def test_a_long_text_is_no_matter(unit: str) -> None:
    """Where a pattern begins at each character and reads on from it, this takes half an hour."""
    text = unit * (300_000 // len(unit))
    redact(text, ['p"a\\\\b', "\\\\\\c"])
    assert len(one_line(text, ["secret"])) <= 300


@pytest.mark.parametrize("unit", ["over quot", "quota ", "<title", "<html"])
async def test_nor_is_a_refusal_or_a_page(unit: str) -> None:
    script = ScriptedCore(GetFiles=httpx.Response(403, text="<html>" + unit * (MEGABYTE // len(unit))))
    says_full(400, unit * 3000)
    async with script.core() as core:
        with pytest.raises(Intercepted):
            await core.slides("Slides")


@given(secret=hard)
@example("7\\:").via("a URL of it was missed by Python 3.11.2")
def test_a_secret_is_hidden_however_it_is_spelled(secret: str) -> None:
    for spelling, spell in SPELLINGS.items():
        assert HIDDEN in redact(f"SEEN {spell(secret)} !", [secret]), spelling


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nothing_of_a_long_password_is_left(spelling: str) -> None:
    secret = 'Zq"xw\\vk/jy&ühp<mz'
    shown = redact(f"body: {SPELLINGS[spelling](secret)} end", [secret])
    assert shown.startswith("body: ")
    assert shown.endswith(" end")
    assert not set("Zqxwvkjpmz") & set(shown[5:-4]), shown


@pytest.mark.parametrize("at", range(19_980, 20_003))
def test_half_a_secret_at_the_end_of_what_is_read(at: int) -> None:
    text = "?a=" + "x" * (at - 3) + " Geheimnis" + "y" * 5000
    assert "Geh" not in one_line(text, ["Geheimnis"])


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_server_that_echoes_the_log_in(spelling: str) -> None:
    secret = 'mein"Pass\\wort/ä'
    words = f"cannot parse {SPELLINGS[spelling](secret)}"
    script = ScriptedCore(authenticate={"Success": False, "Reason": words})

    async def password() -> str:
        return secret

    http = httpx.AsyncClient(transport=httpx.MockTransport(script))
    async with PmaCore(Connection(URL, "seeder"), password, http=http) as core:
        with pytest.raises(CredentialsRefused) as caught:
            await core.login()
    assert "cannot parse" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("mein", "Pass", "wort"))


@pytest.mark.parametrize("version", ["9" * 5000, "3" + ".0" * 1_000_000])
async def test_a_version_that_is_none(version: str) -> None:
    async with ScriptedCore(GetVersionInfo=version).core() as core:
        with pytest.raises(ProtocolError, match="does not tell"):
            await core.login()


@pytest.mark.parametrize("version", ["9" * 100, "\u0663.1", "no numbers"])
async def test_a_version_of_other_signs(version: str) -> None:
    async with ScriptedCore(GetVersionInfo=version).core() as core:
        await core.login()
