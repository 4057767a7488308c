"""One session per server and user, however many sites they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from ..pmacore import Connection, PmaCore
from ..retry import Retry
from ..sites import Site
from ..sites.network import connection_of


class Passwords(Protocol):
    """Where passwords come from; may block, so it is asked in a thread."""

    def password_for(self, site: Site) -> str:
        """Raises CredentialsError."""


class Sessions:
    """Hands out a PmaCore per site; equal connections get the same one."""

    def __init__(self, passwords: Passwords, new_retry: Callable[[], Retry]) -> None:
        self._passwords = passwords
        self._new_retry = new_retry
        self._cores: dict[Connection, PmaCore] = {}

    async def check_passwords(self, sites: Iterable[Site]) -> None:
        """Ask for every password once before anything is sent. Raises CredentialsError."""
        for site in {connection_of(site): site for site in sites}.values():
            await asyncio.to_thread(self._passwords.password_for, site)

    def core(self, site: Site) -> PmaCore:
        async def password() -> str:
            return await asyncio.to_thread(self._passwords.password_for, site)

        connection = connection_of(site)
        if connection not in self._cores:
            self._cores[connection] = PmaCore(connection, password, patience=self._new_retry())
        return self._cores[connection]

    async def close(self) -> None:
        """Log out everywhere, whatever happened. Raises nothing."""
        await asyncio.gather(*(core.close() for core in self._cores.values()), return_exceptions=True)
