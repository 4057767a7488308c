"""Asking PMA.start: what it is asked, what is believed of its answers, and that it is never needed."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.corpus import tree, wild_names
from support.pma_start import Helper, Reply, pma_start, reply, virtual

from pmarep.slides import pma_start as module
from pmarep.slides.folder import Folder
from pmarep.slides.pma_start import PmaStart

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in reads POSIX paths")
pytestmark = posix_only


@pytest.fixture
def helper() -> Iterator[Helper]:
    with pma_start() as helper:
        yield helper


@pytest.fixture
def ours(helper: Helper) -> Iterator[PmaStart]:
    with PmaStart(helper.url) as ours:
        yield ours


def discover(folder: Path) -> Folder:
    return Folder(str(folder))


def say(value: object) -> Reply:
    return reply(json.dumps(value).encode())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_pma_start_is_asked_once_per_folder_and_once_per_slide(ours: PmaStart, helper: Helper, tmp_path: Path) -> None:
    tree(tmp_path, "a.zzz", "a/1.dat", "a/deep/2.dat", "b.txt", "c.zzz", "d.zzz")
    assert ours.lookup(discover(tmp_path), ["a.zzz", "b.txt", "c.zzz"]) == {
        "a.zzz": [str(tmp_path / "a/1.dat"), str(tmp_path / "a/deep/2.dat"), str(tmp_path / "a.zzz")],
        "c.zzz": [str(tmp_path / "c.zzz")],
    }
    here = virtual(tmp_path)
    assert helper.asked == [
        ("IsLite", ""),
        ("GetFiles", here),
        ("EnumerateAllFilesForSlide", f"{here}/a.zzz"),
        ("EnumerateAllFilesForSlide", f"{here}/c.zzz"),
    ]
    assert {query["sessionID"] for query in helper.queries[1:]} == {"pmarep"}
    ours.lookup(discover(tmp_path / "a"), ["1.dat"])
    assert helper.asked[4:] == [("GetFiles", f"{here}/a")]  # who it is has been settled


def test_names_of_every_kind(ours: PmaStart, tmp_path: Path) -> None:
    for name in wild_names():
        folder = tree(tmp_path / name, slide := f"{name}.zzz")
        assert ours.lookup(discover(folder), [slide]) == {slide: [str(folder / slide)]}


def test_a_folder_that_is_named_from_here(
    ours: PmaStart, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "x/a.zzz")
    monkeypatch.chdir(tmp_path)
    assert ours.lookup(discover(Path("x")), ["a.zzz"]) == {"a.zzz": [str(tmp_path / "x/a.zzz")]}


def test_nothing_is_asked_where_there_is_nothing_to_ask(ours: PmaStart, helper: Helper, tmp_path: Path) -> None:
    folder = discover(tmp_path)
    assert ours.lookup(folder, []) == {}
    assert ours.lookup(folder, [os.fsdecode(b"\xff.zzz"), "a\\b.zzz", "a\x1b.zzz"]) == {}
    assert helper.asked == []


def test_paths_are_made_plain(ours: PmaStart, helper: Helper, tmp_path: Path) -> None:
    """So that whoever looks where a file lies is not led astray by `..`."""
    tree(tmp_path, "a.zzz")
    here = virtual(tmp_path)
    helper.replies["EnumerateAllFilesForSlide"] = say([f"{here}/x/../../y.dat", f"/{here}//a.zzz"])
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {
        "a.zzz": [str(tmp_path.parent / "y.dat"), str(tmp_path / "a.zzz")]
    }


def test_files_without_the_main_file_are_no_answer(ours: PmaStart, helper: Helper, tmp_path: Path) -> None:
    tree(tmp_path, "a.zzz", "b.zzz")
    helper.replies["EnumerateAllFilesForSlide"] = say([virtual(tmp_path / "b.zzz")])
    assert ours.lookup(discover(tmp_path), ["a.zzz", "b.zzz"]) == {"b.zzz": [str(tmp_path / "b.zzz")]}


def test_a_main_file_in_other_letters_on_windows(
    ours: PmaStart, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`c:` and `C:` are one drive there."""
    tree(tmp_path, "a.zzz")
    monkeypatch.setattr(os.path, "normcase", str.lower)
    helper.replies["EnumerateAllFilesForSlide"] = say([virtual(tmp_path / "A.ZZZ"), virtual(tmp_path / "1.dat")])
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {"a.zzz": [str(tmp_path / "1.dat"), str(tmp_path / "a.zzz")]}


def test_old_versions_wrap_their_answers(ours: PmaStart, helper: Helper, tmp_path: Path) -> None:
    tree(tmp_path, "a.zzz")
    helper.replies = {
        "IsLite": say({"d": True}),
        "GetFiles": say({"d": [virtual(tmp_path / "a.zzz")]}),
        "EnumerateAllFilesForSlide": say({"d": [virtual(tmp_path / "a.zzz")]}),
    }
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {"a.zzz": [str(tmp_path / "a.zzz")]}


# Not there


@pytest.mark.parametrize(
    "nobody", [say(False), say("true"), reply(b"<html>"), reply(b"true", 404), reply(b"", 302, location="/x"), say({})]
)
def test_something_else_on_its_port(
    ours: PmaStart, helper: Helper, tmp_path: Path, nobody: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, "a.zzz")
    helper.replies["IsLite"] = nobody
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    assert helper.asked == [("IsLite", "")]
    assert warnings(caplog) == []


def test_not_running(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    tree(tmp_path, "a.zzz")
    with PmaStart(f"http://localhost:{port}/") as ours:
        assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    assert warnings(caplog) == []


def test_no_proxy_and_no_redirect(
    ours: PmaStart, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pma_start() as elsewhere:
        monkeypatch.setenv("HTTP_PROXY", elsewhere.url)
        monkeypatch.setenv("ALL_PROXY", elsewhere.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        tree(tmp_path, "a.zzz")
        helper.replies["GetFiles"] = reply(b"", 302, location=f"{elsewhere.url}api/json/GetFiles")
        assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
        assert helper.count("GetFiles") == 1
        assert elsewhere.asked == []


# In trouble


@pytest.mark.parametrize("refusal", [say({"Code": 3, "Message": "no"}), reply(b"oops", 500), reply(b"", 404)])
def test_a_refusal_is_about_one_folder_or_slide(
    ours: PmaStart, helper: Helper, tmp_path: Path, refusal: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, "a.zzz")
    for method in ("GetFiles", "EnumerateAllFilesForSlide"):
        helper.replies = {method: refusal}
        assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    helper.replies = {}
    assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {"a.zzz": [str(tmp_path / "a.zzz")]}
    assert warnings(caplog) == []


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


NONSENSE = {
    "hangs up": hang_up,
    "no JSON": reply(b"[1, 2"),
    "nested JSON": reply(b"[" * 100_000),
    "no text": reply(b"\xff\xfe"),
    "null": say(None),
    "an object": say({"files": []}),
    "numbers": say([1, 2]),
    "empty paths": say([""]),
    "longer": reply(b"[" + b'"a",' * 30_000 + b'"a"]'),
    "half": reply(b"[]", length=2000),
}


@pytest.mark.parametrize("what", NONSENSE)
@pytest.mark.parametrize("method", ["GetFiles", "EnumerateAllFilesForSlide"])
def test_it_is_not_asked_again_when_it_stops_answering(
    helper: Helper,
    tmp_path: Path,
    what: str,
    method: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 100_000)
    if what == "half":
        monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
    tree(tmp_path, "a.zzz", "b.zzz")
    helper.replies[method] = NONSENSE[what]
    with PmaStart(helper.url) as ours:
        assert ours.lookup(discover(tmp_path), ["a.zzz", "b.zzz"]) == {}
        asked = len(helper.asked)
        assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    assert len(helper.asked) == asked
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("PMA.start stopped answering (")
    assert warnings(caplog)[0].endswith("); going on without it")


def test_an_answer_that_trickles_is_not_waited_for(
    helper: Helper, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each byte comes in time, the whole does not."""
    tree(tmp_path, "a.zzz")
    now = [0.0]

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        now[0] = 21.0
        reply(b" " * 1000)(handler)

    helper.replies["GetFiles"] = trickle
    with PmaStart(helper.url, clock=lambda: now[0]) as ours:
        assert ours.lookup(discover(tmp_path), ["a.zzz"]) == {}
    assert "took longer than 20 s" in warnings(caplog)[0]
