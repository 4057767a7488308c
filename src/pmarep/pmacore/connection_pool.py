"""A pool of kept HTTP/1.1 connections, from which each request takes one of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpcore


class ConnectionPool:
    """Gives each request a kept connection to its origin, or a new one. Any number may be in use.

    httpcore makes the connections, also those by way of a proxy. Its own pool looks at each of them several times with
    each request, and gives one that is free to several requests at once, so that all but one ask again: with 32
    connections a fifth of the CPU time of a push of small slides. `kept`: how many may be free to each origin.
    """

    def __init__(self, connections: httpcore.AsyncConnectionPool, kept: int) -> None:
        self._connections = connections
        self._kept = kept
        self._free: dict[tuple[bytes, bytes, int], deque[httpcore.AsyncConnectionInterface]] = {}
        self._taken: set[httpcore.AsyncConnectionInterface] = set()

    @asynccontextmanager
    async def connection(self, origin: httpcore.Origin) -> AsyncIterator[httpcore.AsyncConnectionInterface]:
        """Take a connection for the request that the block sends. It is given back where that fails.

        Else it is to be given back when the answer has been read.
        """
        connection = await self._take(origin)
        try:
            yield connection
        except BaseException:
            await self.give_back(connection, origin)
            raise

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """Take the connection that was used last, and close those that nobody has used for long."""
        free = self._free_to(origin)
        while free and free[0].has_expired():
            await _close(free.popleft())
        connection = None
        while free and connection is None:
            connection = free.pop()
            if connection.has_expired():
                await _close(connection)
                connection = None
        if connection is None:
            connection = self._connections.create_connection(origin)
        self._taken.add(connection)
        return connection

    async def give_back(self, connection: httpcore.AsyncConnectionInterface, origin: httpcore.Origin) -> None:
        """Keep a connection for the next request, if its last one has come to an end and it is not closed."""
        self._taken.discard(connection)
        free = self._free_to(origin)
        if connection.is_available() and len(free) < self._kept:
            free.append(connection)
        else:
            await _close(connection)

    def _free_to(self, origin: httpcore.Origin) -> deque[httpcore.AsyncConnectionInterface]:
        return self._free.setdefault((origin.scheme, origin.host, origin.port), deque())

    async def aclose(self) -> None:
        """Close all connections."""
        every = [*self._taken, *(connection for free in self._free.values() for connection in free)]
        self._taken.clear()
        self._free.clear()
        for connection in every:
            await _close(connection)


async def _close(connection: httpcore.AsyncConnectionInterface) -> None:
    with anyio.CancelScope(shield=True):
        await connection.aclose()
