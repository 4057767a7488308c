"""`copy` is `push` from places: every option of one is an option of the other, and means the same."""

from __future__ import annotations

import importlib
from inspect import signature

import pytest

from pmarep.cli.copy import copy
from pmarep.cli.push import push

OF_FOLDERS = {"follow_links", "settle", "at_all_sites", "scheduler", "scheduler_file"}
"""What is about files of a disk only."""


def test_copy_has_the_options_of_push_but_those_of_folders() -> None:
    of_push = {name: (one.annotation, one.default) for name, one in signature(push).parameters.items()}
    of_copy = {name: (one.annotation, one.default) for name, one in signature(copy).parameters.items()}
    assert of_push.pop("sources") == ("PathsOrPlacesArgument", of_copy.pop("sources")[1])
    assert of_copy == {name: one for name, one in of_push.items() if name not in OF_FOLDERS}
    assert set(of_push) >= OF_FOLDERS


def test_copy_hands_every_option_on_to_push(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = {name: object() for name in signature(copy).parameters}
    handed_on: dict[str, object] = {}
    monkeypatch.setattr(importlib.import_module("pmarep.cli.copy"), "push", handed_on.update)
    copy(**typed)  # type: ignore[arg-type]
    assert handed_on == typed
