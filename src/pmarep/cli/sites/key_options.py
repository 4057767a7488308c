"""Declare the options and arguments of the commands about sites: one option for each key of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import completion

UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="The PMA.core: https://host/ or https://host/core/.")
]
ServerOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A server of the book, instead of --url.", autocompletion=completion.server),
]
UsernameOption = Annotated[str | None, typer.Option(metavar="NAME", help="Who logs in there.")]
TargetOption = Annotated[str | None, typer.Option(metavar="PATH", help="Where slides go: Root-directory/folder.")]
PasswordCommandOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Command that prints the password, such as 'pass show tokyo'.")
]
PasswordFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with the password on its first line, which only you can read.")
]
CaBundleOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="PEM file with the CA of the server's certificate.")
]
ClientCertOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="PEM file with a certificate and its key; twice if they are two files."),
]
ProxyOption = Annotated[str | None, typer.Option(metavar="URL", help="http://host:port, or none.")]
VerifyTlsOption = Annotated[
    bool | None,
    typer.Option(
        "--verify-tls/--no-verify-tls", help="Check the server's certificate (default), or trust whoever answers."
    ),
]
ConnectTimeoutOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Seconds to wait for a connection.")
]
TimeoutOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Seconds without any data before a request is given up.")
]
CongestionOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="The kernel's TCP algorithm for this site, such as bbr (Linux).")
]
AllowHttpUploadsOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-http-uploads/--no-allow-http-uploads",
        help="Allow slides to go to S3 or Azure over plain http.",
    ),
]
LabelImagesOption = Annotated[
    str | None,
    typer.Option(metavar="refuse|warn|allow", help="What to do about slides with a label or macro image."),
]
RequireOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Command that lets a slide go there, such as 'may-leave {slide}'.")
]
PrepareOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Command that makes what is sent, such as 'strip-label {slide} {out}'."),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only slides that match go there, as in .gitignore; repeatable."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Slides that match do not go there; repeatable.")
]
NewerThanOption = Annotated[
    str | None, typer.Option(metavar="T", help="Only slides changed within 7d, or since 2026-11-01, go there.")
]
MinSizeOption = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Only slides of at least this size go there (such as 10M).")
]
BwLimitOption = Annotated[
    str | None, typer.Option(metavar="SPEC", help="Bytes per second: 20M, or '08:00,2M 19:00,off'.")
]
ConnectionsOption = Annotated[str | None, typer.Option(metavar="auto|N", help="auto, or parallel requests (1 to 64).")]


SiteArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A site of the book.", autocompletion=completion.site)
]
NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Sites, patterns ('box-*') or groups.", autocompletion=completion.site_or_group
    ),
]
OptionalNamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Sites, patterns or groups; else all.", autocompletion=completion.site_or_group
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def site_values(**options: Any) -> dict[str, Any]:
    """Return the given options as keys and values of the book."""
    values = {key: value for key, value in options.items() if value is not None and value != []}
    if (connections := values.get("connections", "")).isdecimal():
        values["connections"] = int(connections)
    # Relative to here, while the book's own paths are relative to the book.
    for key in ("ca_bundle", "password_file"):
        if key in values:
            values[key] = str(values[key].expanduser().absolute())
    if files := values.get("client_cert"):
        values["client_cert"] = [str(file.expanduser().absolute()) for file in files]
    for key in ("connect_timeout", "timeout"):
        # 30 and not 30.0, as people write it.
        if key in values and values[key].is_integer():
            values[key] = int(values[key])
    return values
