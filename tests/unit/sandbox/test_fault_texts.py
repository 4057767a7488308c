"""Faults as they are written after `pmarep sandbox --fault`."""

from __future__ import annotations

from typing import Any

import pytest

from pmacore_sandbox import (
    CannedResponse,
    Corrupt,
    Delay,
    Drop,
    EndSessions,
    FaultInjector,
    Hold,
    IgnoreRanges,
    SaveHalf,
    SlowRead,
    StaleListings,
)
from pmacore_sandbox.fault_texts import FAULTS, add_fault
from pmarep.errors import UsageError

FILE = "transfer/Upload/17?path=x/Data0000.dat"
DOWNLOAD = "transfer/Download?image=Slides/a.svs&path=a.svs"
SAVE = "api/json/SaveAnnotations"
CALLS = [
    *("api/json/authenticate", "transfer/Upload", "transfer/Upload?x=y", FILE, "api/json/GetFilenames", DOWNLOAD, SAVE)
]


def hits(text: str, method: str = "POST", count: int = 6) -> dict[str, list[Any]]:
    """The actions for each of six requests of each kind."""
    found = {}
    for call in CALLS:
        injector = FaultInjector()
        add_fault(injector, text)
        found[call] = [action for _ in range(count) for action in injector.actions(method, call)]
    return found


@pytest.mark.parametrize(
    ("text", "kind", "calls", "each"),
    [
        ("error", CannedResponse, CALLS, 1),
        ("refuse", CannedResponse, CALLS[1:3], 2),
        ("drop", Drop, [FILE], 2),
        ("lose-answer", Drop, [FILE], 2),
        ("end-sessions,every=3", EndSessions, CALLS, 2),
        ("delay", Delay, CALLS, 6),
        ("slow", SlowRead, [FILE], 6),
        ("stale-listings", StaleListings, [CALLS[4]], 6),
        ("corrupt", Corrupt, [FILE], 1),
        ("ignore-ranges", IgnoreRanges, [DOWNLOAD], 6),
        ("save-half", SaveHalf, [SAVE], 1),
        ("hang", Hold, [FILE], 1),
    ],
)
def test_each_fault_text_hits_its_calls_with_its_fault(text: str, kind: type, calls: list[str], each: int) -> None:
    found = hits(text)
    assert [call for call in CALLS if found[call]] == calls
    assert all(len(found[call]) == each and isinstance(found[call][0], kind) for call in calls)


def test_every_fault_is_tested() -> None:
    tested = [mark.args[1] for mark in test_each_fault_text_hits_its_calls_with_its_fault.pytestmark]  # type: ignore[attr-defined]
    assert {text.split(",")[0] for text, *_ in tested[0]} == set(FAULTS)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("error=429", CannedResponse.iis(429)), ("refuse=Disk full", CannedResponse.refusal("Disk full")),
        ("drop=0", Drop(0)), ("drop=2M", Drop(2 * 1024**2)), ("drop", Drop(64 * 1024)), ("lose-answer", Drop(None)),
        ("delay=0.5", Delay(0.5)), ("slow=1K/s", SlowRead(1024)), ("corrupt=9", Corrupt(9)),
        ("stale-listings=2", StaleListings(2)),
    ],
)  # fmt: skip
def test_values(text: str, action: object) -> None:
    injector = FaultInjector()
    add_fault(injector, f"{text},every=1,path=.,times=1")
    assert injector.actions("POST", FILE) == [action]
    assert injector.actions("POST", FILE) == []


def test_which_requests() -> None:
    assert [len(one) for one in hits("delay,after=2,times=3,path=GETfile").values()] == [0, 0, 0, 0, 3, 0, 0]
    assert not any(hits("delay,method=get").values())
    assert all(hits("delay,method=get", "GET").values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("eror", "there is no fault 'eror'; there are error, refuse, drop,"),
        ("", "there is no fault ''"),
        ("error=200", "the fault error takes a status from 400 to 599, not '200'"),
        ("delay=soon", "the fault delay takes a number of seconds, not 'soon'"),
        ("drop=-1", "the fault drop takes bytes, such as 64K, not '-1'"),
        ("slow=0", "the fault slow takes bytes a second, such as 100K, not '0'"),
        ("end-sessions=3", "the fault end-sessions takes no value"),
        ("drop,evry=3", "cannot read 'evry=3' of a fault; write every=..., times=..., after=..., path=..., method=..."),
        ("drop,every=0", "every of a fault is a number, not '0'"),
        ("drop,times=", "cannot read 'times=' of a fault"),
        ("drop,path=(", "the path of the fault drop is no regular expression"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        add_fault(FaultInjector(), text)
    assert str(error.value).startswith(words)
