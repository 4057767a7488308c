"""`push "$CASES"` with an unset variable: the current folder is not what was meant."""

from __future__ import annotations

import json

import pytest

from pmarep.cli.app import app
from pmarep.errors import UsageError


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (("push", "", "--sites", "a"), "SRC"),
        (("push", "x", "", "--sites", "a"), "SRC"),
        (("push", "-q", "--sites", "a", "--", ""), "SRC"),
        (("push", "x", "--sites", "a", "--bwlimit", ""), "--bwlimit"),
        (("push", "x", "--sites", "a", "--max-duration="), "--max-duration"),
        (("push", "x", "--sites", "a", "--settle", ""), "--settle"),
        (("push", "x", "--sites", "a", "--to", ""), "--to"),
        (("push", "x", "--sites", "a", "--audit", ""), "--audit"),
        (("push", "x", "--sites", "a", "--config", ""), "--config"),
        (("verify", "x", "--sites", "a", "--state-dir", ""), "--state-dir"),
        (("verify", "", "--sites", "a"), "SRC"),
        (("slides", ""), "SRC"),
        (("slides", "x", "--include", "*.svs", "--include", ""), "--include"),
        (("status", "--state-dir="), "--state-dir"),
        (("sites", "list", "--config", ""), "--config"),
        (("sites", "import", ""), "FILE.csv"),
        (("groups", "set", "g", ""), "MEMBER"),
        (("sandbox", "--data", ""), "--data"),
    ],
)
def test_an_empty_value_is_never_meant(line: tuple[str, ...], name: str) -> None:
    with pytest.raises(UsageError) as error:
        app(line)
    assert str(error.value) == f"{name} is empty; perhaps from a variable that is not set"


def test_the_summary_comes_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        app(("push", "--json", "", "--sites", "a"))
    summary = json.loads(capsys.readouterr().out)
    assert (summary["event"], summary["exit_code"]) == ("summary", 2)
    assert summary["error"].startswith("SRC is empty")
