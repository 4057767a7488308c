"""Everything that can go wrong between us and a PMA.core.

A class says what to do about it, not where it happened: `transient` errors are worth another try, `site_wide` ones
concern every slide of the site.
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import PmarepError


class PmaCoreError(PmarepError):
    """A server could not do what it was asked. The message says what happened; what to do."""

    transient: ClassVar[bool] = False
    site_wide: ClassVar[bool] = False

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)


class Unreachable(PmaCoreError):
    """No connection could be made."""

    transient = True
    site_wide = True


class TlsError(PmaCoreError):
    """The connection is not trusted, so nothing was said over it."""

    site_wide = True


class CertificateRefused(TlsError):
    """The server's certificate is not trusted. `code` is OpenSSL's X509_V_ERR number where OpenSSL has looked."""

    def __init__(self, what: str, advice: str = "", code: int | None = None) -> None:
        super().__init__(what, advice)
        self.code = code


class ProxyRefused(PmaCoreError):
    """The proxy on the way does not let us through."""

    site_wide = True


class CredentialsRefused(PmaCoreError):
    """The server does not let this user in."""

    site_wide = True


class TransferBroken(PmaCoreError):
    """A connection ended, or went silent, in the middle of a request."""

    transient = True


class ServerError(PmaCoreError):
    """The server failed (5xx) or is overloaded (429)."""

    transient = True


class Refused(PmaCoreError):
    """The server understood and said no."""


class PermissionDenied(Refused):
    """The user may not do that there."""


class NotFound(Refused):
    """There is no such path, upload or method."""


class ProtocolError(PmaCoreError):
    """The answer is none that a PMA.core gives."""


class Redirected(ProtocolError):
    """The server sends on to `location`, which may hold secrets: never shown as it is."""

    def __init__(self, what: str, advice: str, location: str) -> None:
        super().__init__(what, advice)
        self.location = location
