"""Plans and runs: finds what each site lacks, sends it, verifies it. Emits events and prints nothing."""

from .api import replicate_events, replicate_sync
from .options import Existing, Options, Verify
from .run import replicate

__all__ = ["Existing", "Options", "Verify", "replicate", "replicate_events", "replicate_sync"]
