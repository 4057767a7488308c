"""A PMA.core stand-in for the demo, the docs and the tests: our only server, so it is strict.

It speaks what protocol.md says PMA.core speaks, with real files on disk. What a real server *might* refuse, it refuses.
Needs the extra `sandbox` (starlette, uvicorn). The public face:

    from pmarep.sandbox import Settings, serve
    with serve(Settings(data=tmp_path, password="...")) as sandbox:
        print(sandbox.url)
"""

from __future__ import annotations

from .faults import Answer, Corrupt, Delay, Drop, EndSession, Faults, Hold, Rule, SlowRead
from .requests import LoggedRequest
from .server import Sandbox, run, serve
from .settings import Settings

__all__ = [
    "Answer",
    "Corrupt",
    "Delay",
    "Drop",
    "EndSession",
    "Faults",
    "Hold",
    "LoggedRequest",
    "Rule",
    "Sandbox",
    "Settings",
    "SlowRead",
    "run",
    "serve",
]
