"""Fixtures for tests with faults between client and sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud import CloudSandbox, StartCloud
from desk import Desk
from wire import Wire

from pmacore_sandbox.emulators.processes import ACCOUNT

from .proxy import FaultProxy


class Weathered:
    """A cloud sandbox with a proxy before its PMA.core, and one before each storage."""

    def __init__(self, cloud: CloudSandbox, core: FaultProxy, s3: FaultProxy, azure: FaultProxy) -> None:
        self.cloud = cloud
        self.core = core
        self.s3 = s3
        self.azure = azure

    @property
    def proxies(self) -> list[FaultProxy]:
        return [self.core, self.s3, self.azure]

    def storage(self, root: str) -> FaultProxy:
        """Before the storage behind a root-directory."""
        return {"Cloud": self.s3, "Blobs": self.azure}.get(root, self.core)


StartWeathered = Callable[..., Weathered]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture
def weathered(wire: Wire, cloud_sandbox: StartCloud) -> StartWeathered:
    """`weathered("tokyo", azure=False)`: as `cloud_sandbox`, all URLs leading through proxies that are calm yet."""

    def start(name: str, *, azure: bool = True, part_size: int | None = None) -> Weathered:
        core, s3, blobs = (FaultProxy(wire) for _ in range(3))
        # The Host of a request is part of S3's signature, so the URLs are signed for the proxy.
        s3_options = {"public_endpoint": s3.origin} | ({} if part_size is None else {"part_size": part_size})
        started = cloud_sandbox(
            name, azure=azure, s3_options=s3_options, azure_options={"public_endpoint": f"{blobs.origin}/{ACCOUNT}"}
        )
        core.target, s3.target = started.sandbox.url, started.s3.url
        if azure:
            blobs.target = started.azure.url
        return Weathered(started, core, s3, blobs)

    return start


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: the journal of a push waits for the disk, and this is about hundreds of them."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)
