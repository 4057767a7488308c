"""The part of every limit that one of several nodes may use."""

from __future__ import annotations

import asyncio

from pmarep.limits import NodeShare


def test_a_run_by_itself_has_all() -> None:
    assert (NodeShare().of_rate(1000), NodeShare().of_requests(7)) == (1000, 7)


def test_parts_add_up() -> None:
    parts = [NodeShare(number, 3) for number in range(3)]
    assert sum(part.of_requests(7) for part in parts) == 7
    assert sum(part.of_rate(1000) for part in parts) <= 1000


def test_it_changes() -> None:
    share = NodeShare()
    share.change(1, 4)
    assert (share.of_rate(1000), share.of_requests(4)) == (250, 1)


async def test_a_smaller_part_is_kept_when_no_more_is_in_use() -> None:
    share, used, told = NodeShare(), 3, []
    share.join(lambda: told.append(share.of_requests(4)), lambda: used > share.of_requests(4))
    share.change(0, 2)
    assert told == [2]
    waiting = asyncio.create_task(share.wait_until_kept())
    await asyncio.sleep(0)
    share.note_release()
    await asyncio.sleep(0)
    assert not waiting.done()
    used = 2
    share.note_release()
    await waiting
