"""What goes along with a run hears how it ended, whatever ended it."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pmarep import engine
from pmarep.cli import replication_run
from pmarep.cli.render import JsonOutput, LinesOutput
from pmarep.cli.run_observers import RunObserver
from pmarep.errors import TargetBusyError
from pmarep.events import Event, Notice, RoundReason, RoundStarted, Summary


class Listening(RunObserver):
    def __init__(self) -> None:
        self.ends: list[tuple[int, str | None]] = []
        self.notices: list[str] = []

    def handle(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event.text)

    def after(self, summary: Summary) -> bool:
        self.ends.append((summary.exit_code, summary.error))
        return True


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (TargetBusyError("tokyo: another run has it"), (3, "tokyo: another run has it")),
        (KeyError("geheim"), (1, "internal error (KeyError); please report it, with the output of -vv")),
    ],
)
def test_a_run_that_ends_with_an_error_has_an_end(
    error: Exception, end: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a bug of ours: who watches over a run by `on_failure` or metrics has to hear of that."""

    async def replicate(*_args: Any, **_options: Any) -> Summary:
        raise error

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: None)
    observer, nothing = Listening(), None
    with pytest.raises(type(error)):
        replication_run.run_replication(
            nothing,  # type: ignore[arg-type]
            [],
            None,
            Path(),
            LinesOutput(quiet=True, verbose=False),
            [observer],
        )
    assert observer.ends == [end]


class SmallDisk(io.RawIOBase):
    """A file on a disk that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)[: self.room]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        self.content += taken
        return len(taken)


def test_a_round_after_a_full_disk_writes_again(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The round whose lines were lost says so everywhere else, and no line that comes then is broken."""

    async def replicate(*_args: Any, listener: Any, **_options: Any) -> Summary:
        for number in range(300):  # more than Python keeps for later
            listener(Notice(text=f"line {number}"))
        return Summary(exit_code=0, seconds=1.0, sites={})

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: None)
    disk, observer, nothing = SmallDisk(1000), Listening(), None
    codes = []
    with pytest.MonkeyPatch.context() as patch:
        for module in ("render.base", "replication_run"):  # which would be for good
            patch.setattr(f"pmarep.cli.{module}.discard_stdout", lambda: pytest.fail("nothing is heard any more"))
        patch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(disk), encoding="utf-8"))
        for number in (1, 2):
            begins = RoundStarted(round=number, reason=RoundReason.TIME)
            run = replication_run.run_replication
            codes.append(run(nothing, [], None, Path(), JsonOutput(), [observer], begins))  # type: ignore[arg-type]
            disk.room = 10**6
    full = "cannot write the output: No space left on device"
    assert codes == [1, 0]
    assert capsys.readouterr().err == f"pmarep: {full}\n"
    assert observer.ends == [(1, None), (0, None)]
    assert [text for text in observer.notices if not text.startswith("line ")] == [full]
    lines = [json.loads(line) for line in disk.content.splitlines()]
    assert lines[0] == RoundStarted(round=1, reason=RoundReason.TIME).to_dict() | {"time": lines[0]["time"]}
    last = lines[-301:]
    assert [line.get("round") for line in last[:1]] == [2]
    assert [line["text"] for line in last[1:]] == [f"line {number}" for number in range(300)]


def test_systemd_hears_of_what_takes_long_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would end a service that is well, in the middle of a hook or a large report."""
    alive: list[float] = []

    @contextmanager
    def alive_for(longest: float) -> Iterator[None]:
        alive.append(longest)
        yield
        alive.pop()

    class Slow(Listening):
        longest = 7.0

        def before(self) -> None:
            assert alive == [7.0]

        def after(self, summary: Summary) -> bool:
            assert alive == [7.0]
            return super().after(summary)

    async def replicate(*_args: Any, **_options: Any) -> Summary:
        return Summary(exit_code=0, seconds=1.0, sites={})

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: None)
    monkeypatch.setattr("pmarep.system.service_manager.alive_for", alive_for)
    observer, nothing, output = Slow(), None, LinesOutput(quiet=True, verbose=False)
    assert replication_run.run_replication(nothing, [], None, Path(), output, [observer]) == 0  # type: ignore[arg-type]
    assert observer.ends == [(0, None)]
