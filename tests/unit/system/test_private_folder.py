"""Folders that only their owner may look into."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pmarep.system.private_folder import make_private_folder


@pytest.mark.parametrize(("platform", "mode"), [("linux", 0o700), ("darwin", 0o700), ("win32", 0o777)])
def test_windows_gets_no_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, mode: int) -> None:
    """Python 3.13 would take it for a list of who may look in, to which an elevated shell's user does not belong."""
    modes: dict[str, int] = {}
    monkeypatch.setattr(Path, "mkdir", lambda path, mode=0o777, **_: modes.update({path.name: mode}))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", platform)
        make_private_folder(tmp_path / "state" / "pmarep")
    assert modes == {"state": 0o777, "pmarep": mode}


def test_the_last_folder_is_private(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "state" / "pmarep")
    make_private_folder(tmp_path / "state" / "pmarep")
    assert (tmp_path / "state" / "pmarep").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state").stat().st_mode & 0o100
