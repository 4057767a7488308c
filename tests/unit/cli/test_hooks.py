"""The commands of `[hooks]`: what they are told, what they are not, and that they disturb nothing."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pmarep.cli.hooks import HIDDEN, HooksObserver, run_hook
from pmarep.cli.observer_options import hook_observers
from pmarep.errors import ConfigError
from pmarep.events import (
    SiteSummary,
    SlideFinished,
    SlideRetracted,
    SlideStatus,
    SourceProblem,
    SourceSummary,
    Summary,
)
from pmarep.sites.book import SiteBook
from pmarep.sites.models import HooksTable

SECRET = "Müller, Anna <script>"
DOCS = Path(__file__).parents[3] / "docs" / "hooks.md"
SUMMARY = Summary(
    exit_code=1,
    seconds=3.5,
    sites={"tokyo": SiteSummary(sent=3), "saopaulo": SiteSummary(sent=2, failed=1, error=f"no {SECRET}")},
    source_problems=1,
    source=SourceSummary(slides=3, empty=[SECRET], filtered=[SECRET]),
    error=f"stopped at {SECRET}",
)

only_posix = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals are POSIX's")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.json"


def observer(told: Path, environ: dict[str, str] | None = None, **keys: Any) -> HooksObserver:
    """Every hook appends its stdin and its environment to a file."""
    code = (
        "import json, os, sys\n"
        f"with open({str(told)!r}, 'a') as file:\n"
        "    file.write(json.dumps([json.load(sys.stdin), dict(os.environ)]) + '\\n')"
    )
    hooks = HooksTable.model_validate(dict.fromkeys(("on_start", "on_success", "on_failure"), python(code)) | keys)
    return HooksObserver(hooks, "push", ["tokyo", "saopaulo"], os.environ if environ is None else environ)


def records(told: Path) -> list[tuple[dict[str, Any], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in told.read_text().splitlines()]


def test_the_beginning_and_the_end_are_reported(told: Path) -> None:
    hooks = observer(told)
    hooks.before()
    assert hooks.after(SUMMARY)
    assert hooks.after(Summary(exit_code=0, seconds=1.0, sites={"tokyo": SiteSummary(sent=1, skipped=2)}))
    start, failure, success = records(told)
    assert [entry[0]["hook"] for entry in (start, failure, success)] == ["on_start", "on_failure", "on_success"]
    assert [entry[1].get("PMAREP_EXIT_CODE") for entry in (start, failure, success)] == [None, "1", "0"]
    assert start[0]["sites"] == ["tokyo", "saopaulo"]
    assert failure[0]["sites"]["saopaulo"]["failed"] == 1
    assert {key: failure[0][key] for key in ("event", "exit_code", "command", "source_problems")} == {
        "event": "summary", "exit_code": 1, "command": "push", "source_problems": 1,
    }  # fmt: skip
    assert failure[1]["PMAREP_TEXT"] == failure[0]["text"]
    assert failure[0]["text"].endswith(
        ": exit code 1; tokyo 3 sent; saopaulo 2 sent, 1 failed (stopped); 1 at the source cannot be sent; "
        "1 SRC without a slide"
    )
    assert success[0]["text"].endswith(": exit code 0; tokyo 1 sent, 2 skipped")


def events_of(hooks: HooksObserver) -> None:
    hooks.handle(SlideFinished(site="tokyo", slide=SECRET, status=SlideStatus.SENT, bytes=1, seconds=1.0))
    hooks.handle(SlideFinished(site="tokyo", slide=SECRET, status=SlideStatus.FAILED, bytes=0, seconds=1.0, error="e"))
    hooks.handle(SlideRetracted(site="tokyo", slide="b.svs", error="damaged"))
    hooks.handle(SourceProblem(path="c.mrxs", why="incomplete", detail="no index"))


def test_slide_names_are_left_out_by_default(told: Path) -> None:
    hooks = observer(told)
    events_of(hooks)
    hooks.after(SUMMARY)
    ((summary, environ),) = records(told)
    assert "ller" not in json.dumps([summary, environ["PMAREP_TEXT"]])
    assert "problems" not in summary
    assert (summary["error"], summary["sites"]["saopaulo"]["error"]) == (HIDDEN, HIDDEN)
    assert (summary["source"]["empty"], summary["source"]["filtered"]) == ([HIDDEN], [HIDDEN])
    assert summary["sites"]["tokyo"]["error"] is None


def with_secrets(kind: type[Any], **values: Any) -> Any:
    """An object of an event's class with a secret wherever a text or a list of texts may be."""
    for one in fields(kind):
        if one.type in ("str", "str | None"):
            values[one.name] = SECRET
        elif one.type == "list[str]":
            values[one.name] = [SECRET]
    return kind(**values)


def test_no_text_of_a_summary_is_passed_on_whatever_texts_it_has(told: Path) -> None:
    """Also one that is added to it later."""
    site, source = with_secrets(SiteSummary), with_secrets(SourceSummary)
    summary = with_secrets(Summary, exit_code=1, seconds=1.0, sites={"tokyo": site}, source=source)
    assert str(summary.to_dict()).count(SECRET) >= 4
    observer(told).after(summary)
    assert "ller" not in told.read_text()


def test_slide_names_are_passed_where_the_book_allows_it(told: Path) -> None:
    hooks = observer(told, slide_names=True)
    events_of(hooks)
    hooks.after(SUMMARY)
    ((summary, environ),) = records(told)
    assert summary["problems"] == [
        {"site": "tokyo", "slide": SECRET, "error": "e"},
        {"site": "tokyo", "slide": "b.svs", "error": "damaged"},
        {"slide": "c.mrxs", "error": "no index (incomplete)"},
    ]
    assert (summary["error"], summary["source"]["empty"]) == (SUMMARY.error, [SECRET])
    assert "ller" not in environ["PMAREP_TEXT"]  # what becomes the subject of a mail


def test_no_password_is_in_the_environment(told: Path) -> None:
    passwords = {"PMAREP_PASSWORD_TOKYO": "geheim", "PMAREP_SANDBOX_PASSWORD": "geheim", "PMAREP_CONFIG": "book"}
    observer(told, {**os.environ, **passwords}).before()
    ((_, environ),) = records(told)
    assert "geheim" not in environ.values()
    assert environ["PMAREP_CONFIG"] == "book"


def test_a_hook_that_fails_is_a_note(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failing = python("import sys; print('first', flush=True); sys.exit('\\ncannot connect to http://x/?key=geheim\\n')")
    hooks = observer(told, on_start=["/no/such\x1b/program"], on_failure=failing, on_success="say 'hello")
    hooks.before()
    assert hooks.after(SUMMARY)
    assert hooks.after(Summary(exit_code=0, seconds=1.0, sites={}))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "pmarep: note: the hook on_start (/no/such\\x1b/program) could not be started (No such file or directory); "
        "the run is not affected",
        f"pmarep: note: the hook on_failure ({sys.executable}) ended with exit code 1: cannot connect to "
        "http://x/?***; the run is not affected",
        "pmarep: note: the hook on_success was not run: the quotes in it do not match; the run is not affected",
    ]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("https://chat.example/hooks/geheim: 404 Not Found", "https://chat.example/***: 404 Not Found"),
        ("POST 'https://chat.example/hooks/geheim' failed", "POST 'https://chat.example/***' failed"),
        ("chat.example:443: max retries with url: /hooks/geheim", "chat.example:443: max retries with url: ***"),
        ("(see https://other.example/hooks/of:a/variable)", "(see https://other.example/***)"),
    ],
)
def test_the_address_of_a_webhook_is_not_shown(printed: str, shown: str) -> None:
    """Who knows it can write there, and a notice goes into mails and logs."""
    command = (*python("import sys; sys.exit(sys.argv[1])"), printed, "--to='https://chat.example/hooks/geheim'")
    assert run_hook(command, b"", os.environ, 60) == f"({sys.executable}) ended with exit code 1: {shown}"


def test_a_hook_may_ignore_its_input_and_print_much() -> None:
    code = "import sys; sys.stdout.write('x' * 1_000_000)"
    assert run_hook(python(code), b"x" * 1_000_000, os.environ, 60) == ""


def test_a_hook_that_takes_too_long_is_ended() -> None:
    message = run_hook(python("import time; time.sleep(1000)"), b"", os.environ, 0.01)
    assert message == f"({sys.executable}) was not done in 0.01 s and was ended"


@only_posix
@pytest.mark.parametrize(("end", "timeout"), [("exit 0", 60.0), ("wait", 0.1)])
def test_nothing_of_a_hook_stays(tmp_path: Path, end: str, timeout: float) -> None:
    """A named pipe says when the last process that holds it has ended."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    held = os.open(pipe, os.O_WRONLY)  # until the hook holds it too, or reading would end before it begins
    run_hook(("sh", "-c", f"exec 3>'{pipe}'; sleep 1000 & {end}"), b"", os.environ, timeout)
    os.close(held)
    assert os.read(reader, 1) == b""
    os.close(reader)


@only_posix
def test_a_signal_ends_the_hook_and_goes_on_to_who_was_to_have_it() -> None:
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: signals.append(number))
    try:
        message = run_hook(("sh", "-c", "kill -TERM $PPID; exec sleep 1000"), b"", os.environ, 60)
        assert message == "(sh) ended with exit code -9"
        assert signals == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is not before
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_dry_run_has_no_hooks() -> None:
    hooks = HooksTable(on_start="true")
    assert hook_observers(hooks, "push", [], dry_run=True) == []
    assert len(hook_observers(hooks, "push", [])) == 1
    assert hook_observers(HooksTable(), "push", []) == []


def book(folder: Path, text: str) -> SiteBook:
    path = folder / "sites.toml"
    path.write_text(text)
    return SiteBook.load(path)


def test_included_hooks_count_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text("[hooks]\non_start = 'theirs'\non_failure = ['a', 'b']\ntimeout = 5\n")
    hooks = book(tmp_path, "include = ['all.toml']\n[hooks]\non_start = 'mine'\n").hooks
    assert (hooks.on_start, hooks.on_failure, hooks.timeout, hooks.slide_names) == ("mine", ("a", "b"), 5.0, False)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("on_start = []", "on_start has to be text, or a list of texts such as"),
        ("on_failure = ['']", "on_failure has to be text, or a list of texts such as"),
        ("timeout = 0", "timeout has to be a number of seconds"),
        ("slide_names = 'yes'", "slide_names has to be true or false, without quotes"),
        ("on_sucess = 'x'", 'unknown key "on_sucess"; did you mean "on_success"?'),
    ],
)
def test_mistakes_name_line_and_key(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        book(tmp_path, f"[hooks]\n{line}\n")
    assert f"line 2: [hooks] {words}" in str(error.value)


def examples() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)


Server = tuple[str, list[tuple[str, bytes]]]
"""Its URL, and path and body of each request."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Something that takes every request, and what came."""
    came: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", came
        listening.shutdown()
        thread.join()


def test_the_books_of_the_manual_can_be_read(tmp_path: Path) -> None:
    assert all(book(tmp_path, example).hooks.on_failure for example in examples())
    assert len(examples()) == 4


def run_example(number: int, **replace: str) -> None:
    text = examples()[number]
    for old, new in replace.items():
        text = text.replace({"ping": "https://hc-ping.com", "chat": "https://chat.hospital.example"}[old], new)
    hooks = HooksTable.model_validate(tomllib.loads(text)["hooks"])
    told = HooksObserver(hooks, "push", ["tokyo", "saopaulo"], os.environ)
    told.before()
    told.after(SUMMARY)
    told.after(Summary(exit_code=0, seconds=1.0, sites={}))


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there")
def test_the_pings_of_the_manual(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    url, came = server
    run_example(1, ping=url)
    assert [path for path, _ in came] == [f"/your-uuid-here{end}" for end in ("/start", "/fail", "")]
    assert [json.loads(body)["exit_code"] for _, body in came[1:]] == [1, 0]
    assert capsys.readouterr().err == ""


@only_posix
def test_the_mail_of_the_manual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sendmail").write_text(f"#!/bin/sh\necho \"$@\" > '{tmp_path}/arguments'\ncat > '{tmp_path}/mail'\n")
    (tmp_path / "sendmail").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    run_example(2)
    assert (tmp_path / "arguments").read_text() == "-t\n"
    to, subject, empty, body = (tmp_path / "mail").read_text().splitlines()
    assert (to, empty) == ("To: slides@hospital.example", "")
    assert subject == f"Subject: {json.loads(body)['text']}"
    assert capsys.readouterr().err == ""


@only_posix
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl or jq is not there")
def test_the_chat_of_the_manual(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    url, came = server
    run_example(3, chat=url)
    ((path, body),) = came
    assert path == "/hooks/your-key-here"
    assert list(json.loads(body)) == ["text"]
    assert capsys.readouterr().err == ""
