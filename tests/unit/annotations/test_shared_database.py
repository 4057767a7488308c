"""Sites that share a database are noticed, and one waits for the other."""

from __future__ import annotations

import asyncio

from support.annotations import annotation

from pmarep.annotations.shared_database import REMEMBERED, SharedDatabases

PATH = "Slides/in/a.svs"
OLD = annotation(AnnotationID=1, AuditCreatedOn="/Date(1000)/", AuditCreatedBy="anna")
NEW = annotation(AnnotationID=2, AuditCreatedOn="/Date(2000+0100)/", AuditCreatedBy="seeder")


def databases() -> tuple[SharedDatabases, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    return SharedDatabases(lambda site, other: said.append((site, other))), said


async def test_the_second_waits_for_the_first() -> None:
    shared, _ = databases()
    order: list[str] = []
    go_on = asyncio.Event()

    async def work(site: str, path: str) -> None:
        async with shared.turn(site, path):
            order.append(f"{site} in")
            if site == "a":
                await go_on.wait()
            order.append(f"{site} out")

    tasks = [asyncio.create_task(work("a", PATH)), asyncio.create_task(work("b", PATH.upper()))]
    tasks.append(asyncio.create_task(work("c", "Slides/other/a.svs")))
    await tasks[2]
    assert order == ["a in", "c in", "c out"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert order[3:] == ["a out", "b in", "b out"]


async def test_a_site_waits_for_itself() -> None:
    """Two folders with a side file for the same slide are imported at once."""
    shared, _ = databases()
    inside = most = 0

    async def work() -> None:
        nonlocal inside, most
        async with shared.turn("a", PATH):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(3)))
    assert (inside, most) == (0, 1)


async def test_sites_known_to_be_apart_do_not_wait() -> None:
    shared, said = databases()
    shared.note_added("a", PATH, [OLD], [OLD, NEW])
    shared.note_found("b", PATH, [annotation(AnnotationID=2, AuditCreatedOn="/Date(1)/", AuditCreatedBy="seeder")])
    async with shared.turn("a", PATH), shared.turn("b", PATH):
        pass
    assert said == []


def test_a_shared_database_is_said_once() -> None:
    shared, said = databases()
    for path in (PATH, "Slides/in/b.svs"):
        shared.note_added("a", path, [OLD], [OLD, NEW])
        shared.note_found("b", path, [OLD, NEW])
    shared.note_found("a", PATH, [OLD, NEW])
    assert said == [("b", "a")]


def test_a_server_that_tells_no_times_proves_nothing() -> None:
    """Two databases that count from 1 give the same ids."""
    shared, said = databases()
    shared.note_added("a", PATH, [], [annotation(AnnotationID=1)])
    shared.note_found("b", PATH, [annotation(AnnotationID=1)])
    assert said == []


def test_memory_is_bounded() -> None:
    shared, _ = databases()
    for number in range(REMEMBERED + 10):
        shared.note_added("a", f"Slides/{number}.svs", [], [NEW])
    assert len(shared._added) == REMEMBERED


async def test_a_turn_that_is_cancelled_is_given_on() -> None:
    shared, _ = databases()

    async def hold() -> None:
        async with shared.turn("a", PATH):
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    holding.cancel()
    async with shared.turn("b", PATH):
        pass
    assert shared._busy == {}
