"""A PMA.core stand-in for the demo, the docs and the tests: our only server, so it is strict.

It speaks what the clients that PMA.core's maker publishes speak, with real files on disk. What a real server *might*
refuse, it refuses. Faults can be injected while it runs: `faults.py` lists them.
Needs the extra `sandbox` (starlette, uvicorn). To use it:

    from pmacore_sandbox import Settings, serve
    with serve(Settings(data=tmp_path, password="...")) as sandbox:
        print(sandbox.url)
"""

from __future__ import annotations

from .buckets import AzureContainer, S3Bucket, UrlExpiry
from .emulators.gateway import Gateway, StorageRequest
from .emulators.validation import SERVER_BUSY, SLOW_DOWN, AzureValidator, S3Validator
from .faults import (
    CannedResponse,
    Corrupt,
    Delay,
    Drop,
    EndSessions,
    FaultInjector,
    FaultRule,
    Hold,
    IgnoreRanges,
    SaveHalf,
    SlowRead,
    StaleListings,
)
from .forms import FieldType, Form, FormField
from .request_log import LoggedRequest
from .server import Sandbox, run, serve
from .settings import Settings

__all__ = [
    "SERVER_BUSY",
    "SLOW_DOWN",
    "AzureContainer",
    "AzureValidator",
    "CannedResponse",
    "Corrupt",
    "Delay",
    "Drop",
    "EndSessions",
    "FaultInjector",
    "FaultRule",
    "FieldType",
    "Form",
    "FormField",
    "Gateway",
    "Hold",
    "IgnoreRanges",
    "LoggedRequest",
    "S3Bucket",
    "S3Validator",
    "Sandbox",
    "SaveHalf",
    "Settings",
    "SlowRead",
    "StaleListings",
    "StorageRequest",
    "UrlExpiry",
    "run",
    "serve",
]
