"""What is counted of a slide that takes several attempts in one run."""

from __future__ import annotations

import pytest

from pmarep.uploaders import Replaced, TransferCounts


def total(*attempts: TransferCounts) -> tuple[int, int]:
    sent = TransferCounts()
    for attempt in attempts:
        sent.add(attempt)
    return sent.bytes, sent.resumed


def test_bytes_found_of_the_attempt_before_are_counted_once() -> None:
    assert total(TransferCounts(bytes=60), TransferCounts(bytes=40, resumed=60)) == (100, 0)
    assert total(TransferCounts(bytes=30, resumed=50), TransferCounts(bytes=20, resumed=80)) == (50, 50)
    assert total(TransferCounts(bytes=30, resumed=50), TransferCounts()) == (30, 50)


def test_bytes_of_no_use_are_not_counted() -> None:
    assert total(TransferCounts(bytes=60), TransferCounts(bytes=100, reannounced=True)) == (100, 0)
    assert total(
        TransferCounts(bytes=10, resumed=50), TransferCounts(reannounced=True), TransferCounts(bytes=60, resumed=40)
    ) == (60, 40)


@pytest.mark.parametrize("later", [Replaced.NONE, Replaced.INTACT])
@pytest.mark.parametrize("earlier", [Replaced.MIXED, Replaced.DELETED])
def test_no_later_attempt_makes_an_old_slide_whole_again(earlier: Replaced, later: Replaced) -> None:
    sent = TransferCounts()
    for old in (Replaced.INTACT, earlier, later):
        sent.add(TransferCounts(replaced=old))
    assert sent.replaced is earlier
