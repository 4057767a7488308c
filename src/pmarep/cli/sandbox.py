"""`pmarep sandbox`: a PMA.core stand-in for trying things out and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pmarep.errors import PmarepError, UsageError
from pmarep.units import parse_size


def sandbox(
    data: Annotated[Path, typer.Option(help="Folder for the server's files; made if it is not there.")],
    port: Annotated[int, typer.Option(help="TCP port; 0 picks a free one.", min=0, max=65535)] = 8400,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    user: Annotated[str, typer.Option(help="The one user.")] = "seeder",
    password: Annotated[
        str, typer.Option(help="Its password.", envvar="PMAREP_SANDBOX_PASSWORD", show_default=False)
    ] = "",
    root: Annotated[list[str] | None, typer.Option(help="A root-directory; repeatable. Default: Slides")] = None,
    path: Annotated[str, typer.Option(help="Path of the base URL, e.g. /core/")] = "/",
    discard: Annotated[bool, typer.Option("--discard", help="Keep sizes and hashes, not the bytes.")] = False,
    rate: Annotated[str, typer.Option(help="Slow the server down to so many bytes/s, e.g. 2M.")] = "",
    latency: Annotated[float, typer.Option(help="Milliseconds before each request is handled.", min=0)] = 0,
) -> None:
    """Run a PMA.core stand-in: a strict one, for trying pmarep out. Not for patients' data."""
    if not password:
        raise UsageError("the sandbox's user needs a password; give --password or set PMAREP_SANDBOX_PASSWORD")
    bytes_per_second = parse_size(rate.removesuffix("/s")) if rate else None
    if bytes_per_second == 0:
        raise UsageError("--rate 0 would let nothing through; leave it out for full speed")
    try:
        from pmarep.sandbox import Settings, run
    except ModuleNotFoundError as error:
        raise PmarepError(f"the sandbox needs {error.name}; install it with: pip install 'pmarep[sandbox]'") from error
    settings = Settings(
        data=data,
        user=user,
        password=password,
        roots=tuple(root or ("Slides",)),
        host=host,
        port=port,
        path=path,
        discard=discard,
        rate=bytes_per_second,
        latency=latency / 1000,
    )
    run(settings, lambda url: print(f"sandbox listens on {url}", flush=True))
