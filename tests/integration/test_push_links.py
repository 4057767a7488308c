"""A push follows links within its source; others are told, and followed where that is wanted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from corpus import tree
from desk import Desk, arrived

from pmacore_sandbox import Sandbox


@pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links there")
def test_links(tmp_path: Path, sandbox: Sandbox) -> None:
    desk = Desk(tmp_path / "desk")
    desk.site("a", sandbox)
    store = tree(tmp_path / "store", "b.svs", content=os.urandom(100))
    tree(desk.source, "a.svs", content=b"a")
    (desk.source / "in.svs").symlink_to("a.svs")
    (desk.source / "out.svs").symlink_to(store / "b.svs")
    result = desk.run("--quiet")
    assert result.code == 1
    line = f"not sent: out.svs: a link that leads out of SRC, which is not followed (--follow-links): {store}/b.svs"
    assert result.stdout.splitlines()[0] == f"{line} (link out of the source)"
    assert arrived(sandbox) == {"a.svs": b"a", "in.svs": b"a"}
    assert desk.push("--follow-links").counts("a") == (1, 2, 0)
    assert arrived(sandbox)["out.svs"] == (store / "b.svs").read_bytes()
