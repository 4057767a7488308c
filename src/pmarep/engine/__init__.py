"""Plans and runs: finds what each site lacks, sends it, verifies it. Emits events and prints nothing."""

from ..sites.network import connection_of
from .options import PATIENCE, Existing, Options, Verify
from .run import replicate
from .sessions import Passwords, Sessions

__all__ = ["PATIENCE", "Existing", "Options", "Passwords", "Sessions", "Verify", "connection_of", "replicate"]
