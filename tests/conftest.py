"""Fixtures that every test may use."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import typer.main
from support.sandboxes import PASSWORD, SMALLEST_PART, USER, StartSandbox

from pmacore_sandbox import Sandbox, Settings
from pmacore_sandbox.emulators.processes import EmulatorMissing, azurite, moto

if TYPE_CHECKING:
    from support.cloud import StartCloud
    from support.push_cli import PushCli

# The system's certificates are read for each push to a cloud, 25 ms. Nothing in the tests is one of its sites.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("support") / "trusts_nobody.pem")

# By default an example that takes 200 ms fails its test: on a busy machine, any one may. And examples are other ones in
# each run, so that any change may meet a failure that is not its own: `--hypothesis-profile random`, as in `make soak`,
# looks for those, and for more.
hypothesis.settings.register_profile("pmarep", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.register_profile("random", deadline=None, max_examples=400)
hypothesis.settings.load_profile("pmarep")

# typer makes its parsers of all commands at each call, a quarter of a second.
typer.main.get_command = functools.cache(typer.main.get_command)


def pytest_configure() -> None:
    """Programs that tests interrupt must hear it.

    A shell's background job (`make test &`), nohup and some CI start programs deaf to signals. That is inherited, and
    the commands would rightly go on.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a worker of xdist send one report of a test that passes, and not its beginning and those around it.

    A fifth of what all tests cost that take a millisecond. Whoever wants to see how long each step takes has them all.
    """
    if session.config.getoption("durations") or session.config.getoption("xmlpath"):
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "sendevent"):
            plugin.sendevent = functools.partial(_send, plugin.sendevent)


def _send(send: Callable[..., None], name: str, **what: Any) -> None:
    report = what.get("data", {})
    around = name == "testreport" and report["outcome"] == "passed" and report["when"] != "call"
    if name != "logstart" and not around:
        send(name, **what)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through all tests and libraries again and again: they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def stopping() -> Iterator[list[Sandbox]]:
    """Stand-ins of earlier tests that were asked to stop. That takes a moment, which no test waits for."""
    asked: list[Sandbox] = []
    yield asked
    stop_all(asked)


def stop_all(asked: list[Sandbox]) -> None:
    while asked:
        asked.pop().stop()


@pytest.fixture
def start_sandbox(tmp_path: Path, stopping: list[Sandbox]) -> Iterator[StartSandbox]:
    """Start PMA.core stand-ins: `start_sandbox("tokyo", roots=("Slides", "Boxes"), ...)`, any of Settings.

    Each has its own data folder `tmp_path/<name>` unless told otherwise. All are asked to stop when the test ends.
    """
    started: list[Sandbox] = []

    def start(name: str = "sandbox", **settings: Any) -> Sandbox:
        given = {"data": tmp_path / name, "user": USER, "password": PASSWORD, **settings}
        sandbox = Sandbox(Settings(**given)).start()
        started.append(sandbox)
        return sandbox

    yield start
    stop_all(stopping)
    for sandbox in started:
        sandbox.ask_to_stop()
    stopping += started


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> Sandbox:
    """One stand-in with one root-directory, `Slides`."""
    return start_sandbox()


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    """The command with one site, `a`."""
    from support.push_cli import PushCli

    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    return cli


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """moto's S3 server, one for all tests of a worker."""
    with moto(min_part_size=SMALLEST_PART) as url:
        yield url


@pytest.fixture(scope="session")
def azurite_url() -> Iterator[str]:
    """Azurite, one for all tests of a worker; skips where it is not installed."""
    try:
        running = azurite()
        url = running.__enter__()
    except EmulatorMissing as reason:
        pytest.skip(str(reason))
    yield url
    running.__exit__(None, None, None)


@pytest.fixture
def cloud_sandbox(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartCloud]:
    """Start stand-ins with root-directories of all kinds: `cloud_sandbox("tokyo")`; see cloud.py."""
    from support.cloud import Clouds  # with the libraries of two clouds, half a second

    with Clouds(tmp_path, {"user": USER, "password": PASSWORD}, request) as clouds:
        yield clouds.start


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests measured: `record_property("figure", "...")`."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"figure: {value}")
