"""Secrets stay secret, however a push ends: all that it leaves or says is searched for them, in every spelling."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from support.cloud import CloudSandbox, StartCloud
from support.corpus import write_mirax, write_svs
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, Result
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Drop, Hold, Sandbox
from pmacore_sandbox.sessions import SessionRegistry

CANARY = "CANARY-pässwörd&+%?=/<>\"'\\-the-end"
SESSION = "SESSIONCANARY+/=&session"
"""What servers hand out here as session ids, with a number behind it."""
FILE = r"transfer/Upload/[0-9]+\?path="


@functools.cache
def spellings(secret: str) -> set[bytes]:
    """A secret as it may stand in a URL, JSON, HTML, a Python repr, a header, in this or that encoding."""
    texts = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), escape(secret), repr(secret)[1:-1]}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("&", "\\u0026")}
    texts |= {text.lower() for text in texts if "%" in text}
    found = {text.encode(encoding, "replace") for text in texts for encoding in ("utf-8", "latin-1", "utf-16-le")}
    # base64 of a text that holds the secret, wherever in it that stands: what its middle looks like.
    raw = secret.encode()
    found |= {base64.b64encode(raw[shift:])[:-4] for shift in range(3)}
    found |= {base64.urlsafe_b64encode(raw[shift:])[:-4] for shift in range(3)}
    return {one for one in found if len(one) >= 8}


@pytest.fixture(autouse=True)
def marked_sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Session ids that can be searched for; all that were handed out."""
    handed_out: list[str] = []
    open_one = SessionRegistry.open

    def marked(self: SessionRegistry) -> str:
        session = f"{SESSION}{len(handed_out)}"
        handed_out.append(session)
        self._last_use[session] = self._last_use.pop(open_one(self))
        return session

    monkeypatch.setattr(SessionRegistry, "open", marked)
    return handed_out


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    write_mirax(cli.source / "m.mrxs", data_files=2)
    write_svs(cli.source / "a.svs", width=256, height=256)
    return cli


@pytest.fixture
def guarded(start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox("guarded", password=CANARY)


def left_behind(cli: PushCli) -> Iterator[tuple[str, bytes]]:
    """Every file of the person's machine but the slides."""
    for path in cli.state.parent.rglob("*"):
        if path.is_file() and cli.source not in path.parents:
            yield path.name, path.read_bytes()


def search(cli: PushCli, result: Result, *secrets: str, but_journal: bool = False) -> None:
    """Nothing of `secrets` in what was said and left. `but_journal`: what is needed to go on stands there."""
    streams = [("stdout", result.stdout.encode()), ("stderr", result.stderr.encode())]
    files = [(name, content) for name, content in left_behind(cli) if not (but_journal and "journal" in name)]
    for name, content in [*streams, *files]:
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in content, f"{name} has {spelling!r}"


def audited(cli: PushCli) -> tuple[str, str]:
    """An audit file, which is searched too: it lies where everything else does."""
    return "--audit", str(cli.state.parent / "audit.jsonl")


OUTPUTS = [("--json", "-vv"), ("-vv",), ("-q",)]


@pytest.mark.parametrize("output", OUTPUTS, ids=["json", "plain", "quiet"])
def test_when_all_goes_well(cli: PushCli, guarded: Sandbox, output: tuple[str, ...]) -> None:
    cli.site("a", guarded)
    result = cli.run(*output, *audited(cli))
    assert result.code == 0, result.stdout
    search(cli, result, CANARY, SESSION)


# What a server might say with every word of ours in it
_QUOTED = f"GET /api?sessionID={quote(SESSION)}0&password={quote(CANARY)}&x failed for {CANARY} in {SESSION}0"
FAILURES: dict[str, Callable[[Sandbox], object]] = {
    "500 that quotes": lambda s: s.faults.add(CannedResponse.aspnet(_QUOTED), path="transfer/Upload"),
    "refusal that quotes": lambda s: s.faults.add(
        CannedResponse.refusal(_QUOTED), path="GetFiles|transfer/Upload|GetImageInfo"
    ),
    "login that quotes": lambda s: s.faults.add(
        CannedResponse(200, json.dumps({"Success": False, "Reason": _QUOTED})), path="authenticate"
    ),
    "web page that quotes": lambda s: s.faults.add(
        CannedResponse(200, f"<html><title>{escape(_QUOTED)}</title></html>", "text/html"),
        path="GetRootDirectories",
        times=3,
    ),
    "redirect that quotes": lambda s: s.faults.add(
        CannedResponse(302, headers={"Location": f"https://x.example/?sessionID={quote(SESSION)}0"}),
        path="transfer/Upload",
    ),
    "no JSON": lambda s: s.faults.add(CannedResponse(200, _QUOTED), path="GetFiles|transfer/Upload"),
    "wrong types": lambda s: s.faults.add(CannedResponse(200, json.dumps({"Id": [_QUOTED]})), path="transfer/Upload"),
    "broken connections": lambda s: s.faults.add(Drop(0), path=FILE, times=3),
    "sessions that end": lambda s: s.faults.add(CannedResponse(401, _QUOTED), path=FILE),
}


PASSING = ("broken connections", "web page that quotes")


@pytest.mark.parametrize("failure", FAILURES)
def test_when_something_fails(cli: PushCli, guarded: Sandbox, failure: str) -> None:
    cli.site("a", guarded)
    FAILURES[failure](guarded)
    result = cli.push("-vv", *audited(cli), patch=NO_PAUSES)
    assert result.code == int(failure not in PASSING), result.stdout
    # Where nobody is let in, there is no session that could be known to be one.
    search(cli, result, CANARY, *([] if "login" in failure else [SESSION]))


def test_a_wrong_password(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox, password=CANARY)
    result = cli.run("-vv", *audited(cli))
    assert result.code == 1
    assert "does not let" in result.stdout + result.stderr
    search(cli, result, CANARY)


def test_a_bug_of_ours(cli: PushCli, guarded: Sandbox) -> None:
    """Deep inside, with everything secret in reach: its words are not repeated, only where it was."""
    cli.site("a", guarded)
    patch = LatePatch(
        "import pmarep.pmacore.client as client\n"
        "def broken(self, *args):\n"
        "    raise RuntimeError(f'{self._secrets} {self._session} {self.__dict__}')\n"
        "client.PmaCore.announce = broken"
    )
    result = cli.push("-vv", *audited(cli), patch=patch)
    assert result.code == 1
    assert "internal error (RuntimeError)" in result.stdout
    search(cli, result, CANARY, SESSION)


def test_a_bug_where_nobody_expects_one(cli: PushCli, guarded: Sandbox) -> None:
    """A traceback with the values of its variables would show them; ours has none."""
    cli.site("a", guarded)
    patch = LatePatch(
        "import pmarep.engine.run as run\n"
        "def broken(self, workers, *rest):\n"
        "    everything = [vars(self), workers]\n"
        "    raise RuntimeError('a bug of ours')\n"
        "run._Run._summary = broken"
    )
    result = cli.push("-vv", *audited(cli), patch=patch)
    assert result.code != 0
    assert "internal error (RuntimeError)" in result.stderr
    search(cli, result, CANARY, SESSION)


def test_a_kill_in_the_middle(cli: PushCli, guarded: Sandbox) -> None:
    cli.site("a", guarded)
    hold = Hold()
    guarded.faults.add(hold, path=FILE + "m.mrxs", times=1)
    with cli.start("-vv", *audited(cli)) as running:
        assert hold.reached.wait(PATIENCE)
        running.kill()
        result = running.result()
    guarded.faults.clear()
    assert any(name == "journal.sqlite" for name, _ in left_behind(cli))
    search(cli, result, CANARY, SESSION)


# Signed URLs


@pytest.fixture
def cloud(cloud_sandbox: StartCloud, request: pytest.FixtureRequest) -> CloudSandbox:
    return cloud_sandbox("tokyo", azure="Blobs" in str(request.node.name), s3_options={"part_size": 64 * 1024})


def signatures(storage: CloudSandbox, root: str) -> list[str]:
    """What makes URLs secrets. A signature is other for every URL, so what all of them have in common is searched for:
    their parameters."""
    return ["AKIAPMAREPTEST", "X-Amz-Credential="] if root == "Cloud" else ["&sig=", "?se=", "&sp="]


@pytest.mark.parametrize("root", ["Cloud", "Blobs"])
def test_signed_urls_are_not_shown_where_the_storage_quotes_them(cli: PushCli, cloud: CloudSandbox, root: str) -> None:
    cli.site("tokyo", cloud.sandbox, target=f"{root}/in")
    words = "https://s.example/b/x?X-Amz-Credential=AKIAPMAREPTEST%2F1&X-Amz-Signature=5ec&sig=5ec&se=1&sp=cw"
    body = f"<Error><Code>Oh</Code><Message>{escape(words)}</Message></Error>"
    cloud.side(root).faults.add(CannedResponse(400, body, "application/xml"), method="PUT")
    result = cli.push("-vv", *audited(cli))
    assert result.code == 1, result.stdout
    search(cli, result, *signatures(cloud, root), but_journal=True)  # an unfinished slide keeps them, for the next run


@pytest.mark.parametrize("root", ["Cloud", "Blobs"])
def test_urls_of_finished_slides_leave_no_trace_in_the_journal(cli: PushCli, cloud: CloudSandbox, root: str) -> None:
    """A kill, then a run that finishes: SQLite keeps deleted rows in its file unless it is told not to."""
    cli.site("tokyo", cloud.sandbox, target=f"{root}/in")
    hold = Hold()
    cloud.side(root).faults.add(hold, method="PUT", path=r"m\.mrxs", times=1)
    with cli.start("-vv", *audited(cli)) as running:
        assert hold.reached.wait(PATIENCE)
        running.kill()
        search(cli, running.result(), *signatures(cloud, root), but_journal=True)
    cloud.side(root).faults.clear()
    assert any(re.search(rb"[?&]sig=|X-Amz-Signature=", content) for _, content in left_behind(cli))
    result = cli.push("-vv", *audited(cli))
    assert result.code == 0, result.stdout
    search(cli, result, *signatures(cloud, root))


# Who may read what is left


@pytest.mark.skipif(os.name != "posix", reason="Windows gives the user's own folders to that user alone")
@pytest.mark.parametrize("killed", [False, True])
def test_only_the_owner_may_read_what_is_left(cli: PushCli, guarded: Sandbox, killed: bool) -> None:
    """Also where the umask would let everybody in, and while the run goes on."""
    cli.site("a", guarded)
    if killed:
        hold = Hold()
        guarded.faults.add(hold, path=FILE + "m.mrxs", times=1)
        with cli.start(patch=LatePatch("import os; os.umask(0)")) as running:
            assert hold.reached.wait(PATIENCE)
            check_modes(cli.state)
            running.kill()
        guarded.faults.clear()
    else:
        assert cli.push(patch=LatePatch("import os; os.umask(0)")).code == 0
    check_modes(cli.state)


def check_modes(state: Path) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]}
    assert {"journal.sqlite", "locks", "runs"} <= {path.name for path in modes}
    assert any(path.parent.name == "runs" for path in modes)
    for path, mode in modes.items():
        assert mode & 0o077 == 0 or (path.parent != state.parent and path.parent != state and path.is_file()), path
        assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))
