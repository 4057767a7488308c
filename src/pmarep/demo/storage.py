"""The storage of the demo's servers: one class for each storage kind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pmacore_sandbox.buckets import MIB, Bucket, UrlExpiry
from pmacore_sandbox.emulators.buckets import create_bucket, create_container
from pmacore_sandbox.emulators.gateway import Gateway
from pmacore_sandbox.emulators.processes import ACCOUNT, azurite, moto
from pmacore_sandbox.emulators.validation import AzureValidator, RequestValidator, S3Validator

PART_SIZE = 5 * MIB
"""Of S3's parts: the smallest that S3 takes, so that slides of 13 MB have several."""


class DemoStorage:
    """Storage on disk, in the servers' own data folders; the other kinds are subclasses. Close it after the servers."""

    description = ""
    """A sentence for the user about where the slides are kept."""
    unit = ""
    """The plural of what larger files are sent in: parts or blocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def settings(self, _site: str, _root: str, rate: float | None) -> dict[str, Any]:
        """Return the settings of a server with its root-directory in this storage; `rate` in bytes per second."""
        return {"rate": rate}

    def remove_rate_limits(self) -> None:
        """Remove the limits of this storage; the servers have their own."""

    def ask_to_stop(self) -> None:
        """Begin to close, without waiting."""

    def unit_counts(self) -> dict[str, int]:
        """Return how many parts or blocks each site has taken; empty where files come whole."""
        return {}


class _EmulatedStorage(DemoStorage):
    """One emulator, and in front of it a gateway for each site with the rate limit of the site."""

    def _emulator(self) -> AbstractContextManager[str]:
        raise NotImplementedError

    def _open(self, emulator: str, gateway: str, times: UrlExpiry) -> tuple[Bucket, RequestValidator]:
        """Make a bucket or container and the validator of requests to it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._gateways: dict[str, Gateway] = {}
        self._closing = ExitStack()
        self._url = self._closing.enter_context(self._emulator())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ask_to_stop()
        self._closing.close()

    def settings(self, site: str, root: str, rate: float | None) -> dict[str, Any]:
        gateway = self._gateways[site] = Gateway(self._url.removesuffix("/" + ACCOUNT), rate=rate)
        self._closing.callback(gateway.stop)
        times = UrlExpiry()
        backend, validator = self._open(self._url, gateway.url, times)
        gateway.start(validator)
        return {"cloud": {root: backend}, "url_expiry": times}

    def remove_rate_limits(self) -> None:
        for gateway in self._gateways.values():
            gateway.remove_rate_limit()

    def ask_to_stop(self) -> None:
        for gateway in self._gateways.values():
            gateway.ask_to_stop()

    def unit_counts(self) -> dict[str, int]:
        return {
            site: sum(
                request.method == "PUT" and 200 <= request.status < 300 and request.part not in ("", "blocklist")
                for request in gateway.requests
            )
            for site, gateway in self._gateways.items()
        }


class _S3(_EmulatedStorage):
    description = "Their root-directories are buckets of moto's S3 server."
    unit = "parts"

    def _emulator(self) -> AbstractContextManager[str]:
        return moto(folder=self.folder)

    def _open(self, emulator: str, gateway: str, times: UrlExpiry) -> tuple[Bucket, RequestValidator]:
        backend = create_bucket(emulator, gateway, part_size=PART_SIZE)
        return backend, S3Validator(backend, times)


class _Azure(_EmulatedStorage):
    description = "Their root-directories are containers of Azurite, Azure's emulator."
    unit = "blocks"

    def _emulator(self) -> AbstractContextManager[str]:
        return azurite(folder=self.folder)

    def _open(self, emulator: str, gateway: str, times: UrlExpiry) -> tuple[Bucket, RequestValidator]:
        backend = create_container(emulator, gateway)
        return backend, AzureValidator(backend, times)


STORAGE_KINDS: dict[str, Callable[[Path], DemoStorage]] = {"filesystem": DemoStorage, "s3": _S3, "azure": _Azure}
"""The class of each storage kind; it keeps its own files in the given folder."""
