"""The part of every limit that one of several nodes may use."""

from __future__ import annotations

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
