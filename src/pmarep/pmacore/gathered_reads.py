"""Read the body of an answer in few reads: each costs 0.1 ms of CPU time, whether a packet has come or a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx

from .socket_options import HttpClient
from .transport_errors import TRANSPORT_ERRORS

SMALL_READ = 128 * 1024
"""Bytes. A connection that gives fewer is read faster than it brings them."""

SMALL_ANSWER = 64 * 1024
"""Bytes that are read as they come, since there may be no more."""

PAUSE = 0.02
"""Seconds at most that such a connection is left alone, so that more comes together: half a round trip, since TCP would
hold its window small for more."""

SHORT_ROUND_TRIP = 0.01
"""Seconds of round trip below which all is read as it comes."""


def pause_between_reads(client: httpx.AsyncClient) -> float:
    """Return how many seconds a client waits between small reads from its server, 0.0 for not at all."""
    round_trip = client.round_trip.seconds if isinstance(client, HttpClient) else None
    return 0.0 if round_trip is None or round_trip < SHORT_ROUND_TRIP else min(PAUSE, round_trip / 2)


async def iter_gathered(response: httpx.Response, size: int, pause: float) -> AsyncGenerator[bytes, None]:
    """Yield the body of an answer, as it is packed, in chunks of `size` bytes or a read more; the last is shorter.

    Where it breaks off, what has come before is yielded too.
    """
    read: list[bytes] = []
    count = 0
    try:
        async for data in response.aiter_raw():
            read.append(data)
            count += len(data)
            if count >= size:
                yield b"".join(read)
                read, count = [], 0
            elif pause and len(data) < SMALL_READ and response.num_bytes_downloaded > SMALL_ANSWER:
                await asyncio.sleep(pause)
    except TRANSPORT_ERRORS:
        if read:
            yield b"".join(read)
        raise
    if read:
        yield b"".join(read)
