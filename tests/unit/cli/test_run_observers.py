"""What goes along with a run hears how it ended, whatever ended it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pmarep import engine
from pmarep.cli import replication_run
from pmarep.cli.render import LinesOutput
from pmarep.cli.run_observers import RunObserver
from pmarep.errors import TargetBusyError
from pmarep.events import Summary


class Listening(RunObserver):
    def __init__(self) -> None:
        self.ends: list[tuple[int, str | None]] = []

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
