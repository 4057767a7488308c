"""Names that Windows does not keep: whatever a server does with them, what is said of a slide is true.

The three kinds of servers: one refuses such a name, one drops dots and blanks at its end and answers with the name that
was asked for, one drops them and answers with what is left.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.corpus import tree, write_mirax, write_ndpis
from support.fork_server import LatePatch
from support.push_cli import PushCli, Result, arrived, contents, transfers
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox

QUICK = LatePatch("import pmarep.engine.remote_listing as r\nr.SHOWN_AFTER, r.LAG_SECONDS = (), 0.2")
"""How long a server may take is the matter of faults/test_late_listings.py."""


@pytest.fixture(params=["refuse", "fold", "tell"])
def server(request: pytest.FixtureRequest, start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox("server", names=request.param)


@pytest.fixture
def cli(tmp_path: Any, server: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", server)
    return cli


def push(cli: PushCli, *extra: str) -> Result:
    return cli.push(*extra, patch=QUICK)


def errors(result: Result) -> dict[str, str]:
    return {slide: event["error"] for slide, event in result.finished("a").items() if event["status"] == "failed"}


def test_names_on_their_own(cli: PushCli, server: Sandbox) -> None:
    """The folder of a slide; and `Name, B..mrxs`, which Windows keeps, but not its folder `Name, B.`."""
    altered = {"Surname, A./s.svs", "a /b/s.svs", "c/b. ./s.svs", "Name, B..mrxs"}
    tree(cli.source, *(path for path in altered if path.endswith(".svs")), "plain/s.svs")
    write_mirax(cli.source / "Name, B..mrxs")
    for extra in (("--verify", "none"), ()):
        result = push(cli, *extra)
        assert result.code == 1
        assert set(errors(result)) == altered
        for error in errors(result).values():
            assert "rename it" in error or "ends with a dot or a space" in error
    assert arrived(server) == {"plain/s.svs": contents(cli.source)["plain/s.svs"]}
    assert sum("transfer/Upload" in request for request in transfers(server)) == 2, "something was sent in vain"
    verified = cli.verify()
    assert verified.code == 1
    assert set(errors(verified)) == altered


def test_another_slide_keeps_its_files(cli: PushCli, server: Sandbox) -> None:
    """Theirs came from elsewhere, so that nothing at the source tells."""
    write_mirax(cli.source / "Surname, A.mrxs", seed=1)
    tree(cli.source, "case 1/s.svs", content=b"theirs")
    assert push(cli).code == 0
    theirs = arrived(server)
    other = cli.source.parent / "other"
    write_mirax(other / "Surname, A..mrxs", seed=2)
    tree(other, "case 1./s.svs", content=b"ours")
    for extra in (("--existing", "overwrite"), ("--fresh",)):
        result = cli.push(*extra, source=other, patch=QUICK)
        assert result.code == 1
        assert set(errors(result)) == {"Surname, A..mrxs", "case 1./s.svs"}
        assert arrived(server) == theirs


def test_twins_at_the_source(cli: PushCli, server: Sandbox) -> None:
    tree(cli.source, "case 1/s.svs", "case 1./s.svs", "case 1 /s.svs")
    result = push(cli)
    assert result.code == 1
    assert [event["path"] for event in result.events if event["event"] == "source_problem"] == [
        "case 1 /s.svs",
        "case 1./s.svs",
    ]
    assert set(arrived(server)) == {"case 1/s.svs"}


def test_names_that_windows_alters_fail_whatever_the_journal_says(
    cli: PushCli, server: Sandbox, start_sandbox: StartSandbox
) -> None:
    """As sent by a version that believed the server."""
    tree(cli.source, "case 1./s.svs")
    patch = LatePatch("import pmarep.engine.remote_listing as r\nr.is_altered_by_windows = lambda name: False")
    before = cli.push("--verify", "none", patch=patch)
    assert before.code == int(server.settings.names == "refuse")
    for command in (push(cli), cli.verify()):
        assert command.code == 1
        assert set(errors(command)) == {"case 1./s.svs"}


@pytest.mark.parametrize("names", ["fold", "tell"])
def test_a_main_file_whose_name_is_not_kept(start_sandbox: StartSandbox, tmp_path: Any, names: str) -> None:
    """Known as a slide by its content, not by its name."""
    server = start_sandbox(names=names)
    cli = PushCli(tmp_path / "cli")
    cli.site("a", server)
    write_ndpis(cli.source / "n.ndpis", names=["x.ndpi."])
    result = push(cli)
    assert (result.code == 0) == (names == "fold")  # its name is in no listing, and the server says that it has it
    if names == "tell":
        assert "x.ndpi. is missing there" in errors(result)["n.ndpis"]


def test_an_answer_about_another_path(start_sandbox: StartSandbox, tmp_path: Any) -> None:
    server = start_sandbox()
    cli = PushCli(tmp_path / "cli")
    cli.site("a", server)
    tree(cli.source, "case/s.svs", content=b"12345")
    listed = [{"Path": "Slides/in/kase/s.svs", "Size": 5, "LastModified": "/Date(0)/"}]
    server.faults.add(CannedResponse(200, json.dumps(listed).encode(), "application/json"), path="GetFilenames")
    result = push(cli)
    assert result.code == 1
    assert "asked for Slides/in/case/s.svs, the site answers with Slides/in/kase/s.svs" in errors(result)["case/s.svs"]
