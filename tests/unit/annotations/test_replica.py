"""What is said of annotations that took several tries."""

from __future__ import annotations

from support.annotations import annotate, annotation, annotations_at
from support.clocks import JumpingClock
from support.sandboxes import PASSWORD

from pmacore_sandbox import Drop, Sandbox
from pmarep.annotations.replica import AnnotationReplica
from pmarep.annotations.shared_database import SharedDatabases
from pmarep.annotations.source import SourceAnnotations
from pmarep.annotations.writer import MOST_ANNOTATIONS
from pmarep.pmacore import Connection, PmaCore

SLIDE = "Slides/a.svs"


async def test_annotations_that_an_earlier_try_has_added_count_as_added(sandbox: Sandbox) -> None:
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    wanted = [annotation(number) for number in range(MOST_ANNOTATIONS + 50)]
    annotate(sandbox, SLIDE, wanted[-1])
    sandbox.faults.add(Drop(0), path="SaveAnnotations", after=1)
    sandbox.faults.add(Drop(0), path="GetAnnotations", after=1)
    tries: list[int] = []

    async def password() -> str:
        return PASSWORD

    async def patience(fruitless: int) -> bool:
        tries.append(fruitless)
        sandbox.faults.clear()
        return True

    async with PmaCore(Connection(sandbox.url, "seeder"), password) as core:
        replica = AnnotationReplica("a", core, JumpingClock(), SharedDatabases(lambda _site, _other: None))
        source = SourceAnnotations(wanted, lambda: core.fingerprint(SLIDE))
        brought = await replica.bring(source, SLIDE, patience)
    assert (brought.added, brought.there, brought.missing, brought.error) == (len(wanted) - 1, 1, 0, None)
    assert tries == [0]
    assert len(annotations_at(sandbox, SLIDE)) == len(wanted)
