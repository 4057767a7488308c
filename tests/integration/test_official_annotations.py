"""The official client, pma_python, reads and writes annotations on the sandbox: what keeps the sandbox honest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pma_python import core, pma
from support.annotations import WILD_NOTES, annotate, annotation
from support.sandboxes import PASSWORD, USER

from pmacore_sandbox import Sandbox

SLIDE = "Slides/切片 ä.svs"


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[Any]:
    (sandbox.data / "Slides/切片 ä.svs").write_bytes(b"x")
    yield core.connect(sandbox.url, USER, PASSWORD)
    pma._pma_clear_url_cache()
    for table in (core._pma_sessions, core._pma_usernames, core._pma_slideinfos):
        table.clear()


def test_it_writes_and_reads_and_clears(session: Any) -> None:
    assert core.get_annotations(SLIDE, session) == ""
    added = core.add_annotation(SLIDE, "Tumor", "腫瘍", "POINT(1 2)", "#ff0000", 3, session)
    assert added["Code"] == "Success"
    several = [core.dummy_annotation() | {"geometry": f"POINT({number} 0)", "Notes": f"n{number}"} for number in (1, 2)]
    saved = core.add_annotations(SLIDE, "Necrosis", "", several, layerID=4, sessionID=session)
    assert saved["Code"] == "Success"
    found = core.get_annotations(SLIDE, session)
    assert [one["AnnotationID"] for one in found] == [added["annotation_id"], *saved["annotation_id"]]
    assert [(one["LayerID"], one["Geometry"], one["Classification"], one["Notes"]) for one in found] == [
        (3, "POINT(1 2)", "Tumor", "腫瘍"),
        (4, "POINT(1 0)", "Necrosis", "n1"),
        (4, "POINT(2 0)", "Necrosis", "n2"),
    ]
    assert core.clear_annotations(SLIDE, 4, session)
    assert len(core.get_annotations(SLIDE, session)) == 1
    assert core.clear_all_annotations(SLIDE, session)
    assert core.get_annotations(SLIDE, session) == ""


def test_it_reads_what_we_write(session: Any, sandbox: Sandbox) -> None:
    annotate(sandbox, SLIDE, *(annotation(number, Notes=notes) for number, notes in enumerate(WILD_NOTES)))
    assert [one["Notes"] for one in core.get_annotations(SLIDE, session)] == WILD_NOTES


def test_a_refusal_is_one_for_it(session: Any) -> None:
    assert "Code" in core.add_annotation("Slides/none.svs", "Tumor", "", "POINT(1 2)", sessionID=session)
    with pytest.raises(Exception, match="does not exist"):
        core.get_annotations("Slides/none.svs", session)
