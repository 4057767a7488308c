"""How long a node goes on without hearing of its coordinator, and how long the coordinator believes that it does."""

from __future__ import annotations

from typing import NamedTuple


class Lease(NamedTuple):
    """`silence`: seconds without a word of the coordinator, after which a node ends its run. `ending`: seconds after
    which its process has ended then, whatever happens. `margin`: for slow machines.
    """

    silence: float = 15.0
    ending: float = 10.0
    margin: float = 5.0

    @property
    def lost(self) -> float:
        """Seconds after its last answer in which a node may still be sending."""
        return self.silence + self.ending + self.margin
