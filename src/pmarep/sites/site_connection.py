"""Turn a site into the connection to its PMA.core, and the warnings and errors about that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..pmacore import Connection
from .models import Site
from .site_names import did_you_mean, quoted

SHOWN_NAMES = 12

# Of a Connection; the keys of the book have the same names.
_KEYS = (
    "url",
    "username",
    "ca_bundle",
    "client_cert",
    "proxy",
    "verify_tls",
    "connect_timeout",
    "timeout",
    "congestion",
)


def connection_of(site: Site) -> Connection:
    return connection_from_keys({key: getattr(site, key) for key in _KEYS})


def connection_from_keys(values: Mapping[str, Any]) -> Connection:
    """Return the connection of a site's keys, which need not be complete; others have their defaults."""
    return Connection(**{key: values[key] for key in _KEYS if values.get(key) is not None})


def unverified_tls_warning(sites: Iterable[Site]) -> str | None:
    """Return the warning of every run about sites with `verify_tls = false`; None where there are none."""
    names = [site.name for site in sites if not site.verify_tls]
    if not names:
        return None
    return (
        f"WARNING: {', '.join(names)}: verify_tls = false, so anybody on the way can pose as the server, read the "
        "password and change the slides; name the server's CA with ca_bundle instead"
    )


def missing_root_message(url: str, name: str, roots: Sequence[str]) -> str:
    """Return the error text for a target whose root-directory is not among those that the user sees."""
    return f"{url} has no root-directory {quoted(name)}{did_you_mean(name, roots) or f'; it shows {_some(roots)}'}"


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none to this user"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(quoted(name[:200]) for name in names[:SHOWN_NAMES]) + more
