"""The lines of the audit on their way from a node to the coordinator."""

from __future__ import annotations

import asyncio

from pmarep.nodes.messages import Message
from pmarep.nodes.node_run import AuditRelay


async def test_a_line_that_has_to_be_on_disk_is_waited_for() -> None:
    said: list[Message] = []
    relay = AuditRelay(said.append)
    await relay.write({"slide": "a"}, on_disk=False)
    writing = asyncio.create_task(relay.write({"slide": "b"}, on_disk=True))
    for lines in (0, 1):
        await asyncio.sleep(0)
        relay.written(lines)
        await asyncio.sleep(0)
        assert not writing.done()
    relay.written(2)
    await writing
    assert [(one["line"]["slide"], one["on_disk"]) for one in said] == [("a", False), ("b", True)]
