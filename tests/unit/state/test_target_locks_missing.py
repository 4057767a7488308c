"""A state folder on a file system without locks: said, instead of made up for by files that outlive their runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pmarep.errors import UsageError
from pmarep.state.target_locks import hold_targets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows always has locks")

TOKYO = ("tokyo", "https://tokyo.example/slides/in")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    import fcntl

    def missing(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    folder = tmp_path / "locks"
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", missing)
        for _ in range(2):  # the second one is not told of another run
            words = r"cannot lock in .*; name another folder with --state-dir"
            with pytest.raises(UsageError, match=words), hold_targets(folder, [TOKYO]):
                pass
    assert list(folder.iterdir()) == []
    with hold_targets(folder, [TOKYO]):
        pass


def test_a_lock_file_that_another_host_has_left_is_no_lock(tmp_path: Path) -> None:
    """As FileLock writes it where there are no locks: a process and its host."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "all.lock").write_text("4711\nnode17.cluster\n")
    with hold_targets(folder, [TOKYO]):
        pass
