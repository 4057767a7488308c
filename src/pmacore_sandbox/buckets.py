"""Settings of root-directories in S3 and Azure: bucket or container, its key, and how long signed URLs live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from pmarep.errors import UsageError

MIB = 1024**2


@dataclass(frozen=True)
class S3Bucket:
    """An S3 bucket, or a prefix in one, and the key to it. Sizes in bytes.

    `public_endpoint` is the address in presigned URLs where clients come by another one than `endpoint`: a signature
    holds for one address.
    """

    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    endpoint: str | None = None  # None: Amazon's own for the region
    region: str = "us-east-1"
    prefix: str = ""  # of all keys, e.g. "slides/"
    part_size: int = 8 * MIB
    multipart_above: int | None = None  # larger files come in parts; None: those of more than one part
    multipart: bool = True  # False: an old server, which knows no MultipartFiles
    public_endpoint: str | None = None

    def __post_init__(self) -> None:
        if self.part_size < 1:
            raise UsageError("parts of 0 bytes would never end; S3 takes 5M and more")

    @classmethod
    def from_environment(
        cls, where: str, environ: Mapping[str, str], *, endpoint: str | None = None, part_size: int = 8 * MIB
    ) -> Self:
        """Return a bucket by `where` (BUCKET or BUCKET/PREFIX) and the key in Amazon's variables. Raises UsageError."""
        bucket, prefix = _split_prefix(where)
        try:
            access, secret = environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
        except KeyError as error:
            raise UsageError(f"a root-directory in S3 needs a key; set {error.args[0]}") from None
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return cls(bucket, access, secret, endpoint, region, prefix, part_size)

    @property
    def threshold(self) -> int:
        """The size above which a file is uploaded in parts, in bytes."""
        return self.part_size if self.multipart_above is None else self.multipart_above


@dataclass(frozen=True)
class AzureContainer:
    """An Azure container, or a prefix in one, and the key to its account.

    `endpoint` is the blob service's, e.g. https://account.blob.core.windows.net; `public_endpoint` as in S3Bucket.
    """

    container: str
    account: str
    key: str = field(repr=False)
    endpoint: str
    prefix: str = ""
    raw_spaces: bool = False  # leave spaces in the URLs unencoded, as some servers do (`pma_python` encodes them)
    public_endpoint: str | None = None

    @classmethod
    def from_environment(cls, where: str, environ: Mapping[str, str], *, endpoint: str | None = None) -> Self:
        """Return a container by `where` (CONTAINER or CONTAINER/PREFIX) and the key in Azure's usual variables.

        Raises UsageError.
        """
        container, prefix = _split_prefix(where)
        text = environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
        told = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        account = told.get("AccountName") or environ.get("AZURE_STORAGE_ACCOUNT")
        key = told.get("AccountKey") or environ.get("AZURE_STORAGE_KEY")
        if not account or not key:
            raise UsageError(
                "a root-directory in Azure needs a key; set AZURE_STORAGE_CONNECTION_STRING, "
                "or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY"
            )
        scheme, suffix = told.get("DefaultEndpointsProtocol", "https"), told.get("EndpointSuffix", "core.windows.net")
        url = endpoint or told.get("BlobEndpoint") or f"{scheme}://{account}.blob.{suffix}"
        return cls(container, account, key, url.rstrip("/"), prefix)


def _split_prefix(where: str) -> tuple[str, str]:
    """Split BUCKET/PREFIX; the prefix ends in `/` or is empty."""
    bucket, slash, prefix = where.partition("/")
    return bucket, prefix.strip("/") + slash if prefix.strip("/") else ""


Bucket = S3Bucket | AzureContainer


class UrlExpiry:
    """The lifetime of signed URLs, and the clock of those who sign and who check them.

    Both can be changed while servers run: that is how tests let URLs expire without waiting.
    """

    def __init__(self, lifetime: int = 3600) -> None:
        self._lifetime = self._longest = lifetime
        self._clock_offset = 0

    @property
    def lifetime(self) -> int:
        """Seconds, of the URLs that are signed from now on."""
        return self._lifetime

    @lifetime.setter
    def lifetime(self, seconds: int) -> None:
        self._lifetime = seconds
        self._longest = max(self._longest, seconds)

    def now(self) -> datetime:
        """Return the time by this clock, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._clock_offset)

    @property
    def end(self) -> datetime:
        """The moment at which a URL signed now expires."""
        return self.now() + timedelta(seconds=self._lifetime)

    def expire(self) -> None:
        """Set the clock ahead, so that every URL signed so far has expired."""
        self._clock_offset += self._longest + 1
