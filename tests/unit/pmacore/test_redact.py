"""No session id, password or presigned URL survives."""

from __future__ import annotations

import json
import logging
import string
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_core import PASSWORD, SESSION, ScriptedCore

from pmarep.pmacore import Refused
from pmarep.pmacore.redact import RedactingFilter, guard_logging, one_line, redact, redact_output

# What a server makes of its ids and signatures: random letters, at least 12 of them, as nothing shorter is a secret.
token = st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=60)
password = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=6, max_size=30)
short_password = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=6, max_size=10)
words = st.text(max_size=40)
around = st.tuples(st.text(max_size=10), st.text(max_size=10))  # shorter than a token


@given(password, password, words, words, words)
def test_known_secrets_are_hidden_wherever_they_stand(
    one: str, other: str, before: str, between: str, after: str
) -> None:
    shown = one_line(f"{before}{one}{between}{other}{after}", [one, other], limit=10_000)
    assert one not in shown
    assert other not in shown


@given(short_password, st.text("ab", min_size=1, max_size=3))
def test_a_secret_that_holds_another(long: str, short: str) -> None:
    secret = long + short + long
    assert long not in redact(f"x {secret} y", [short, secret, long])


@given(around, token, st.sampled_from(["sessionID", "sessionId", "SESSIONID", "session_id"]))
def test_session_ids_in_urls(text: tuple[str, str], session: str, name: str) -> None:
    for url in (
        f"https://pma.example/core/api/json/GetFiles?{name}={session}&path=a%20b",
        f"https://pma.example/transfer/Upload?path=Slides%2Fa&{name}={session}",
        f"/transfer/Upload/17?{name}={session}",
        f"http://h/x?y={{1}}&{name}={session}",
    ):
        for shown in (redact(f"{text[0]} {url} {text[1]}"), redact(f"'{url}'"), redact(f'{{"Message":"{url}"}}')):
            assert session not in shown


@given(token, token, token)
def test_presigned_urls(key: str, signature: str, credential: str) -> None:
    s3 = (
        f"https://bucket.s3.amazonaws.com/{quote('ä b')}.svs?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={credential}%2F20260101&X-Amz-Signature={signature}&X-Amz-Security-Token={key}"
    )
    v2 = f"https://bucket.s3.amazonaws.com/a.svs?AWSAccessKeyId={key}&Signature={signature}%3D&Expires=1"
    sas = f"https://x.blob.core.windows.net/c/a b.svs?sv=2024&se=2026-01-01T00%3A00Z&sr=b&sp=cw&sig={signature}%3D"
    for url in (s3, v2, sas):
        escaped = json.dumps({"Urls": [url]}).replace("&", "\\u0026").replace("/", "\\/")
        for text in (url, f"PUT {url} failed", f"<Resource>{url}</Resource>", json.dumps([url]), escaped, repr(url)):
            shown = redact(text)
            assert signature not in shown
            assert f"={key}" not in shown
            assert credential not in shown or credential in (key, signature)


@given(token)
def test_users_in_urls(secret: str) -> None:
    assert secret not in redact(f"proxy http://user:{secret}@proxy.example:3128/ refused")


@pytest.mark.parametrize("text", ["password: {}", '"Password": "{}"', "sessionId={};", "sig={}&x", "SessionID = '{}'"])
@given(token)
def test_pairs(text: str, secret: str) -> None:
    assert secret not in redact(text.format(secret))


@given(words, st.integers(20, 400))
def test_foreign_text_is_cut_to_one_short_printable_line(text: str, limit: int) -> None:
    shown = one_line(text * 20, limit=limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "text",
    ["Slides/a.svs does not exist", "what is this?", "a+b=c", "The quota of 10 GB is used up (100 %)", "C:\\Slides\\x"],
)
def test_text_without_secrets_is_not_redacted(text: str) -> None:
    assert redact(text) == text


async def test_errors_of_a_client_that_knows_its_secrets() -> None:
    echo = f"no such slide {SESSION}; password was {PASSWORD} for https://pma.example/?sessionID={SESSION}"
    script = ScriptedCore(GetFiles=httpx.Response(200, json={"Code": 1, "Message": echo}))
    async with script.core() as core:
        with pytest.raises(Refused) as caught:
            await core.slides("Slides")
        assert SESSION not in str(caught.value) + repr(caught.value) + repr(core) + repr(core.__dict__["url"])
        assert PASSWORD not in str(caught.value)


async def test_the_log_of_httpx(caplog: pytest.LogCaptureFixture) -> None:
    guard_logging()
    with caplog.at_level(logging.DEBUG, "httpx"):
        async with ScriptedCore(GetFiles=[]).core() as core:
            await core.slides("Slides")
    assert "GetFiles?***" in caplog.text
    assert SESSION not in caplog.text


def test_guarding_twice_filters_once() -> None:
    guard_logging()
    guard_logging()
    filters = [f for f in logging.getLogger("httpx").filters if isinstance(f, RedactingFilter)]
    assert len(filters) == 1


def test_tracebacks_are_redacted_too() -> None:
    try:
        raise RuntimeError(f"https://pma.example/?sessionID={SESSION}")
    except RuntimeError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed %s", ("?a=b",), (type(error), error, None))
    RedactingFilter().filter(record)
    text = logging.Formatter().format(record)
    assert "RuntimeError" in text
    assert SESSION not in text


@pytest.mark.parametrize(
    ("words", "line", "shown"),
    [
        (["tell", "https://hook.example/T0/abc"], "cannot post to /T0/abc", "cannot post to ***"),
        (["tell"], "404 for https://hook.example/T0/abc", "404 for https://hook.example/***"),
        (["ask", "--token=abc"], "unknown: --token=abc", "unknown: --token=***"),
        (["ask", "--api-key", "abc", "x.svs"], "abc is no key for x.svs", "*** is no key for x.svs"),
        (["env", "MY_SECRET=abc", "ask"], "abc?", "***?"),
        (["ask", "--rules=3", "/opt/token/3"], "no rule 3 in /opt/token/3", "no rule 3 in /opt/token/3"),
        (["ask", "--token"], "which token?\x1b[2J", "which token?\\x1b[2J"),
        (["ask"], "x" * 301, "x" * 300),
    ],
)
def test_what_a_command_prints_holds_no_secret_of_its_words(words: list[str], line: str, shown: str) -> None:
    assert redact_output(line, words) == shown
