"""One session per server and user, however many sites they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import inf
from typing import Any, Protocol

from ..daemon_thread import in_thread
from ..errors import CredentialsError
from ..pmacore import Connection, PmaCore
from ..retry import Retry
from ..sites import Site
from ..sites.credentials import password_of_any
from ..sites.site_connection import connection_of

LAST_WORD_SECONDS = 0.2  # Ctrl-C ends a password_command too, whose end may be heard of first


Wait = Callable[[set[asyncio.Task[Any]], Callable[[], str]], Awaitable[bool]]
"""Waits until one of the tasks is done; whether one was. The words say what is waited for."""


class Passwords(Protocol):
    """Where passwords come from; may block, so it is asked in a thread."""

    def password_for(self, site: Site) -> str:
        """Return the password of a site. Raises CredentialsError."""


class SessionPool:
    """Hands out a PmaCore per site; equal connections get the same one, with the password of any of their sites.

    An answer of any may take `longest` seconds.
    """

    def __init__(
        self, sites: Iterable[Site], passwords: Passwords, new_retry: Callable[[], Retry], longest: float = inf
    ) -> None:
        self._passwords = passwords
        self._new_retry = new_retry
        self._longest = longest
        self._sites: dict[Connection, list[Site]] = {}
        for site in sites:
            self._sites.setdefault(connection_of(site), []).append(site)
        self._cores: dict[Connection, PmaCore] = {}

    def check_connections(self) -> None:
        """Check the settings of all connections before anything is sent. Raises ConfigError."""
        for connection in self._sites:
            connection.check()

    async def check_passwords(self, stop: asyncio.Event, wait: Wait) -> dict[str, str] | None:
        """Ask for every password once before anything is sent. Raises CredentialsError where there is none at all.

        Why the others have none, by the names of their sites; None if `stop` came first. `wait` is how long that may
        take, and hears whose password is waited for.
        """
        missing: dict[str, CredentialsError] = {}
        asked: list[list[Site]] = []

        def ask() -> None:
            for sites in self._sites.values():
                asked.append(sites)
                try:
                    password_of_any(self._passwords.password_for, sites)
                except CredentialsError as error:
                    missing.update({site.name: error for site in sites})

        asking, stopped = asyncio.create_task(in_thread(ask)), asyncio.create_task(stop.wait())
        try:
            in_time = await wait({asking, stopped}, lambda: _whose(asked))
            if missing:
                await asyncio.wait({stopped}, timeout=LAST_WORD_SECONDS)
            if stop.is_set():
                return None
            if in_time:
                await asking
            else:
                late = CredentialsError(f"{_whose(asked)} did not come in time")
                unasked = [site for sites in list(self._sites.values())[max(len(asked) - 1, 0) :] for site in sites]
                missing.update({site.name: late for site in unasked})
        finally:
            asking.cancel()
            stopped.cancel()
            await asyncio.gather(asking, stopped, return_exceptions=True)
        if missing and len(missing) == sum(map(len, self._sites.values())):
            raise next(iter(missing.values()))
        return {name: str(error) for name, error in missing.items()}

    async def _password(self, connection: Connection) -> str:
        return await asyncio.to_thread(password_of_any, self._passwords.password_for, self._sites[connection])

    def core(self, site: Site) -> PmaCore:
        connection = connection_of(site)
        if connection not in self._cores:
            self._cores[connection] = PmaCore(
                connection, lambda: self._password(connection), retry=self._new_retry(), longest=self._longest
            )
        return self._cores[connection]

    async def close(self) -> None:
        """Log out everywhere at once, whatever happened. Raises nothing."""
        await asyncio.gather(*(core.close() for core in self._cores.values()), return_exceptions=True)


def _whose(asked: Sequence[Sequence[Site]]) -> str:
    return f"the password of {' or '.join(site.name for site in asked[-1])}" if asked else "the passwords"
