"""The settings of a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pmarep.errors import UsageError

from .buckets import Bucket, UrlExpiry
from .forms import Form
from .paths import check_windows_name
from .refusals import Refusal

NameEndings = Literal["refuse", "fold", "tell"]
"""The policy for dots and blanks at the end of a name. `refuse`: refuse the name; `fold`: drop them, answer with the
name as it was asked for; `tell`: drop them, answer with the real name. Nobody knows which a PMA.core has."""

# The first version whose `authenticate` takes POST, as PMA.UI has it; older ones know only GET.
FIRST_POST_LOGIN = (2, 0, 0, 1836)


@dataclass(frozen=True)
class Settings:
    """One stand-in server. Sizes in bytes, rates in bytes/s, durations in seconds.

    `data` holds one folder per root-directory, and `.sandbox/` with what the server remembers. Those named in `cloud`
    are elsewhere.
    """

    data: Path
    password: str = field(repr=False)
    user: str = "seeder"
    roots: tuple[str, ...] = ("Slides",)
    cloud: Mapping[str, Bucket] = field(default_factory=dict)  # the `roots` in a bucket or a container
    url_expiry: UrlExpiry = field(default_factory=UrlExpiry)
    host: str = "127.0.0.1"
    port: int = 0  # 0: a free one
    path: str = "/"  # path of the base URL, e.g. /core/; IIS knows nothing outside it
    version: str = "3.0.3.2222"
    wrap_answers: bool = False  # {"d": answer}, as old servers do
    refusal_status: int = 200  # status of refused api/json/* calls: 200 or not, clients have seen both
    upload_type_name: bool = False  # "FileSystem" instead of 0 as UploadType
    session_seconds: float | None = None  # a session not used for so long ends
    max_request: int | None = None  # IIS's limit on a request's body; real ones stand at 4 GiB at most
    forget_uploads: bool = False  # a started server does not know the uploads announced before ...
    reuse_ids: bool = False  # ... nor how many there were: it gives their ids out again
    keep_sessions: bool = False  # a restarted server knows its sessions still
    names: NameEndings = "refuse"
    discard: bool = False  # keep sizes and hashes, not the bytes
    database: Path | None = None  # the file of annotations and form data, where several servers share one
    forms: tuple[Form, ...] = ()
    can_annotate: bool = True  # the user's right to write annotations
    strict_geometry: bool = False  # refuse annotations whose geometry is no WKT
    max_json: int | None = None  # the largest JSON body; ASP.NET's limit stood at 4 MiB
    rate: float | None = None  # of the whole server, both directions together
    latency: float = 0.0  # before each request is handled

    def __post_init__(self) -> None:
        if self.names not in get_args(NameEndings):
            raise UsageError(f"names is {' or '.join(get_args(NameEndings))}, not {self.names!r}")
        path = "/" + self.path.strip("/") + "/" if self.path.strip("/") else "/"
        object.__setattr__(self, "path", path)
        if not self.roots:
            raise UsageError("a sandbox needs a root-directory; name one with --root")
        folded = [root.upper() for root in self.roots]
        if len(set(folded)) != len(folded):
            raise UsageError("root-directory names are unique without regard to case; give each another name")
        if unknown := set(self.cloud) - set(self.roots):
            raise UsageError(f"{min(unknown)!r} is in the cloud, but none of the root-directories; name it there too")
        for root in self.roots:
            try:
                check_windows_name(root)
            except Refusal as refusal:
                raise UsageError(f"{root!r} cannot be a root-directory: {refusal}") from refusal
            if root.startswith("."):
                raise UsageError(
                    f"{root!r} cannot be a root-directory: names with a dot in front are the sandbox's own"
                )

    @property
    def login_by_post(self) -> bool:
        """True if `authenticate` is POST (new), False for GET (before 2.0.0.1836). Never both: clients have to know."""
        numbers = tuple(int(part) for part in self.version.split(".") if part.isdigit())
        return numbers >= FIRST_POST_LOGIN
