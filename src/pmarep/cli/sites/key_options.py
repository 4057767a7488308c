"""The keys of a site as options, which `sites add` and `sites edit` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import completion

UrlOption = Annotated[str | None, typer.Option(help="The PMA.core: https://host/ or https://host/core/.")]
ServerOption = Annotated[
    str | None, typer.Option(help="A server of the book, instead of --url.", autocompletion=completion.server)
]
UsernameOption = Annotated[str | None, typer.Option(help="Who logs in there.")]
TargetOption = Annotated[str | None, typer.Option(help="Where slides go: Root-directory/folder.")]
PasswordCommandOption = Annotated[str | None, typer.Option(help="Prints the password, such as 'pass show tokyo'.")]
CaBundleOption = Annotated[Path | None, typer.Option(help="PEM file with the CA of the server's certificate.")]
ClientCertOption = Annotated[
    list[Path] | None, typer.Option(help="PEM file with a certificate and its key; twice if they are two files.")
]
ProxyOption = Annotated[str | None, typer.Option(help="http://host:port, or none.")]
VerifyTlsOption = Annotated[
    bool | None, typer.Option("--verify-tls/--no-verify-tls", help="Whether to check the server's certificate.")
]
ConnectTimeoutOption = Annotated[float | None, typer.Option(help="Seconds until a connection has to stand.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Seconds of silence within a request.")]
CongestionOption = Annotated[
    str | None, typer.Option(help="The kernel's TCP algorithm for this site, such as bbr (Linux).")
]
AllowHttpUploadsOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-http-uploads/--no-allow-http-uploads",
        help="Whether slides may go to S3 or Azure over plain http.",
    ),
]
BwLimitOption = Annotated[str | None, typer.Option(help="20M, or '08:00,2M 19:00,off'.")]
ConnectionsOption = Annotated[str | None, typer.Option(help="auto, or parallel requests (1 to 64).")]


SiteArgument = Annotated[str, typer.Argument(help="A site of the book.", autocompletion=completion.site)]
NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Sites, patterns ('box-*') or groups.", autocompletion=completion.site_or_group
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def site_values(**options: Any) -> dict[str, Any]:
    """The options that were given as the book's keys and values."""
    values = {key: value for key, value in options.items() if value is not None and value != []}
    if (connections := values.get("connections", "")).isdecimal():
        values["connections"] = int(connections)
    # Relative to here, while the book's own paths are relative to the book.
    if "ca_bundle" in values:
        values["ca_bundle"] = str(values["ca_bundle"].expanduser().absolute())
    if files := values.get("client_cert"):
        values["client_cert"] = [str(file.expanduser().absolute()) for file in files]
    for key in ("connect_timeout", "timeout"):
        # 30 and not 30.0, as people write it.
        if key in values and values[key].is_integer():
            values[key] = int(values[key])
    return values
