"""`pmarep sandbox`: a PMA.core stand-in for trying things out and for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pmarep.errors import PmarepError, UsageError
from pmarep.units import parse_size

from .option_values import parse_option
from .output_streams import echo

if TYPE_CHECKING:
    from pmacore_sandbox import AzureContainer, S3Bucket
    from pmacore_sandbox.settings import NameEndings


def _explain_faults(given: list[str] | None) -> list[str] | None:
    """Print all faults where one is called help, before anything else is asked for."""
    if "help" not in (given or ()):
        return given
    with _naming_the_extra():
        from pmacore_sandbox.fault_texts import FAULTS, SELECTORS
    from .list_output import print_columns

    rows = [["FAULT", "WHAT IT DOES", "DEFAULT", "HITS"]]
    rows += [[one.usage, one.words, one.default or "-", one.where] for one in FAULTS.values()]
    print_columns(rows)
    echo("\nAfter the fault, with commas between, what it hits instead:")
    print_columns([[f"{key}=", words] for key, words in SELECTORS.items()], "  ")
    echo("\nFor example: --fault error=503,every=5 --fault drop=1M,times=2 --fault delay=3,path=authenticate")
    raise typer.Exit


def complete_fault(incomplete: str) -> list[str]:
    """Complete the name of a fault."""
    try:
        from pmacore_sandbox.fault_texts import FAULTS
    except ModuleNotFoundError:
        return []
    return [name for name in ("help", *FAULTS) if name.startswith(incomplete)]


@contextmanager
def _naming_the_extra() -> Iterator[None]:
    """While inside, say how to get what the sandbox needs where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PmarepError(
            f"the sandbox needs {error.name}; install it in a clone of the sources with: "
            "pipx install --force '.[sandbox]'"
        ) from error


def sandbox(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the server's files; made if it is not there.")],
    port: Annotated[int, typer.Option(metavar="N", help="TCP port; 0 picks a free one.", min=0, max=65535)] = 8400,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    user: Annotated[str, typer.Option(metavar="NAME", help="The one user.")] = "seeder",
    password: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="The user's password; required, here or in the variable.",
            envvar="PMAREP_SANDBOX_PASSWORD",
            show_default=False,
        ),
    ] = "",
    root: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A root-directory; repeatable. Default: Slides")
    ] = None,
    s3_root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BUCKET[/PREFIX]",
            help="A root-directory in an S3 bucket; repeatable. Key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
        ),
    ] = None,
    s3_endpoint: Annotated[str, typer.Option(metavar="URL", help="The S3 server's URL. Default: Amazon's")] = "",
    azure_root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CONTAINER[/PREFIX]",
            help="A root-directory in an Azure container; repeatable. Key: AZURE_STORAGE_CONNECTION_STRING",
        ),
    ] = None,
    azure_endpoint: Annotated[
        str, typer.Option(metavar="URL", help="The blob service's URL. Default: Microsoft's")
    ] = "",
    part_size: Annotated[
        str, typer.Option(metavar="SIZE", help="Size of the parts in which large files go to S3.")
    ] = "8M",
    url_lifetime: Annotated[
        int, typer.Option(metavar="SECONDS", help="Seconds until upload URLs expire.", min=1, max=604_800)
    ] = 3600,
    path: Annotated[str, typer.Option(metavar="PATH", help="Path of the base URL, e.g. /core/")] = "/",
    names: Annotated[
        str,
        typer.Option(
            metavar="refuse|fold|tell",
            help="Dots and blanks at the end of names: refuse, fold (drop them in silence) or tell (what is left).",
        ),
    ] = "refuse",
    discard: Annotated[bool, typer.Option("--discard", help="Keep sizes and hashes, not the bytes.")] = False,
    rate: Annotated[str, typer.Option(metavar="SIZE", help="Slow the server down to so many bytes/s, e.g. 2M.")] = "",
    latency: Annotated[
        float, typer.Option(metavar="MS", help="Milliseconds before each request is handled.", min=0)
    ] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="Fail on purpose, such as error=503,every=5; repeatable. `--fault help` lists all.",
            callback=_explain_faults,
            is_eager=True,
            autocompletion=complete_fault,
        ),
    ] = None,
) -> None:
    """Run a PMA.core stand-in: a strict one, for trying pmarep out. Not for patients' data."""
    if not password:
        raise UsageError("the sandbox's user needs a password; give --password or set PMAREP_SANDBOX_PASSWORD")
    bytes_per_second = parse_option("--rate", parse_size, rate.removesuffix("/s")) if rate else None
    if bytes_per_second == 0:
        raise UsageError("--rate 0 would let nothing through; leave it out for full speed")
    bytes_per_part = parse_option("--part-size", parse_size, part_size)
    with _naming_the_extra():
        from pmacore_sandbox import AzureContainer, FaultInjector, S3Bucket, Settings, UrlExpiry, run
        from pmacore_sandbox.fault_texts import add_fault
    cloud: list[tuple[str, S3Bucket | AzureContainer]] = []
    for name, where in _pairs(s3_root or (), "--s3-root"):
        s3 = S3Bucket.from_environment(where, os.environ, endpoint=s3_endpoint or None, part_size=bytes_per_part)
        cloud.append((name, s3))
    for name, where in _pairs(azure_root or (), "--azure-root"):
        cloud.append((name, AzureContainer.from_environment(where, os.environ, endpoint=azure_endpoint or None)))
    on_disk = root or ([] if cloud else ["Slides"])
    settings = Settings(
        data=data,
        user=user,
        password=password,
        roots=(*on_disk, *(name for name, _ in cloud)),
        cloud=dict(cloud),
        url_expiry=UrlExpiry(url_lifetime),
        host=host,
        port=port,
        path=path,
        names=cast("NameEndings", names),
        discard=discard,
        rate=bytes_per_second,
        latency=latency / 1000,
    )
    faults = FaultInjector()
    for text in fault or ():
        parse_option("--fault", lambda text: add_fault(faults, text), text)
    run(settings, lambda url: echo(f"sandbox listens on {url}"), faults)


def _pairs(given: Iterable[str], option: str) -> list[tuple[str, str]]:
    pairs = [tuple(one.split("=", 1)) for one in given]
    if bad := next((pair[0] for pair in pairs if len(pair) != 2 or not pair[1]), None):
        raise UsageError(f"{option} {bad} does not say where; write it as {option} NAME=PLACE")
    return [(name, where) for name, where in pairs]
