"""What `pmarep verify` says of a damaged slide is what the next `pmarep push` does, as people see it."""

from __future__ import annotations

import os
from pathlib import Path

from support.corpus import tree
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox


def shown(cli: PushCli, command: str, *extra: str) -> tuple[int, str]:
    result = cli.run(*extra, command=command)
    return result.code, result.stdout


def test_a_slide_that_is_cut_off_and_one_of_somebody_else(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    for name in "ours.svs", "theirs.svs", "fine.svs":
        tree(cli.source, name, content=os.urandom(30_000))
    assert cli.run().code == 0
    there = sandbox.data / "Slides" / "in"
    (there / "ours.svs").write_bytes(contents(cli.source)["ours.svs"][:100])
    (there / "theirs.svs").write_bytes(b"another slide")
    for _ in range(2):
        code, text = shown(cli, "verify")
        assert code == 1
        assert "ours.svs: ours.svs has 100 bytes there and 30000 here; the next run sends it again" in text
        assert "theirs.svs has 13 bytes there and 30000 here; pmarep push --existing overwrite replaces it" in text
        assert text.splitlines()[-1] == "2 slides not at a site as it should be; see above what helps"
    code, text = shown(cli, "push")
    assert code == 1
    assert "a: sent ours.svs" in text
    assert "another slide of this name is there (theirs.svs has 13 bytes there" in text
    assert arrived(sandbox) == contents(cli.source) | {"theirs.svs": b"another slide"}
    code, text = shown(cli, "push", "--existing", "skip")
    assert code == 0
    assert text.splitlines()[-1].startswith("1 slide at a site differs and was left as it is (--existing skip)")
    code, text = shown(cli, "push", "--existing", "overwrite")
    assert (code, text.splitlines()[-1]) == (0, "every slide is at every site")
    assert arrived(sandbox) == contents(cli.source)
    assert shown(cli, "verify", "--level", "deep")[0] == 0
