"""Plans and runs: finds what each site lacks, sends it, verifies it. Emits events and prints nothing."""

from .options import Existing, Options, Verify
from .run import replicate
from .sessions import Passwords, Sessions, connection_of

__all__ = ["Existing", "Options", "Passwords", "Sessions", "Verify", "connection_of", "replicate"]
