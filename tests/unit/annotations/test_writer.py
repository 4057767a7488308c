"""Adding annotations to a slide: over real sockets, with everything that a server may do in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from support.annotations import WILD_NOTES, annotate, annotation, annotations_at
from support.clocks import JumpingClock
from support.sandboxes import PASSWORD, StartSandbox
from support.scripted_core import ScriptedCore, refusal

from pmacore_sandbox import CannedResponse, Drop, EndSessions, Sandbox, SaveHalf
from pmarep.annotations.comparison import missing_from
from pmarep.annotations.writer import (
    MOST_ANNOTATIONS,
    MOST_BYTES,
    REFUSED_SLIDES,
    SETTLE_SECONDS,
    AnnotationWriter,
    Brought,
)
from pmarep.pmacore import Annotation, Connection, PmaCore

SLIDE = "Slides/a.svs"
WANTED = [annotation(number) for number in range(20)]


@pytest.fixture
async def core(sandbox: Sandbox) -> AsyncIterator[PmaCore]:
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    async with core_of(sandbox) as core:
        yield core


def core_of(sandbox: Sandbox) -> PmaCore:
    async def password() -> str:
        return PASSWORD

    return PmaCore(Connection(sandbox.url, "seeder"), password)


async def add(core: PmaCore, wanted: list[Annotation]) -> Brought:
    return await AnnotationWriter(core, JumpingClock()).add(SLIDE, wanted, await core.annotations(SLIDE))


def counts(brought: Brought) -> tuple[int, int, int]:
    return brought.added, brought.there, brought.missing


def at(sandbox: Sandbox) -> list[Annotation]:
    return [Annotation.read(one, "a test") for one in annotations_at(sandbox, SLIDE)]


def saves(sandbox: Sandbox) -> int:
    return sum("SaveAnnotations" in request.path for request in sandbox.requests)


async def test_twice_is_as_once(core: PmaCore, sandbox: Sandbox) -> None:
    wild = [annotation(number, Notes=notes) for number, notes in enumerate(WILD_NOTES)]
    geometries = ["POINT Z (1 2 3)", "POINT M (1 2 3)", "POLYGON EMPTY", "broken (", "MULTIPOINT((1 2),(3 4))"]
    wanted = [*wild, *(annotation(Geometry=text) for text in geometries), annotation(7), annotation(7)]
    assert counts(await add(core, wanted)) == (len(wanted), 0, 0)
    assert counts(await add(core, wanted)) == (0, len(wanted), 0)
    assert Counter(one.geometry for one in at(sandbox)) == Counter(one.geometry for one in wanted)
    assert [one.notes for one in at(sandbox)][: len(wild)] == WILD_NOTES
    assert [one.fields() for one in at(sandbox)] == [one.fields() for one in wanted]
    assert saves(sandbox) == 1


async def test_only_what_is_missing_and_nothing_is_deleted(core: PmaCore, sandbox: Sandbox) -> None:
    annotate(sandbox, SLIDE, annotation(3), annotation(99), annotation(3))
    assert counts(await add(core, WANTED)) == (19, 1, 0)
    assert len(at(sandbox)) == 3 + 19


@pytest.mark.parametrize(
    "fault",
    [Drop(None), Drop(0), CannedResponse.iis(500), CannedResponse.iis(504), SaveHalf(), EndSessions(), SaveHalf(503)],
    ids=lambda fault: type(fault).__name__ + str(getattr(fault, "status", getattr(fault, "after_bytes", ""))),
)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_save_that_fails_doubles_nothing(core: PmaCore, sandbox: Sandbox, fault: Any, times: int) -> None:
    sandbox.faults.add(fault, path="SaveAnnotations", times=times)
    assert counts(await add(core, WANTED)) == (20, 0, 0)
    assert len(at(sandbox)) == 20
    assert missing_from(WANTED, at(sandbox)) == []


async def test_an_answer_that_is_lost_each_time(core: PmaCore, sandbox: Sandbox) -> None:
    """The save is never asked again: it has been carried out."""
    sandbox.faults.add(Drop(None), path="SaveAnnotations")
    wanted = [annotation(number) for number in range(MOST_ANNOTATIONS + 50)]
    brought = await add(core, wanted)
    assert counts(brought) == (len(wanted), 0, 0)
    assert brought.error is None
    assert len(at(sandbox)) == len(wanted)


async def test_a_server_that_saves_nothing(core: PmaCore, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.iis(500), path="SaveAnnotations")
    brought = await add(core, WANTED)
    assert counts(brought) == (0, 0, 20)
    assert brought.may_pass
    assert saves(sandbox) < 10
    sandbox.faults.clear()
    assert counts(await add(core, WANTED)) == (20, 0, 0)


async def test_a_server_that_is_gone_in_the_middle(core: PmaCore, sandbox: Sandbox) -> None:
    sandbox.faults.add(Drop(None), path="SaveAnnotations")
    sandbox.faults.add(Drop(0), path="GetAnnotations", after=1)
    brought = await add(core, WANTED)
    assert brought.error is not None
    assert brought.may_pass
    sandbox.faults.clear()
    assert counts(await add(core, WANTED)) == (0, 20, 0)
    assert len(at(sandbox)) == 20


async def test_an_annotation_that_the_server_refuses_costs_no_other(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(strict_geometry=True)
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    wanted = [*WANTED[:10], annotation(Geometry="broken ("), *WANTED[10:]]
    async with core_of(sandbox) as core:
        brought = await add(core, wanted)
    assert counts(brought) == (20, 0, 1)
    assert "no WKT" in str(brought.error)


async def test_two_that_the_server_does_not_take_cost_few_saves(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(strict_geometry=True)
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    wanted = [annotation(number) for number in range(MOST_ANNOTATIONS + 100)]
    wanted[10], wanted[150] = annotation(Geometry="broken ("), annotation(Geometry="broken too (")
    async with core_of(sandbox) as core:
        assert counts(await add(core, wanted)) == (len(wanted) - 2, 0, 2)
    assert saves(sandbox) < 50


async def test_a_server_that_takes_none_is_not_asked_for_each(core: PmaCore, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.refusal("Not now"), path="SaveAnnotations")
    wanted = [annotation(number) for number in range(MOST_ANNOTATIONS)]
    assert counts(await add(core, wanted)) == (0, 0, len(wanted))
    assert saves(sandbox) < 20


async def test_a_server_that_takes_little_at_once(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(max_json=2000)
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    async with core_of(sandbox) as core:
        assert counts(await add(core, WANTED)) == (20, 0, 0)
    assert len(at(sandbox)) == 20


async def test_a_user_without_the_right(start_sandbox: StartSandbox) -> None:
    """Said for each slide, and asked for a few only."""
    sandbox = start_sandbox(can_annotate=False)
    (sandbox.data / "Slides/a.svs").write_bytes(b"x")
    async with core_of(sandbox) as core:
        writer = AnnotationWriter(core, JumpingClock())
        for number in range(REFUSED_SLIDES + 2):
            brought = await writer.add(SLIDE, WANTED, [])
            assert counts(brought) == (0, 0, 20)
            assert "CanAnnotate" in str(brought.error)
            if number == REFUSED_SLIDES - 1:
                asked = saves(sandbox)
    assert saves(sandbox) == asked


async def test_many_with_doubles_among_them(core: PmaCore, sandbox: Sandbox) -> None:
    wanted = [annotation(number % 900) for number in range(1_000)]
    assert counts(await add(core, wanted)) == (1_000, 0, 0)
    assert counts(await add(core, wanted)) == (0, 1_000, 0)
    assert saves(sandbox) == 1_000 / MOST_ANNOTATIONS
    assert len(at(sandbox)) == 1_000


class Altering:
    """A server that keeps each geometry in its own way, and says so only when it is asked."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def core(self) -> PmaCore:
        scripted = ScriptedCore(GetAnnotations=lambda: self.kept, SaveAnnotations=self.save)
        self.scripted = scripted
        return scripted.core()

    def save(self) -> list[int]:
        added = json.loads(self.scripted.requests[-1].content)["added"]
        first = len(self.kept) + 1
        new = [{**one, "AnnotationID": first + n, "Geometry": "POINT(0 0)"} for n, one in enumerate(added)]
        self.kept += new
        return [one["AnnotationID"] for one in new]


async def test_a_server_that_keeps_something_else_gets_no_more() -> None:
    server = Altering()
    async with server.core() as core:
        writer = AnnotationWriter(core, JumpingClock())
        first = await writer.add(SLIDE, WANTED, [])
        second = await writer.add("Slides/b.svs", WANTED, [])
    assert len(server.kept) == 20
    assert counts(first) == (20, 0, 0)
    assert "otherwise than they were sent" in str(first.error)
    assert counts(second) == (0, 0, 20)
    assert "not tried" in str(second.error)


async def test_what_a_server_keeps_otherwise_is_not_added_again_after_a_failure() -> None:
    """It has given an id for it, so it has it."""
    server = Altering()
    core, calls = server.core(), 0

    def save() -> Any:
        nonlocal calls
        calls += 1
        return httpx.Response(500) if calls == 2 else server.save()

    server.scripted.answers["SaveAnnotations"] = save
    wanted = [annotation(number) for number in range(MOST_ANNOTATIONS + 10)]
    async with core:
        brought = await AnnotationWriter(core, JumpingClock()).add(SLIDE, wanted, [])
    assert len(server.kept) == len(wanted)
    assert brought.error is not None


async def test_a_server_that_is_still_at_a_save_that_was_given_up() -> None:
    """Its annotations are there some seconds later, and are waited for."""
    clock, kept = JumpingClock(), list[dict[str, Any]]()
    done_at: list[float] = []

    def save() -> httpx.Response:
        done_at.append(clock.now + 1.5 * SETTLE_SECONDS)
        kept.extend(json.loads(scripted.requests[-1].content)["added"])
        return httpx.Response(504)

    def found() -> list[dict[str, Any]]:
        return kept if not done_at or clock.now >= done_at[0] else []

    scripted = ScriptedCore(GetAnnotations=found, SaveAnnotations=save)
    async with scripted.core() as core:
        brought = await AnnotationWriter(core, clock).add(SLIDE, WANTED, [])
    assert (counts(brought), brought.error) == ((20, 0, 0), None)
    assert len(kept) == 20


async def test_equal_ones_of_which_some_were_saved_before_a_failure(core: PmaCore, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.iis(500), path="SaveAnnotations", after=1, times=1)
    wanted = [annotation(1) for _ in range(MOST_ANNOTATIONS + 10)]
    assert counts(await add(core, wanted)) == (len(wanted), 0, 0)
    assert len(at(sandbox)) == len(wanted)


async def test_large_ones_go_in_small_batches(core: PmaCore, sandbox: Sandbox) -> None:
    outline = "POLYGON((" + "1 2," * (MOST_BYTES // 12) + "1 2))"
    wanted = [annotation(Geometry=outline.replace("1 2,", f"{number} 2,")) for number in range(5)]
    assert counts(await add(core, wanted)) == (5, 0, 0)
    assert saves(sandbox) == 3


@pytest.mark.parametrize("answer", [None, [1], ["1", "2"], [True, False], {"a": 1}, httpx.Response(200, content=b"")])
async def test_an_answer_that_is_no_list_of_ids_is_looked_into(answer: Any) -> None:
    kept: list[dict[str, Any]] = []
    scripted = ScriptedCore(GetAnnotations=lambda: kept)

    def save() -> Any:
        kept.extend(json.loads(scripted.requests[-1].content)["added"])
        return answer

    scripted.answers["SaveAnnotations"] = save
    async with scripted.core() as core:
        brought = await AnnotationWriter(core, JumpingClock()).add(SLIDE, WANTED[:2], [])
    assert (counts(brought), brought.error) == ((2, 0, 0), None)
    assert len(scripted.asked("SaveAnnotations")) == 1


async def test_a_refusal_is_told() -> None:
    scripted = ScriptedCore(GetAnnotations=[], SaveAnnotations=refusal("no way"))
    async with scripted.core() as core:
        brought = await AnnotationWriter(core, JumpingClock()).add(SLIDE, WANTED, [])
    assert counts(brought) == (0, 0, 20)
    assert "no way" in str(brought.error)
