"""Plans and runs: finds what each site lacks, sends it, verifies it. Emits events and prints nothing."""

from .options import Existing, Options, Verify
from .run import replicate

__all__ = ["Existing", "Options", "Verify", "replicate"]
