"""The tables of the site book, and a site as it is after they were merged."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from ..timetable import Timetable
from . import validators
from .site_names import check_name


def _folder(info: ValidationInfo) -> Path | None:
    return info.context.get("folder") if isinstance(info.context, dict) else None


def _ca_bundle(value: object, info: ValidationInfo) -> Path:
    return validators.ca_bundle(value, _folder(info))


def _client_cert(value: object, info: ValidationInfo) -> tuple[Path, ...]:
    return validators.client_cert(value, _folder(info))


def _password_file(value: object, info: ValidationInfo) -> Path:
    return validators.password_file(value, _folder(info))


def _seconds(value: object, info: ValidationInfo) -> float:
    return validators.seconds(str(info.field_name), value)


def _gate_command(value: object, info: ValidationInfo) -> tuple[str, ...]:
    return validators.gate_command(str(info.field_name), value)


def _cache(value: object, info: ValidationInfo) -> Path:
    return validators.cache(value, _folder(info))


def _patterns(value: object, info: ValidationInfo) -> tuple[str, ...]:
    return validators.patterns(str(info.field_name), value)


def _hook(value: object, info: ValidationInfo) -> tuple[str, ...] | str:
    return validators.hook(str(info.field_name), value)


Url = Annotated[str, BeforeValidator(validators.url)]
Username = Annotated[str, BeforeValidator(validators.username)]
Target = Annotated[str, BeforeValidator(validators.target)]
Connections = Annotated[Literal["auto"] | int, BeforeValidator(validators.connections)]
BwLimit = Annotated[str, BeforeValidator(validators.bwlimit)]
CaBundle = Annotated[Path, BeforeValidator(_ca_bundle)]
ClientCert = Annotated[tuple[Path, ...], BeforeValidator(_client_cert)]
Proxy = Annotated[str, BeforeValidator(validators.proxy)]
VerifyTls = Annotated[bool, BeforeValidator(validators.verify_tls)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
PasswordCommand = Annotated[tuple[str, ...] | str, BeforeValidator(validators.password_command)]
PasswordFile = Annotated[Path, BeforeValidator(_password_file)]
AllowHttpUploads = Annotated[bool, BeforeValidator(validators.allow_http_uploads)]
LabelPolicyName = Annotated[Literal["refuse", "warn", "allow"], BeforeValidator(validators.label_images)]
GateCommand = Annotated[tuple[str, ...], BeforeValidator(_gate_command)]
Cache = Annotated[Path, BeforeValidator(_cache)]
CacheSize = Annotated[int, BeforeValidator(validators.cache_size)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
NewerThan = Annotated[str, BeforeValidator(validators.newer_than)]
MinSize = Annotated[str, BeforeValidator(validators.min_size)]
Congestion = Annotated[str, BeforeValidator(validators.congestion)]
Hook = Annotated[tuple[str, ...] | str, BeforeValidator(_hook)]
SlideNames = Annotated[bool, BeforeValidator(validators.slide_names)]
Enumerate = Annotated[Literal["auto", "always", "never"], BeforeValidator(validators.enumerate_slides)]
ServerName = Annotated[str, BeforeValidator(validators.server)]


COMMANDS = ("password_command", "require", "prepare")
"""Keys whose words may hold secrets."""


class Table(BaseModel):
    """The keys that `[defaults]`, `[servers.*]` and `[sites.*]` share, each as it is used; None where it is not set.

    A new key is a field here, its function in `validators`, and its description in `schema`.
    """

    # Values are never part of pydantic's error texts: a mistyped key may hold a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Url | None = None
    username: Username | None = None
    target: Target | None = None
    connections: Connections | None = None
    bwlimit: BwLimit | None = None
    ca_bundle: CaBundle | None = None
    client_cert: ClientCert | None = None
    proxy: Proxy | None = None
    verify_tls: VerifyTls | None = None
    connect_timeout: Seconds | None = None
    timeout: Seconds | None = None
    congestion: Congestion | None = None
    label_images: LabelPolicyName | None = None
    require: GateCommand | None = Field(default=None, repr=False)  # their words may hold secrets
    prepare: GateCommand | None = Field(default=None, repr=False)
    include: Patterns | None = None
    exclude: Patterns | None = None
    newer_than: NewerThan | None = None
    min_size: MinSize | None = None
    allow_http_uploads: AllowHttpUploads | None = None
    password_command: PasswordCommand | None = Field(default=None, repr=False)
    password_file: PasswordFile | None = None

    @model_validator(mode="after")
    def _one_source_of_the_password(self) -> Self:
        if self.password_command is not None and self.password_file is not None:
            raise ValueError("password_command and password_file exclude each other; leave one out")
        return self


class SiteTable(Table):
    """A `[sites.*]` table, or `[defaults]`, which may hold every key that a site may."""

    server: ServerName | None = None

    @model_validator(mode="after")
    def _one_place_for_the_url(self) -> Self:
        # Otherwise the server's password would go to another machine.
        if self.server is not None and self.url is not None:
            raise ValueError("server and url exclude each other; the server has the url")
        return self


class SlidesTable(BaseModel):
    """The `[slides]` table: how slides are found on this machine, whatever the site."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    enumerate: Enumerate = "auto"


class HooksTable(BaseModel):
    """The `[hooks]` table: commands of this machine that are told of each run. `timeout` in seconds, for each."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    on_start: Hook | None = Field(default=None, repr=False)  # their words may hold a webhook's URL, which is a secret
    on_success: Hook | None = Field(default=None, repr=False)
    on_failure: Hook | None = Field(default=None, repr=False)
    timeout: Seconds = 60.0
    slide_names: SlideNames = False


class GateTable(BaseModel):
    """The `[gate]` table: how this machine runs `require` and `prepare`, and where their results are kept.

    `timeout` in seconds, for each command; `cache_size` in bytes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout: Seconds = 600.0
    cache: Cache | None = None
    cache_size: CacheSize | None = None


class Site(Table):
    """A place where slides go: a PMA.core, a user and a target path. Several may be on one PMA.core."""

    name: Annotated[str, BeforeValidator(check_name)]
    server: ServerName | None = None
    url: Url
    username: Username
    target: Target
    connections: Connections = "auto"
    verify_tls: VerifyTls = True
    allow_http_uploads: AllowHttpUploads = False
    label_images: LabelPolicyName = "warn"

    @property
    def timetable(self) -> Timetable | None:
        """The bandwidth limit over the day; None: no limit."""
        return Timetable.parse(self.bwlimit) if self.bwlimit is not None else None

    @property
    def destination_key(self) -> str:
        """A key, equal for two sites that would write over each other: case is ignored, as on PMA.core's Windows."""
        return unicodedata.normalize("NFC", self.url + self.target).casefold()
