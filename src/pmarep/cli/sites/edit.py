"""`pmarep sites edit`: change keys of a site in the person's own book."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ..config_files import book_path, load_book
from ..options import ConfigOption
from ..output_streams import echo
from .key_options import (
    AllowHttpUploadsOption,
    BwLimitOption,
    CaBundleOption,
    ClientCertOption,
    CongestionOption,
    ConnectionsOption,
    ConnectTimeoutOption,
    ExcludeOption,
    IncludeOption,
    LabelImagesOption,
    MinSizeOption,
    NewerThanOption,
    PasswordCommandOption,
    PasswordFileOption,
    PrepareOption,
    ProxyOption,
    RequireOption,
    ServerOption,
    SiteArgument,
    TargetOption,
    TimeoutOption,
    UrlOption,
    UsernameOption,
    VerifyTlsOption,
    site_values,
)


def edit(
    name: SiteArgument,
    url: UrlOption = None,
    server: ServerOption = None,
    username: UsernameOption = None,
    target: TargetOption = None,
    password_command: PasswordCommandOption = None,
    password_file: PasswordFileOption = None,
    ca_bundle: CaBundleOption = None,
    client_cert: ClientCertOption = None,
    proxy: ProxyOption = None,
    verify_tls: VerifyTlsOption = None,
    connect_timeout: ConnectTimeoutOption = None,
    timeout: TimeoutOption = None,
    congestion: CongestionOption = None,
    label_images: LabelImagesOption = None,
    require: RequireOption = None,
    prepare: PrepareOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = None,
    allow_http_uploads: AllowHttpUploadsOption = None,
    bwlimit: BwLimitOption = None,
    connections: ConnectionsOption = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Remove this key from the site, so that the server or the defaults apply; repeatable."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change keys of a site. Everything else in the book stays as it is written. Contacts nobody."""
    from ...errors import UsageError
    from ...sites import Credentials
    from ...sites.book_edit import change_site

    values = site_values(
        server=server, url=url, username=username, target=target, connections=connections, bwlimit=bwlimit,
        ca_bundle=ca_bundle, client_cert=client_cert, proxy=proxy, verify_tls=verify_tls,
        connect_timeout=connect_timeout, timeout=timeout, congestion=congestion,
        allow_http_uploads=allow_http_uploads, label_images=label_images,
        require=require, prepare=prepare,
        include=include, exclude=exclude, newer_than=newer_than, min_size=min_size,
        password_command=password_command, password_file=password_file,
    )  # fmt: skip
    if not values and not unset:
        raise UsageError("nothing to change; name an option such as --target, or --unset KEY")
    before = load_book(config).sites.get(name)
    book = change_site(book_path(config), name, values, unset or ())
    after = book.sites[name]
    if before == after:
        echo(f"{name} is as it was")
        return
    echo(f"changed {name} in {book.path}")
    other = before is not None and (before.url, before.username) != (after.url, after.username)
    if other and not Credentials(os.environ).source_before_keyring(after):
        account = f"{after.username} at {after.url}"
        echo(f"note: its password has to be that of {account} now (pmarep sites login {name})", err=True)
