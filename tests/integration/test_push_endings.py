"""Runs that are stopped, that hang, or that cannot say anything; passwords and certificates that are none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, LatePatch, finish, start
from support.push_cli import PushCli, arrived, contents, logins
from support.sandboxes import StartSandbox
from support.waiting import until

from pmacore_sandbox import CannedResponse, Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="


# Ctrl-C

# A transfer that is being ended needs a while for it, and is ended only after the Ctrl-C has come.
SLOW_TO_END = """
import asyncio, sys
from pmarep.cli.render import JsonOutput
from pmarep.uploaders.filesystem import FileSystemUploader
interrupted = asyncio.Event()
assert JsonOutput.announce_stopping
JsonOutput.announce_stopping = lambda self: interrupted.set()
real = FileSystemUploader.send
async def send(self, file):
    try:
        await real(self, file)
    except asyncio.CancelledError:
        print("ENDING", file=sys.stderr, flush=True)
        await interrupted.wait()
        print("ENDED", file=sys.stderr, flush=True)
        for _ in range(100):
            await asyncio.sleep(0)
        raise
FileSystemUploader.send = send
"""


def test_ctrl_c_while_a_failed_slide_is_being_ended(cli: PushCli, sandbox: Sandbox) -> None:
    for number in range(4):
        write_mirax(cli.source / f"m{number}.mrxs")
    sandbox.faults.add(CannedResponse.refusal("no"), path=FILE + ".*Data0000")
    with cli.start("--connections", "1", patch=LatePatch(SLOW_TO_END)) as running:
        running.wait_for_words("ENDING")
        running.interrupt()
        result = running.result()
    assert "ENDED" in result.stderr  # the Ctrl-C came meanwhile
    assert result.code == 130
    assert (result.counts("a"), result.not_begun("a")) == ((0, 0, 1), 3)
    assert [event["slide"] for event in result.events if event["event"] == "slide_started"] == ["m0.mrxs"]
    assert sandbox.open_sessions == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ends_too", [False, True], ids=["waits", "ends too"])
def test_ctrl_c_while_a_password_is_looked_up(
    cli: PushCli, sandbox: Sandbox, number: signal.Signals, ends_too: bool
) -> None:
    """`ends_too`: a terminal sends Ctrl-C to the command as well, whose end may be heard of before it."""
    tree(cli.source, "a.svs")
    del cli.environment["PMAREP_PASSWORD_A"]
    kill = f"kill -{int(number)} $PPID; " if ends_too else ""
    begun = cli.source.parent / "begun"
    then = "exit 1" if ends_too else "exec sleep 999"
    command = ["sh", "-c", f"{kill}echo $$ > {begun}.new; mv {begun}.new {begun}; {then}"]
    cli.book.write_text(cli.book.read_text() + f"password_command = {json.dumps(command)}\n")
    with cli.start() as running:
        until(begun.exists)
        if not ends_too:
            running.process.send_signal(number)
        result = running.result()
    if not ends_too:
        os.kill(int(begun.read_text()), signal.SIGKILL)  # it is still there
    assert (result.code, result.stderr) == (130, "")
    assert result.summary["error"] == "interrupted; no slide was left half sent; the next run sends the rest"
    assert not sandbox.requests


HUNG_READ = """
import sys, threading
import pmarep.source.reader
real = pmarep.source.files.read_at
def read(handle, version, start, length):
    if "hung" in version.path:
        print("HANGS", file=sys.stderr, flush=True)
        threading.Event().wait()
    return real(handle, version, start, length)
pmarep.source.files.read_at = read
"""


def test_ctrl_c_while_a_read_hangs(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "hung.svs", "ok.svs")
    with cli.start(patch=LatePatch(HUNG_READ)) as running:
        running.wait_for_words("HANGS")
        running.wait_for(lambda event: event["event"] == "slide_finished")
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert result.counts("a") == (1, 0, 1)
    assert sandbox.open_sessions == 0
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")

ENDLESS_WALK = """
import threading
import pmarep.source.scanner as finder
real = finder.find_slides
def find(*args, **options):
    yield from real(*args, **options)
    threading.Event().wait()
finder.find_slides = find
"""


@pytest.mark.parametrize("sites", ["ended", "waiting for slides"])
def test_ctrl_c_while_the_walk_goes_on(cli: PushCli, sandbox: Sandbox, sites: str) -> None:
    tree(cli.source, "a.svs")
    if sites == "ended":
        cli.environment["PMAREP_PASSWORD_A"] = "wrong"
    last = {"event": "site_state", "state": "stopped"} if sites == "ended" else {"event": "slide_finished"}
    with cli.start(patch=LatePatch(ENDLESS_WALK)) as running:
        running.wait_for(lambda event: last.items() <= event.items())
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert result.summary["error"].startswith("interrupted")


# What cannot be written or read


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("how", [(), ("-v",), ("-q",), ("--json",)], ids=["lines", "-v", "-q", "--json"])
@pytest.mark.parametrize("code", [0, 1])
def test_a_full_disk_behind_the_output(cli: PushCli, sandbox: Sandbox, how: tuple[str, ...], code: int) -> None:
    tree(cli.source, "a.svs", "b.svs")
    if code:
        tree(cli.source, "con.svs")  # no name for Windows
    with Path("/dev/full").open("w") as full:
        if how == ("--json",) and code:  # once in a new Python, with streams of its own
            process = subprocess.Popen(
                cli.command(*how), env=cli.environment, stdout=full, stderr=subprocess.PIPE, encoding="utf-8"
            )
            ended, _, errors = finish(process)
        else:
            ended, _, errors = finish(start(cli.arguments(*how), cli.environment, stdout=full.fileno()))
    said_nothing = how == ("-q",) and code == 0
    assert ended == (0 if said_nothing else 1)
    assert set(arrived(sandbox)) == {"a.svs", "b.svs"}
    lines = [line for line in errors.splitlines() if not LOG_LINE.match(line)]
    assert lines == ([] if said_nothing else ["pmarep: cannot write the output: No space left on device"])
    assert sandbox.open_sessions == 0


# Found before anything is sent


@pytest.mark.parametrize(("name", "value"), [("ALL_PROXY", "socks5://geheim:1"), ("http_proxy", "http://me:ge/heim@h")])
def test_a_proxy_of_the_environment_that_is_none(cli: PushCli, sandbox: Sandbox, name: str, value: str) -> None:
    tree(cli.source, "a.svs")
    del cli.environment["NO_PROXY"]
    cli.environment[name] = value
    result = cli.run()
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"pmarep: the proxy in the variable {name} cannot be used; ")
    tested = cli.sites_test()
    assert (tested.code, tested.stderr) == (1, "")
    assert f"a: the proxy in the variable {name} cannot be used; " in tested.stdout
    assert "heim" not in result.stderr + tested.stdout
    assert not sandbox.requests


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("key", ["ca_bundle", "client_cert"])
@pytest.mark.parametrize("content", [b"no PEM", b"\xff\xfe\0", b""], ids=["text", "bytes", "empty"])
def test_a_file_that_is_no_pem(cli: PushCli, sandbox: Sandbox, scheme: str, key: str, content: bytes) -> None:
    tree(cli.source, "x.svs")
    file = cli.source.parent / "x.pem"
    file.write_bytes(content)
    cli.site("b", sandbox.url.replace("http", scheme, 1), "Slides/b", **{key: str(file)})
    result = cli.push()
    assert result.code == 2
    assert result.stderr.startswith(f"pmarep: cannot read the {key} {file} (")
    assert len(result.stderr.splitlines()) == 1
    assert result.summary["error"] in result.stderr
    assert not sandbox.requests


# Passwords


@pytest.mark.skipif(sys.platform == "win32", reason="variables are UTF-16 there")
@pytest.mark.parametrize("version", ["3.0.3.2222", "2.0.0.1000"], ids=["POST", "GET"])
@pytest.mark.parametrize("how", [("--json", "-vv"), ("-vv",)], ids=["--json", "lines"])
def test_a_password_that_is_no_text(
    cli: PushCli, start_sandbox: StartSandbox, version: str, how: tuple[str, ...]
) -> None:
    tree(cli.source, "x.svs")
    old = start_sandbox("old", version=version)
    cli.site("old", old)
    cli.environment["PMAREP_PASSWORD_OLD"] = os.fsdecode(b"correct horse \xfcbattery staple")
    result = cli.run("--sites", "old", *how)
    assert result.code == 1
    about = [line for line in result.stdout.splitlines() if "not valid text" in line]
    assert len([line for line in about if '"summary"' not in line]) == 1
    assert logins(old) == 0
    journal = b"".join(path.read_bytes() for path in cli.state.rglob("*") if path.is_file())
    output = (result.stdout + result.stderr).encode("utf-8", "surrogateescape")
    for secret in (b"correct", b"horse", b"battery", b"staple", b"\xfcbat", b"udcfc", b"%FC"):
        assert secret not in output
        assert secret not in journal
    assert b"\xfc" not in output  # in a journal, any byte may be part of a number
    assert "Traceback" not in result.stderr


def test_a_wrong_password_is_tried_once_for_all_sites_of_a_server(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "x.svs")
    cli.environment["PMAREP_PASSWORD_A"] = "wrong"
    for number in range(7):
        cli.site(f"s{number}", sandbox, target=f"Slides/{number}", password="wrong")
    result = cli.push()
    assert result.code == 1
    assert all("does not let seeder in" in site["error"] for site in result.summary["sites"].values())
    assert len(result.summary["sites"]) == 8
    assert logins(sandbox) == 1


def test_what_an_interrupted_run_leaves_half_replaced_is_reported(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "1.svs", "2.svs", content=b"new" * 100_000)
    tree(sandbox.data / "Slides" / "in", "1.svs", content=b"old")
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=r"transfer/Upload/[0-9]+\?path=1")
    with cli.start("--existing", "overwrite") as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert "may be partly the old and partly the new slide" in result.finished("a")["1.svs"]["error"]
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)
