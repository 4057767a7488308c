"""SessionRegistry end at any time, may be shared, and are always given back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.push_cli import NO_PAUSES, PushCli, arrived, contents, files_sent, logins, transfers
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, EndSessions, Sandbox
from pmacore_sandbox.sessions import SessionRegistry
from pmarep.engine.slide.job import FRUITLESS_ATTEMPTS
from pmarep.pmacore.session_attempts import SESSIONS

ATTEMPTS = 5  # of one call, by Retry
FILE = r"transfer/Upload/[0-9]+\?path="


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    write_mirax(cli.source / "m.mrxs", data_files=3, data_size=50_000)
    tree(cli.source, "a.svs", "sub/b.svs", content=os.urandom(1000))
    return cli


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("GetRootDirectories", 200),
        ("GetDirectories", 401),
        ("CreateDirectory", 500),
        ("transfer/Upload$", 200),
        (FILE, 200),
        (r"transfer/Upload/[0-9]+$", 200),
        ("GetImageInfo", 200),
        ("GetImageInfo", 401),
        ("GetFilenames", 500),
    ],
)
def test_a_session_that_ends_is_renewed_once(cli: PushCli, start_sandbox: StartSandbox, call: str, status: int) -> None:
    sandbox = start_sandbox("a", refusal_status=status)
    cli.site("a", sandbox)
    rule = sandbox.faults.add(EndSessions(), path=call, times=1)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert rule.hits == 1
    assert logins(sandbox) == 2
    assert arrived(sandbox) == contents(cli.source)
    assert sandbox.open_sessions == 0


def test_bytes_sent_in_an_ended_session_are_not_counted(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox)
    sandbox.faults.add(EndSessions(), path=FILE, times=3)
    result = cli.push()
    assert result.code == 0
    assert result.summary["sites"]["a"]["bytes_sent"] == sum(map(len, contents(cli.source).values()))


def test_sites_of_one_server_and_user_share_a_session(cli: PushCli, sandbox: Sandbox) -> None:
    for number in range(4):
        cli.site(f"box{number}", sandbox, f"Slides/box {number}/case")
    assert cli.push().code == 0
    assert logins(sandbox) == 1
    assert sum("DeAuthenticate" in r.path for r in sandbox.requests) == 1
    for number in range(4):
        assert arrived(sandbox, f"Slides/box {number}/case") == contents(cli.source)


def test_a_shared_session_that_ends_is_renewed_once_for_all(cli: PushCli, sandbox: Sandbox) -> None:
    for number in range(4):
        cli.site(f"box{number}", sandbox, f"Slides/box {number}")
    sandbox.faults.add(EndSessions(), path=FILE + "a.svs", times=1)
    assert cli.push().code == 0
    assert logins(sandbox) == 2


def test_a_server_that_ends_every_session_is_given_up(
    cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox
) -> None:
    cli.site("good", sandbox)
    mad = start_sandbox("mad")
    cli.site("mad", mad, include=["a.svs"])
    rule = mad.faults.add(EndSessions(), path="transfer/Upload$")
    result = cli.push(patch=NO_PAUSES)
    assert result.code == 1
    assert result.counts("good") == (3, 0, 0)
    assert result.counts("mad") == (0, 0, 1)
    # A request whose connection a busy machine loses is made once more: a limit, not a count.
    assert rule.hits <= 2 * SESSIONS * ATTEMPTS * FRUITLESS_ATTEMPTS
    # The last one may be for a question that ends no session, asked after the last announcement.
    assert logins(mad) <= rule.hits + 1
    assert "ends each session at once" in result.finished("mad")["a.svs"]["error"]
    assert not files_sent(mad)


@pytest.mark.parametrize(("every", "status"), [(3, None), (9, 403)])
def test_sessions_that_end_all_the_time_cost_no_slide(cli: PushCli, sandbox: Sandbox, every: int, status: int) -> None:
    """Six slides at once: what is under way when a session ends goes again, in one new session for all."""
    tree(cli.source, *(f"{number}.svs" for number in range(3)), content=os.urandom(1000))
    cli.site("a", sandbox)
    rule = sandbox.faults.add(EndSessions(status), every=every)
    result = cli.push("--patience", "10m", patch=NO_PAUSES)
    assert result.code == 0, result.stdout
    assert result.counts("a") == (6, 0, 0)
    assert arrived(sandbox) == contents(cli.source)
    assert logins(sandbox) <= rule.hits + 1
    assert sandbox.open_sessions == 0


def test_two_runs_where_a_user_may_have_one_session(
    cli: PushCli, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each log-in ends the session of the other run."""

    def open_one(sessions: SessionRegistry) -> str:
        sessions.end_all()
        return open_another(sessions)

    open_another = SessionRegistry.open
    monkeypatch.setattr(SessionRegistry, "open", open_one)
    other = PushCli(tmp_path / "other")
    for one, target in ((cli, "Slides/in"), (other, "Slides/other")):
        tree(one.source, *(f"{number}.svs" for number in range(4)), content=os.urandom(1000))
        one.site("a", sandbox, target)
    with other.start("--patience", "10m", patch=NO_PAUSES) as running:
        results = cli.push("--patience", "10m", patch=NO_PAUSES), running.result()
    assert [result.code for result in results] == [0, 0], results
    assert arrived(sandbox) == contents(cli.source)
    assert arrived(sandbox, "Slides/other") == contents(other.source)


@pytest.mark.parametrize(
    "trouble", [CannedResponse.aspnet("no"), CannedResponse.refusal("no", status=403), CannedResponse.iis(404)]
)
def test_logged_out_after_failures(cli: PushCli, sandbox: Sandbox, trouble: CannedResponse) -> None:
    cli.site("a", sandbox)
    sandbox.faults.add(trouble, path=FILE + "sub/b.svs")
    sandbox.faults.add(trouble, path="transfer/Upload$", times=1)
    cli.push()
    assert sandbox.open_sessions == 0


def test_logged_out_after_an_unknown_root_directory(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox, "Nowhere/at all")
    assert cli.push().code == 1
    assert sandbox.open_sessions == 0
    assert not transfers(sandbox)


def test_no_password_anywhere_sends_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox)
    cli.site("b", sandbox, "Slides/other")
    del cli.environment["PMAREP_PASSWORD_B"]
    cli.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    assert cli.push("--sites", "a").code == 0
    result = cli.run("--sites", "b")
    assert result.code == 2
    assert "PMAREP_PASSWORD_B" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("order", "has_one"), [("a,b", "B"), ("b,a", "A")])
def test_one_password_does_for_sites_that_share_a_session(
    cli: PushCli, sandbox: Sandbox, order: str, has_one: str
) -> None:
    cli.site("a", sandbox)
    cli.site("b", sandbox, "Slides/other")
    password = cli.environment["PMAREP_PASSWORD_A"]
    del cli.environment["PMAREP_PASSWORD_A"], cli.environment["PMAREP_PASSWORD_B"]
    cli.environment[f"PMAREP_PASSWORD_{has_one}"] = password
    cli.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    result = cli.push("--sites", order)
    assert result.code == 0, result.stdout + result.stderr
    assert logins(sandbox) == 1
    tested = cli.sites_test(*order.split(","))  # each by itself: the other may be left out of a push
    lacks_one = "B" if has_one == "A" else "A"
    assert tested.code == 1
    assert tested.stdout.count("accepted") == 1
    assert f"PMAREP_PASSWORD_{lacks_one}" in tested.stdout
    assert f"PMAREP_PASSWORD_{has_one}" not in tested.stdout


@pytest.mark.parametrize("order", ["a,b", "b,a"])
def test_no_password_for_any_of_a_session_is_reported_the_same_in_any_order(
    cli: PushCli, sandbox: Sandbox, order: str
) -> None:
    cli.site("a", sandbox)
    cli.site("b", sandbox, "Slides/other")
    del cli.environment["PMAREP_PASSWORD_A"], cli.environment["PMAREP_PASSWORD_B"]
    cli.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    result = cli.run("--sites", order)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("pmarep: no password for a: ")
    assert len(result.stderr.splitlines()) == 1
    assert not sandbox.requests
