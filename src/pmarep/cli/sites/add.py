"""`pmarep sites add`: register a PMA.core, with options alone or by questions."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ..config_files import book_path, config_hint
from ..options import ConfigOption, NoInputOption
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
    TargetOption,
    TimeoutOption,
    UrlOption,
    UsernameOption,
    VerifyTlsOption,
    site_values,
)
from .prompter import TerminalPrompter, is_interactive


def add_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you will call the site.")],
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
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a site. On a terminal, what is missing (url, user, target) is asked for, and shown to work."""
    from ...sites import Credentials
    from .add_dialog import add_from_options, add_interactively, missing_options

    values = site_values(
        server=server, url=url, username=username, target=target, connections=connections, bwlimit=bwlimit,
        ca_bundle=ca_bundle, client_cert=client_cert, proxy=proxy, verify_tls=verify_tls,
        connect_timeout=connect_timeout, timeout=timeout, congestion=congestion,
        allow_http_uploads=allow_http_uploads, label_images=label_images,
        require=require, prepare=prepare,
        include=include, exclude=exclude, newer_than=newer_than, min_size=min_size,
        password_command=password_command, password_file=password_file,
    )  # fmt: skip
    path, credentials = book_path(config), Credentials(os.environ)
    # Where nothing is missing nothing is asked: whoever pastes two such lines would give the second as a password.
    if is_interactive(no_input) and missing_options(path, name, values):
        add_interactively(path, name, values, TerminalPrompter(), credentials, config_hint(config))
        return
    site = add_from_options(path, name, values).sites[name]
    hint = config_hint(config)
    test = f"(pmarep sites test {name}{hint})"
    if credentials.source_before_keyring(site):
        echo(f"added {name} to {path}; now try it {test}")
    elif credentials.has_keyring():
        echo(f"added {name} to {path}; now keep its password (pmarep sites login {name}{hint}) and try it {test}")
    else:
        echo(f"added {name} to {path}; now {credentials.ways(site)}, and try it {test}")
