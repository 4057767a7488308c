"""`--json`: one event a line on stdout, for scripts."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType

from ...events import Event, SlideFinished, SlideStatus
from .base import Output


class JsonOutput(Output):
    """Prints JSON lines; those of slides that are skipped in one turn of the event loop go out in one write."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()

    def handle(self, event: Event) -> None:
        # ASCII only: a log shipper or an old terminal may know no other encoding.
        self._held.append(json.dumps(event.to_dict()))
        if isinstance(event, SlideFinished) and event.status is SlideStatus.SKIPPED:
            if len(self._held) == 1:
                # At the end of this turn of the event loop, so before anything else is waited for.
                asyncio.get_running_loop().call_soon(self._write)
        else:
            self._write()

    def _write(self) -> None:
        held, self._held = self._held, []
        if held:
            self.write_line("\n".join(held))
