"""What a sandbox remembers over a restart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pmacore_sandbox.models import AnnouncedFile
from pmacore_sandbox.state_log import StateLog
from pmacore_sandbox.upload_registry import UploadRegistry


def test_a_file_that_came_to_an_id_given_out_again_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "own" / "state.jsonl"
    with closing(StateLog(path)) as log:
        old = UploadRegistry(log).announce("Slides", ("in",), [AnnouncedFile("m.mrxs", 5, True)])
        new = UploadRegistry(log, reuse_ids=True)
        assert new.announce("Slides", ("in",), [AnnouncedFile("x.svs", 5, True)]).id == old.id
        log.append({"complete": old.id, "path": "m.mrxs"})
        assert not UploadRegistry(log).get(str(old.id)).files["x.svs"].complete
