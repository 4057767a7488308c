"""Fixtures for tests with faults between client and sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.cloud import CloudSandbox, StartCloud
from support.fault_proxy import FaultProxy
from support.network import Network
from support.push_cli import PushCli

from pmacore_sandbox.emulators.processes import ACCOUNT


class ProxiedCloud:
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


StartProxiedCloud = Callable[..., ProxiedCloud]


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def proxied_cloud(network: Network, cloud_sandbox: StartCloud) -> StartProxiedCloud:
    """`proxied_cloud("tokyo", azure=False)`: as `cloud_sandbox`, all URLs leading through proxies that are calm yet."""

    def start(name: str, *, azure: bool = True, part_size: int | None = None) -> ProxiedCloud:
        core, s3, blobs = (FaultProxy(network) for _ in range(3))
        # The Host of a request is part of S3's signature, so the URLs are signed for the proxy.
        s3_options = {"public_endpoint": s3.origin} | ({} if part_size is None else {"part_size": part_size})
        started = cloud_sandbox(
            name, azure=azure, s3_options=s3_options, azure_options={"public_endpoint": f"{blobs.origin}/{ACCOUNT}"}
        )
        core.target, s3.target = started.sandbox.url, started.s3.url
        if azure:
            blobs.target = started.azure.url
        return ProxiedCloud(started, core, s3, blobs)

    return start


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: the journal of a push waits for the disk, and this is about hundreds of them."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)
