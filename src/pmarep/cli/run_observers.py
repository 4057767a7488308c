"""The interface of what goes along with a run besides its output, such as hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..events import Event, Summary


class RunObserver:
    """Hears of one push, verify or pull, from before its beginning to after its end. This one does nothing.

    `longest`: seconds that `before` or `after` may take; a service manager takes it for a hang only after that.
    """

    longest = 600.0

    def before(self) -> None:
        """Act before the run begins, and before any output of it. Raises UsageError where that cannot be."""

    def handle(self, event: Event) -> None:
        """Hear an event. Called for each, in order, in the run's event loop, so it has to be quick."""

    def after(self, summary: Summary) -> bool:  # noqa: ARG002  (for those that do something)
        """Act after the run and its output have ended, also where the run could not begin.

        Return False where something that was asked for could not be written: exit code 0 becomes 1 then.
        """
        return True
