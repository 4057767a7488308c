"""What is counted of a slide that takes several attempts in one run."""

from __future__ import annotations

import pytest

from pmarep.uploaders import Old, Sent


def total(*attempts: Sent) -> tuple[int, int]:
    sent = Sent()
    for attempt in attempts:
        sent.add(attempt)
    return sent.bytes, sent.resumed


def test_what_an_attempt_finds_of_the_one_before_is_counted_once() -> None:
    assert total(Sent(bytes=60), Sent(bytes=40, resumed=60)) == (100, 0)
    assert total(Sent(bytes=30, resumed=50), Sent(bytes=20, resumed=80)) == (50, 50)
    assert total(Sent(bytes=30, resumed=50), Sent()) == (30, 50)


def test_what_is_of_no_use_any_more_is_not_counted() -> None:
    assert total(Sent(bytes=60), Sent(bytes=100, anew=True)) == (100, 0)
    assert total(Sent(bytes=10, resumed=50), Sent(anew=True), Sent(bytes=60, resumed=40)) == (60, 40)


@pytest.mark.parametrize("later", [Old.NONE, Old.UNHARMED])
@pytest.mark.parametrize("earlier", [Old.MIXED, Old.DELETED])
def test_no_later_attempt_makes_an_old_slide_whole_again(earlier: Old, later: Old) -> None:
    sent = Sent()
    for old in (Old.UNHARMED, earlier, later):
        sent.add(Sent(old=old))
    assert sent.old is earlier
