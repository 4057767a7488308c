"""The messages between a coordinator and a node's process, as a worker of Dask keeps them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pmarep.nodes import worker

KEY = "pmarep-test-1"


@pytest.fixture(autouse=True)
def child() -> Iterator[worker._Child]:
    yield worker._child(KEY)
    worker._children.pop(KEY, None)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [1000.0]
    monkeypatch.setattr("pmarep.nodes.worker.time.monotonic", lambda: times[0])
    worker._children.pop(KEY, None)
    return times


def test_messages_are_repeated_until_they_are_acknowledged(child: worker._Child) -> None:
    child.messages += ["a", "b"]
    assert worker.exchange(KEY, 0, 0, 0, [])["messages"] == ["a", "b"]
    assert worker.exchange(KEY, 0, 0, 0, [])["messages"] == ["a", "b"]
    answer = worker.exchange(KEY, 1, 1, 0, [])
    assert (answer["first"], answer["messages"]) == (1, ["b"])


def test_the_time_of_the_last_confirmed_answer_counts(now: list[float]) -> None:
    child = worker._child(KEY)
    worker.exchange(KEY, 0, 0, 0, [])
    now[0] += 10
    worker.exchange(KEY, 1, 0, 0, [])  # confirms the answer of 1000, and is answered at 1010
    assert child.heard_at == 1000
    now[0] += 10
    worker.exchange(KEY, 2, 0, 0, [])
    assert child.heard_at == 1010


def test_a_question_that_was_long_on_its_way_extends_nothing(now: list[float]) -> None:
    child = worker._child(KEY)
    worker.exchange(KEY, 0, 0, 0, [])
    for late in (10, 20, 30):
        now[0] = 1000.0 + late
        worker.exchange(KEY, 0, 0, 0, [])  # it knows of no answer
    worker.exchange(KEY, 1, 0, 0, [])
    assert child.heard_at == 1000


def test_messages_to_a_process_that_is_not_there_are_not_taken() -> None:
    answer = worker.exchange(KEY, 0, 0, 0, ["{}"])
    assert (answer["state"], answer["taken"]) == ("waiting", 0)


def test_an_answer_has_so_many_messages_at_most(child: worker._Child) -> None:
    child.messages += [str(number) for number in range(worker.MOST_MESSAGES + 3)]
    assert len(worker.exchange(KEY, 0, 0, 0, [])["messages"]) == worker.MOST_MESSAGES
    assert len(worker.exchange(KEY, 1, worker.MOST_MESSAGES, 0, [])["messages"]) == 3


@pytest.mark.parametrize("said", [["a"], []])
async def test_a_question_is_answered_at_once_when_the_node_speaks_or_ends(
    child: worker._Child, said: list[str]
) -> None:
    process: Any = SimpleNamespace(stdout=io.BytesIO("".join(f"{line}\n" for line in said).encode()), stdin=None)
    child.process = process
    question = asyncio.create_task(worker.exchange_soon(KEY, 0, 0, 0, [], float("inf")))
    while not child.waiting:
        await asyncio.sleep(0)
    await asyncio.to_thread(child._read if said else child.close)
    answer = await question
    assert (answer["messages"], answer["state"]) == ([f"{line}\n" for line in said], "running" if said else "ended")
    assert not child.waiting


async def test_a_question_ends_in_time_and_is_not_kept(child: worker._Child) -> None:
    process: Any = SimpleNamespace(stdin=None)
    child.process = process
    assert (await worker.exchange_soon(KEY, 0, 0, 0, [], 0.0))["messages"] == []
    assert not child.waiting


def test_a_line_in_the_middle_of_which_a_node_was_killed_is_no_message(child: worker._Child) -> None:
    process: Any = SimpleNamespace(stdout=[b'{"kind": "ready"}\n', b'{"kind": "eve'])
    child.process = process
    child._read()
    assert child.messages == ['{"kind": "ready"}\n']


def test_a_worker_that_has_taken_the_place_of_another_starts_nothing(child: worker._Child) -> None:
    """Dask gives the task of a dead worker to one that comes back with its address."""
    answer = worker.exchange(KEY, 5, 7, 3, ['{"kind": "slides", "slides": []}'])
    assert answer["state"] == "unknown"
    assert not child.asked.is_set()


def test_nodes_that_have_ended_are_forgotten_in_time(now: list[float]) -> None:
    for key, lease in ((KEY, 15.0), ("pmarep-test-2", 15.0)):
        worker.serve(key, {"lease": [0.0, lease, lease]})  # nobody asks for it
        now[0] += 31
    assert KEY not in worker._children
    worker._children.pop("pmarep-test-2")
