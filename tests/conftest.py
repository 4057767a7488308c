"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmarep.sandbox import Sandbox, Settings

USER = "seeder"
PASSWORD = "s3cret&+%ü"

StartSandbox = Callable[..., Sandbox]


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[StartSandbox]:
    """Start PMA.core stand-ins: `start_sandbox("tokyo", roots=("Slides", "Boxes"), ...)`, any of Settings.

    Each has its own data folder `tmp_path/<name>` unless told otherwise. All are stopped when the test ends.
    """
    started: list[Sandbox] = []

    def start(name: str = "sandbox", **settings: Any) -> Sandbox:
        told = {"data": tmp_path / name, "user": USER, "password": PASSWORD, **settings}
        sandbox = Sandbox(Settings(**told)).start()
        started.append(sandbox)
        return sandbox

    yield start
    for sandbox in started:
        sandbox.ask_to_stop()
    for sandbox in started:
        sandbox.stop()


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> Sandbox:
    """One stand-in with one root-directory, `Slides`."""
    return start_sandbox()
