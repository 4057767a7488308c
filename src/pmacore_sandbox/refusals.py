"""The exceptions by which the server says no."""

from __future__ import annotations


class Refusal(Exception):
    """A request is refused; the text is what the client is told.

    `status` is the HTTP status of a refused transfer/* call; api/json/* calls answer with the status of the settings
    and `code`: published clients look for refusals in both.
    """

    def __init__(self, message: str, *, status: int = 400, code: int = 1) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class InvalidSession(Refusal):
    """The request has no session, or one that has ended."""

    def __init__(self) -> None:
        super().__init__("Invalid session ID", status=401, code=401)


class NotFoundRefusal(Refusal):
    """The folder, slide or upload that the request names does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=404, code=404)
