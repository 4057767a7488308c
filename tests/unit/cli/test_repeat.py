"""The command that goes on with a run is the one that was typed, from wherever it is typed again."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import typer

from pmarep.cli.app import app
from pmarep.cli.repeat import repeatable_arguments
from pmarep.sites import Site
from pmarep.sites.place import Place

PLACE = Place(
    Site(name="tokyo", url="https://tokyo.example/", username="replicator", target="Slides"),
    "Slides/2026",
    "tokyo:2026",
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PMAREP_CONFIG", raising=False)
    monkeypatch.delenv("PMAREP_STATE_DIR", raising=False)
    return tmp_path


def sources_of(context: typer.Context) -> list[Path | Place]:
    return [PLACE if text == PLACE.text else Path(text) for text in context.params["sources"]]


def repeated(command: str, *arguments: str) -> tuple[str, ...]:
    """What is recorded of a command, which is not run."""
    group = typer.main.get_command(app)
    context = group.commands[command].make_context(command, list(arguments))  # type: ignore[attr-defined]
    found: list[tuple[str, ...]] = []
    record = lambda **_: found.append(repeatable_arguments(context, sources_of(context)))  # noqa: E731
    with mock.patch.object(context.command, "callback", record):
        context.command.invoke(context)
    return found[0]


def test_every_path_is_there_in_full_and_defaults_are_not(elsewhere: Path) -> None:
    command = repeated("push", "my cases", "../b", "--sites", "tokyo,b", "--audit", "log", "--verify", "deep", "--hard")
    assert command == (
        "push", str(elsewhere / "my cases"), str(elsewhere / ".." / "b"), "--sites", "tokyo,b", "--verify", "deep",
        "--hard", "--audit", str(elsewhere / "log"),
    )  # fmt: skip


def test_a_place_is_no_path() -> None:
    assert repeated("copy", "tokyo:2026", "--sites", "b") == ("copy", "tokyo:2026", "--sites", "b")


def test_options_of_output_and_fresh_are_not_repeated() -> None:
    """Nor those of rounds: who types what goes on with one wants it to end."""
    command = repeated("push", "/a", "--sites", "b", "--json", "-q", "-vv", "--fresh")
    assert command == ("push", "/a", "--sites", "b")
    command = repeated("push", "/a", "--sites", "b", "--every", "10m", "--between", "19:00-07:00")
    assert command == ("push", "/a", "--sites", "b")


def test_repeated_options_and_values_that_look_like_options() -> None:
    command = repeated("verify", "--sites", "a", "--sites", "b", "--exclude=-x", "--level", "size", "--", "/-a")
    assert command == ("verify", "/-a", "--sites", "a", "--sites", "b", "--level", "size", "--exclude=-x")


def test_book_and_state_folder_of_variables_are_named(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMAREP_CONFIG", "book.toml")
    monkeypatch.setenv("PMAREP_STATE_DIR", "state")
    command = ("push", "/a", "--sites", "b", "--config", str(elsewhere / "book.toml"))
    assert repeated("push", "/a", "--sites", "b") == (*command, "--state-dir", str(elsewhere / "state"))
    assert repeated("push", "/a", "--sites", "b", "--state-dir", "/s") == (*command, "--state-dir", "/s")
