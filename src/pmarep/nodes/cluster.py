"""The cluster that carries a run: which workers there are, and messages to them. Everything of Dask is here."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..errors import PmarepError, UsageError
from . import worker
from .messages import NodeTask

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 3.0
"""For an answer, which takes milliseconds; the scheduler itself tries for half a minute to reach a dead worker."""
UPLINK = "uplink"
"""The resource of a worker that stands for the line it sends over: one node for each."""

LOCAL_WORKERS = 4


class ClusterWorker(NamedTuple):
    """A worker: its address, and what people call it."""

    address: str
    name: str


class ClusterError(PmarepError):
    """A worker, or the whole cluster, does not answer."""


class Cluster(Protocol):
    """Workers that can have a node each."""

    @property
    def gone(self) -> bool:
        """True while there is no connection to the scheduler."""

    async def workers(self) -> list[ClusterWorker]:
        """Return the workers that may have a node. Raises ClusterError."""

    def start(self, at: ClusterWorker, key: str, task: NodeTask) -> None:
        """Start a node, once the worker has room for it."""

    async def exchange(
        self, at: ClusterWorker, key: str, confirmed: int, heard: int, first: int, said: Sequence[str], seconds: float
    ) -> dict[str, Any]:
        """Exchange messages with a node, as nodes/worker.py says. Raises ClusterError."""

    def release(self, key: str) -> None:
        """Take back a node that has not been started, and forget it."""

    async def close(self) -> None:
        """Let go of it; a local one ends."""


class DaskCluster:
    """A cluster of Dask: a scheduler's address, a scheduler file, or `local` for one on this machine only."""

    def __init__(self, client: Any, local: Any, where: str) -> None:
        self._client = client
        self._local = local
        self._where = where
        self._tasks: dict[str, Any] = {}

    @classmethod
    async def connect(cls, scheduler: str | None, scheduler_file: Path | None) -> DaskCluster:
        """Connect to the scheduler, or start a local one. Raises UsageError where that is not possible."""
        distributed = _distributed()
        if scheduler_file is not None:
            scheduler, where = address_in(scheduler_file), f"the scheduler of {scheduler_file}"
        elif scheduler == "local":
            where = "the local cluster"
        else:
            where = f"the scheduler {scheduler}"
        local = None
        try:
            if scheduler == "local":
                with _signals_stay_here():
                    local = await distributed.LocalCluster(
                        n_workers=min(LOCAL_WORKERS, max(2, os.cpu_count() or 1)), threads_per_worker=1,
                        processes=True, host="127.0.0.1", dashboard_address=None, asynchronous=True, silence_logs=50,
                    )  # fmt: skip
            client = await distributed.Client(
                local or scheduler, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError, TypeError, RuntimeError, TimeoutError) as error:
            if local is not None:
                await local.close()
            words = f"{where} does not answer ({type(error).__name__}); nothing was sent"
            raise UsageError(f"{words}; is it started, and is that its address, such as tcp://host:8786?") from None
        return cls(client, local, where)

    @property
    def gone(self) -> bool:
        """True while there is no connection to the scheduler."""
        return self._client.status not in ("running", "newly-created")

    async def workers(self) -> list[ClusterWorker]:
        """Return the workers that may have a node: those with an uplink, where any has one. Raises ClusterError."""
        found = (await self._ask(lambda: self._client.scheduler.identity(), ANSWER_SECONDS))["workers"]
        with_uplink = {address for address, about in found.items() if about.get("resources", {}).get(UPLINK)}
        self._uplinks = with_uplink
        chosen = with_uplink or set(found)
        return [ClusterWorker(address, str(found[address]["name"])) for address in found if address in chosen]

    def start(self, at: ClusterWorker, key: str, task: NodeTask) -> None:
        """Start a node, once the worker has room for it. Dask itself never starts it again, here or elsewhere."""
        self._tasks[key] = self._client.submit(
            worker.serve, key, dataclasses.asdict(task), key=key, workers=[at.address], allow_other_workers=False,
            resources={UPLINK: 1} if at.address in self._uplinks else None, retries=0, pure=False,
        )  # fmt: skip

    async def exchange(
        self, at: ClusterWorker, key: str, confirmed: int, heard: int, first: int, said: Sequence[str], seconds: float
    ) -> dict[str, Any]:
        """Exchange messages with a node. Raises ClusterError."""
        words = key, confirmed, heard, first, list(said), seconds
        answers = await self._ask(
            lambda: self._client.run(worker.exchange_soon, *words, workers=[at.address], on_error="return"),
            seconds + ANSWER_SECONDS,
        )
        answer = answers.get(at.address)
        if not isinstance(answer, dict):
            raise ClusterError(f"worker {at.name} does not answer ({type(answer).__name__})")
        return answer

    def release(self, key: str) -> None:
        """Take back a node that has not been started, and forget it."""
        task = self._tasks.pop(key, None)
        if task is not None and not self.gone:
            with suppress(Exception):
                task.release()

    async def close(self) -> None:
        """Let go of it; a local one ends."""
        self._tasks.clear()
        with suppress(Exception):
            await asyncio.wait_for(self._client.close(), CONNECT_SECONDS)
        if self._local is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._local.close(), CONNECT_SECONDS)

    async def _ask(self, call: Callable[[], Any], seconds: float) -> Any:
        try:
            return await asyncio.wait_for(call(), seconds)
        except Exception as error:  # Dask raises many kinds
            raise ClusterError(f"{self._where} does not answer ({type(error).__name__})") from None


def address_in(file: Path) -> str:
    """Return the address that a scheduler has written into its scheduler file. Raises UsageError."""
    try:
        address = json.loads(file.expanduser().read_text(encoding="utf-8"))["address"]
    except OSError as error:
        raise UsageError(
            f"cannot read the scheduler file {file}: {error.strerror}; is the scheduler started?"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{file} is no scheduler file of Dask; name the one that its --scheduler-file wrote") from None
    return str(address)


def check_installed() -> None:
    """Raise UsageError where Dask is not installed."""
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise UsageError("--scheduler needs dask.distributed; install it with: pip install 'pmarep[dask]'")


def _distributed() -> Any:
    """Import Dask, with its logging kept off the terminal. Raises UsageError where it is not installed."""
    import warnings

    check_installed()
    import dask

    dask.config.set({"distributed.comm.timeouts.connect": "5s"})
    import distributed

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":  # what matters of it we say ourselves
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"distributed\..*")
    return distributed


@contextmanager
def _signals_stay_here() -> Iterator[None]:
    """Start processes inside that a Ctrl-C at this terminal does not end: this one sees to their end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
