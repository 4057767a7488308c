"""The process of one node: `python -m pmarep.cli.node`, started by a worker of Dask, which speaks to it by pipes.

Its first line is its task. Site book, passwords and state folder are this machine's own.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..nodes.messages import NodeTask
    from ..sites import Site, SiteBook


def main() -> None:
    """Run the node. Never raises: whatever fails is said to the coordinator."""
    import asyncio

    from ..system.open_files import raise_limit
    from .replication_run import log_connection_errors, use_one_malloc_arena

    use_one_malloc_arena()
    raise_limit()

    async def run() -> int:
        from ..clock import Clock
        from ..errors import PmarepError
        from ..nodes.lease import Lease
        from ..nodes.messages import NodeTask
        from ..nodes.node_run import NodeRun, Voice, run_node
        from ..sites import Credentials
        from .config_files import load_book, state_path

        gc.freeze()  # as a run without nodes does
        asyncio.get_running_loop().set_exception_handler(log_connection_errors)
        voice = Voice(sys.stdout.buffer)
        line = await asyncio.to_thread(sys.stdin.buffer.readline)
        try:
            task = NodeTask.read(line)
            book = load_book(None if task.config is None else Path(task.config))
            sites = _sites(task, book)
            state = state_path(None if task.state_dir is None else Path(task.state_dir))
            node = NodeRun(task, sites, Credentials(os.environ), state, voice)
        except PmarepError as error:
            voice.say({"kind": "failed", "exit_code": error.exit_code, "error": str(error)})
            voice.flush()
            return error.exit_code
        return await run_node(node, sys.stdin.buffer, Lease(*task.lease), voice, Clock())

    code = asyncio.run(run())
    sys.stdout.flush()
    os._exit(code)  # a thread that still reads from the worker would hold the process


def _sites(task: NodeTask, book: SiteBook) -> list[Site]:
    """Return the sites of a task from the book of this machine, which has to mean the same ones. Raises ConfigError."""
    from ..errors import ConfigError
    from ..nodes.messages import meaning_of

    sites = []
    for wanted in task.sites:
        site = book.resolve([wanted["name"]])[0]
        if site.require or site.prepare:
            words = f"{site.name} has require or prepare in its site book, which no node runs"
            raise ConfigError(f"{words}; push there without --scheduler")
        if differ := [key for key, value in meaning_of(site).items() if wanted.get(key) != value]:
            words = f"{site.name} has another {' and '.join(differ)} in its site book than in the coordinator's"
            raise ConfigError(f"{words}; give all nodes the same book")
        sites.append(site)
    return sites


if __name__ == "__main__":
    main()
