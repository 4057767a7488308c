"""A push follows links within its source; others are told, and followed where that is wanted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import PushCli, arrived

from pmacore_sandbox import Sandbox


@pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links there")
def test_links(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    store = tree(tmp_path / "store", "b.svs", content=os.urandom(100))
    tree(cli.source, "a.svs", content=b"a")
    (cli.source / "in.svs").symlink_to("a.svs")
    (cli.source / "out.svs").symlink_to(store / "b.svs")
    result = cli.run("--quiet")
    assert result.code == 1
    line = f"not sent: out.svs: a link that leads out of SRC, which is not followed (--follow-links): {store}/b.svs"
    assert result.lines[0] == f"{line} (link out of the source)"
    assert arrived(sandbox) == {"a.svs": b"a", "in.svs": b"a"}
    assert cli.push("--follow-links").counts("a") == (1, 2, 0)
    assert arrived(sandbox)["out.svs"] == (store / "b.svs").read_bytes()
