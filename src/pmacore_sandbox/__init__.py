"""A PMA.core stand-in for the demo, the docs and the tests: our only server, so it is strict.

It speaks what the clients that PMA.core's maker publishes speak (see the README, "Architecture"), with real files on
disk. What a real server *might* refuse, it refuses.
Needs the extra `sandbox` (starlette, uvicorn). The public face:

    from pmacore_sandbox import Settings, serve
    with serve(Settings(data=tmp_path, password="...")) as sandbox:
        print(sandbox.url)
"""

from __future__ import annotations

from .buckets import AzureBackend, S3Backend, UrlTimes
from .emulators.gateway import Gateway, StorageRequest
from .emulators.validation import SERVER_BUSY, SLOW_DOWN, AzureGate, S3Gate
from .faults import Answer, Corrupt, Delay, Drop, EndSession, Faults, Hold, Lag, Rule, SlowRead
from .request_log import LoggedRequest
from .server import Sandbox, run, serve
from .settings import Settings

__all__ = [
    "SERVER_BUSY",
    "SLOW_DOWN",
    "Answer",
    "AzureBackend",
    "AzureGate",
    "Corrupt",
    "Delay",
    "Drop",
    "EndSession",
    "Faults",
    "Gateway",
    "Hold",
    "Lag",
    "LoggedRequest",
    "Rule",
    "S3Backend",
    "S3Gate",
    "Sandbox",
    "Settings",
    "SlowRead",
    "StorageRequest",
    "UrlTimes",
    "run",
    "serve",
]
