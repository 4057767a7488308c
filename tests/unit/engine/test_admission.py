"""When a site begins its next slide."""

from __future__ import annotations

import asyncio

import pytest
from support.clocks import FakeClock, turns

from pmarep.engine.site.admission import FEWEST, PER_REQUEST, PREPARING, AdmissionGate, Ticket
from pmarep.limits import AdaptiveConcurrency
from pmarep.retry import Retry
from pmarep.uploaders import RequestScheduler, UploadBody

MIB = 1024 * 1024


def make_scheduler(connections: int | AdaptiveConcurrency) -> RequestScheduler:
    clock = FakeClock()
    return RequestScheduler(connections, [], Retry(sleep=clock.sleep), clock)


async def admitted(gate: AdmissionGate) -> Ticket:
    await gate.wait()
    return gate.admit()


@pytest.mark.parametrize(("connections", "at_once"), [(None, PREPARING), (1, 1), (20, 20)])
async def test_only_some_slides_are_prepared_at_once(connections: int | None, at_once: int) -> None:
    gate = AdmissionGate(make_scheduler(connections or AdaptiveConcurrency()), connections)
    tickets = [asyncio.create_task(admitted(gate)) for _ in range(65)]
    await turns()
    assert sum(ticket.done() for ticket in tickets) == at_once
    next(ticket for ticket in tickets if ticket.done()).result().end()
    await turns()
    assert sum(ticket.done() for ticket in tickets) == at_once + 1
    for ticket in tickets:
        ticket.cancel()


@pytest.mark.parametrize(("requests", "slides"), [(2, FEWEST), (12, PER_REQUEST * 12)])
async def test_a_server_is_not_asked_about_all_slides_at_once(requests: int, slides: int) -> None:
    """What is prepared makes room for the next, but only some are sent and verified at a time."""
    scheduler = make_scheduler(AdaptiveConcurrency(most=requests))
    scheduler.set_round_trip(0.18)
    gate = AdmissionGate(scheduler, None)
    tickets = []
    async with asyncio.timeout(60):
        for _ in range(slides):
            tickets.append(await admitted(gate))
            tickets[-1].end_preparation()
    waiting = asyncio.create_task(admitted(gate))
    await turns()
    assert not waiting.done()
    tickets[0].end()
    (await waiting).end()
    for ticket in tickets:
        ticket.end()
    assert (gate.preparing, gate.in_progress) == (0, 0)


async def test_no_slide_is_begun_while_requests_wait() -> None:
    """What is announced long before its bytes can go has URLs that expire."""
    scheduler = make_scheduler(AdaptiveConcurrency())
    gate = AdmissionGate(scheduler, None)
    go = asyncio.Event()

    async def send(body: UploadBody) -> None:
        await go.wait()

    work = [asyncio.create_task(scheduler.run(send, 8 * MIB)) for _ in range(3 * scheduler.limit)]
    await asyncio.sleep(0)
    assert scheduler.waiting == 2 * scheduler.limit
    ticket = asyncio.create_task(admitted(gate))
    await turns()
    assert not ticket.done()
    go.set()
    await asyncio.gather(*work)
    (await ticket).end_preparation()
    assert gate.preparing == 0
