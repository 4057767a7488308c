"""How a client logs in at a PMA.core, and the secrets that it has used for that."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ..passwords import Password
from .connection_settings import Connection
from .errors import CredentialsRefused, ProtocolError, Refused
from .http import Request
from .models import Login
from .redact import one_line

log = logging.getLogger(__name__)

CALLER = "pmarep"
# The first version whose `authenticate` takes a POST; older ones want the password in the URL (PMA.UI does the same).
POST_LOGIN_SINCE = (2, 0, 0, 1836)
KNOWN_SESSIONS = 50
"""Ids of so many sessions, the last ones, are hidden in messages: longer ended ones are no secrets any more, and each
costs time with every error."""


class Authenticator:
    """Logs in as one user. Owns the secrets that no message may show: passwords, and ids of sessions.

    `password` is asked at each log-in, `version` at the first one. `ask` sends a request. A user who was turned away
    once is not tried again.
    """

    def __init__(
        self,
        connection: Connection,
        password: Callable[[], Awaitable[str]],
        version: Callable[[], Awaitable[str]],
        ask: Callable[[Request], Awaitable[Any]],
    ) -> None:
        self._connection = connection
        self._password = password
        self._version = version
        self._ask = ask
        self._old: bool | None = None  # whether the server wants passwords in the URL
        self._turned_away: CredentialsRefused | None = None
        self._session_ids: deque[str] = deque()  # those of `secrets` that are session ids, oldest first
        self.secrets: list[str] = []

    async def log_in(self, *, again: bool) -> str:
        """Return the id of a new session; `again`: it is not the first one. Raises CredentialsRefused."""
        if self._turned_away is not None:
            # Asking again, for each of forty sites, would lock the account.
            raise self._turned_away
        if self._old is None:
            version = tuple(map(int, re.findall(r"[0-9]{1,9}", await self._version())[:4]))
            self._old = bool(version) and version < POST_LOGIN_SINCE
        password = await self._password()
        self._keep_secret(password)
        if not _is_text(password):
            raise CredentialsRefused(
                f"the password of {self._connection.username} is not valid text", "set it again as UTF-8"
            )
        who = {"username": self._connection.username, "password": password, "caller": CALLER}
        if self._old:
            request = Request("GET", "api/json/authenticate", who)
        else:
            request = Request("POST", "api/json/authenticate", {"caller": CALLER}, json=who)
        # Sent again after the server has handled it, it would leave a session open that nobody knows.
        request = replace(request, new_connection=again)
        try:
            login = Login.read(await self._ask(request), "authenticate")
        except Refused as error:
            raise self._not_let_in(str(error), password) from None
        if not login.success:
            raise self._not_let_in(login.reason or "no reason given", password)
        if not login.session_id or not _is_text(login.session_id):
            raise ProtocolError(f"{self._connection.url} let {self._connection.username} in but gave no session")
        self._keep_session_id(login.session_id)
        log.info("%s: logged in as %s", self._connection.url, self._connection.username)
        return login.session_id

    def _not_let_in(self, words: str, password: str) -> CredentialsRefused:
        source = password.source if isinstance(password, Password) else "pmarep sites login"
        self._turned_away = CredentialsRefused(
            f"{self._connection.url} does not let {self._connection.username} in ({one_line(words, self.secrets)})",
            f"check user name and password ({source}), or ask the server's administrator",
        )
        return self._turned_away

    def _keep_secret(self, secret: str) -> bool:
        """Hide a secret in messages from now on. Return whether it was not known before."""
        if new := secret not in self.secrets:
            self.secrets.append(secret)
        return new

    def _keep_session_id(self, session: str) -> None:
        """Hide a session id in messages, until `KNOWN_SESSIONS` others have come after it."""
        if self._keep_secret(session):
            self._session_ids.append(session)
            if len(self._session_ids) > KNOWN_SESSIONS:
                self.secrets.remove(self._session_ids.popleft())


def _is_text(password: str) -> bool:
    """Return whether a password is text: a variable or a command may have given bytes that are no UTF-8.

    An encoder's error would quote them all.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True
