"""Everything that can go wrong between us, a PMA.core and the storage behind it: the table of what happens then.

A class says what to do about it (`remedy`), not where it happened.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from ..errors import PmarepError, Remedy


class PmaCoreError(PmarepError):
    """A server could not do what it was asked. The message says what happened; what to do."""

    better_url: str | None = None
    """Another url of the same host that is no less safe, and should be used instead."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)


class Unreachable(PmaCoreError):
    """No connection could be made."""

    remedy = Remedy.RETRY


class TransferBroken(PmaCoreError):
    """A connection ended, or went silent, in the middle of a request."""

    remedy = Remedy.RETRY


class TooSlow(TransferBroken):
    """An answer was given up although its server was not silent. `took`: after how many seconds."""

    def __init__(self, what: str, took: float) -> None:
        super().__init__(what)
        self.took = took


class ServerError(PmaCoreError):
    """The server failed (5xx) or is overloaded (429).

    `retry_after`: seconds that it asks us to wait, or None. `may_be_refusal`: ASP.NET says 500 of much that it does not
    want or does not find; 429, 502, 503 and 504 are about the server itself. `by_proxy`: 502 and 504 come from a proxy
    that has not heard from the server, which may have done all that it was asked.
    """

    remedy = Remedy.RETRY

    def __init__(
        self,
        what: str,
        advice: str = "",
        *,
        retry_after: float | None = None,
        may_be_refusal: bool = False,
        by_proxy: bool = False,
    ) -> None:
        super().__init__(what, advice)
        self.retry_after = retry_after
        self.may_be_refusal = may_be_refusal
        self.by_proxy = by_proxy


class Damaged(PmaCoreError):
    """A body that arrived damaged: the storage compared its MD5."""

    remedy = Remedy.RETRY


class TlsError(PmaCoreError):
    """The connection is not trusted, so nothing was said over it."""

    remedy = Remedy.STOP_SITE


class CertificateRefused(TlsError):
    """The server's certificate is not trusted.

    `code` is OpenSSL's X509_V_ERR number where OpenSSL has looked, `words` what it or the system says.
    """

    def __init__(self, what: str, advice: str = "", code: int | None = None, words: str = "") -> None:
        super().__init__(what, advice)
        self.code = code
        self.words = words


class ProxyRefused(PmaCoreError):
    """The proxy on the way does not let us through."""

    remedy = Remedy.STOP_SITE


class CredentialsRefused(PmaCoreError):
    """The server does not let this user in."""

    remedy = Remedy.STOP_SITE


class SessionLost(PmaCoreError):
    """A server that has ended one session after the other."""

    remedy = Remedy.RETRY


class Refused(PmaCoreError):
    """A refusal by a server that has understood the request."""


class TargetMissing(PmaCoreError):
    """The site's root-directory is not there: no slide can come to this site."""

    remedy = Remedy.STOP_SITE


class StorageFull(Refused):
    """The disk, the bucket's or the root-directory's quota at the site is full."""

    remedy = Remedy.STOP_SITE


class TooLarge(Refused):
    """The server takes no file of this size."""


class PermissionDenied(Refused):
    """The user may not do that there."""


class NotFound(Refused):
    """There is no such path, upload or method."""

    remedy = Remedy.ANNOUNCE  # of an upload; where no slide is being sent, it is the end of the question


class AnnounceAgain(PmaCoreError):
    """The URLs of this announcement are of no more use; a new announcement brings new ones."""

    remedy = Remedy.ANNOUNCE


class UploadDoubtful(AnnounceAgain):
    """The session in which an upload was announced has ended. If the server has restarted, its id may be another's."""


class BlocksLost(PmaCoreError):
    """Azure no longer has blocks that it had acknowledged: another commit discards them, and so do 7 days."""


class Overtaken(PmaCoreError):
    """While a slide was being sent, another one has come to its name. Nothing of that was replaced."""


class NotArrived(PmaCoreError):
    """Sent, but the server does not have it as it should be: the next run sends it again, whole."""


class Unreadable(NotArrived):
    """All its bytes are there, and the server can make nothing of them: sending them again would change nothing."""


class ProtocolError(PmaCoreError):
    """The answer is none that a PMA.core gives."""

    def __init__(self, what: str, advice: str = "") -> None:
        plain = type(self) is ProtocolError
        super().__init__(what, advice or ("if that stays so, ask the server's administrator" if plain else ""))


class RangeRefused(ProtocolError):
    """A server that does not give back the part of a file that was asked for. The whole file may still be had."""


class FileChanged(ProtocolError):
    """A file at the server is no longer the one of which a part was had before, or of the size that was listed."""


class Intercepted(ProtocolError):
    """Something in between answered, or sends elsewhere: a sign-in page, a firewall; or the url is wrong.

    `status` is HTTP's. `may_be_refusal`: it may be what is in this one request that it does not let through.
    """

    remedy = Remedy.RETRY

    def __init__(self, what: str, advice: str = "", *, status: int = 200, may_be_refusal: bool = False) -> None:
        super().__init__(what, advice)
        self.status = status
        self.may_be_refusal = may_be_refusal


def another_certificate(error: CertificateRefused, url: str) -> Intercepted:
    """Return the error for a server whose certificate was right a while ago: a captive portal shows its own."""
    return Intercepted(
        f"something between here and {url} shows a certificate of its own ({error.words or 'not trusted'})",
        "if that stays so, ask who runs the network, or whether the server's certificate was changed or has expired",
    )


class Redirected(ProtocolError):
    """The server sends on to `location`, which may hold secrets: never shown as it is."""

    def __init__(self, what: str, advice: str, location: str) -> None:
        super().__init__(what, advice)
        self.location = location

    def leads_away_from(self, url: str) -> bool:
        """Return whether the redirect goes to another host. A server's own redirects, to https or a log-in, do not."""
        try:
            return urlsplit(urljoin(url, self.location)).hostname != urlsplit(url).hostname
        except ValueError:
            return True
