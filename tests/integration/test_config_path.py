"""`pmarep config path`, and what `pmarep sandbox --fault` says before it serves anything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.fork_server import USUAL_ENVIRONMENT, run

from pmacore_sandbox.fault_texts import FAULTS
from pmarep.cli.sandbox import complete_fault


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        **USUAL_ENVIRONMENT,
        "PMAREP_CONFIG": str(tmp_path / "a book.toml"),
        "PMAREP_STATE_DIR": str(tmp_path / "state"),
    }


def test_the_path_alone_or_with_more(tmp_path: Path, environment: dict[str, str]) -> None:
    assert run(["config", "path"], environment).stdout == f"{tmp_path / 'a book.toml'}\n"
    assert run(["config", "path", "--config", str(tmp_path / "b")], environment).stdout == f"{tmp_path / 'b'}\n"
    (tmp_path / "state").mkdir()
    assert json.loads(run(["config", "path", "--json"], environment).stdout) == {
        "book": str(tmp_path / "a book.toml"), "book_exists": False,
        "state": str(tmp_path / "state"), "state_exists": True,
    }  # fmt: skip


def test_faults_are_explained_without_any_other_option(environment: dict[str, str]) -> None:
    done = run(["sandbox", "--fault", "help"], environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("[")[0].split()[0] for line in done.stdout.splitlines()[1 : len(FAULTS) + 1]] == list(FAULTS)


def test_a_fault_that_there_is_not(tmp_path: Path, environment: dict[str, str]) -> None:
    done = run(["sandbox", "--data", str(tmp_path / "s"), "--password", "x", "--fault", "dropp"], environment)
    assert done.returncode == 2
    assert done.stderr.startswith("pmarep: --fault: there is no fault 'dropp'; there are error, ")
    assert not (tmp_path / "s").exists()


def test_faults_are_completed() -> None:
    assert complete_fault("d") == ["drop", "delay"]
    assert complete_fault("") == ["help", *FAULTS]
