"""One session per server and user, however many sites they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from ..pmacore import Connection, PmaCore
from ..retry import Retry
from ..sites import Site
from ..sites.credentials import password_of_any
from ..sites.network import connection_of
from .threads import in_thread

LAST_WORD_SECONDS = 0.2  # Ctrl-C ends a password_command too, whose end may be heard of first


class Passwords(Protocol):
    """Where passwords come from; may block, so it is asked in a thread."""

    def password_for(self, site: Site) -> str:
        """Raises CredentialsError."""


class Sessions:
    """Hands out a PmaCore per site; equal connections get the same one, with the password of any of their sites."""

    def __init__(self, sites: Iterable[Site], passwords: Passwords, new_retry: Callable[[], Retry]) -> None:
        self._passwords = passwords
        self._new_retry = new_retry
        self._sites: dict[Connection, list[Site]] = {}
        for site in sites:
            self._sites.setdefault(connection_of(site), []).append(site)
        self._cores: dict[Connection, PmaCore] = {}

    def check_connections(self) -> None:
        """What is wrong with the way to any of them is said before anything is sent. Raises ConfigError."""
        for connection in self._sites:
            connection.check()

    async def check_passwords(self, stop: asyncio.Event) -> bool:
        """Ask for every password once before anything is sent; False if `stop` came first. Raises CredentialsError."""

        def ask() -> None:
            for sites in self._sites.values():
                password_of_any(self._passwords.password_for, sites)

        asking, stopped = asyncio.create_task(in_thread(ask)), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({asking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and asking.exception() is not None:
                await asyncio.wait({stopped}, timeout=LAST_WORD_SECONDS)
            if not stop.is_set():
                await asking
            return not stop.is_set()
        finally:
            asking.cancel()
            stopped.cancel()
            await asyncio.gather(asking, stopped, return_exceptions=True)

    async def _password(self, connection: Connection) -> str:
        return await asyncio.to_thread(password_of_any, self._passwords.password_for, self._sites[connection])

    def core(self, site: Site) -> PmaCore:
        connection = connection_of(site)
        if connection not in self._cores:
            self._cores[connection] = PmaCore(
                connection, lambda: self._password(connection), patience=self._new_retry()
            )
        return self._cores[connection]

    async def close(self) -> None:
        """Log out everywhere, whatever happened. Raises nothing."""
        await asyncio.gather(*(core.close() for core in self._cores.values()), return_exceptions=True)
