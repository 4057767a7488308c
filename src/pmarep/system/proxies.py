"""Proxies, as the site book and the environment name them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def split_proxy(text: str, *schemes: str) -> SplitResult | None:
    """Split a proxy's URL; None for one without one of these schemes and a host, or with more behind its port."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # both raise what they cannot read
    except ValueError:
        return None
    more = parts.path.strip("/") or parts.query or parts.fragment
    return parts if host and parts.scheme in schemes and not more else None


def is_exempt(no_proxy: str, host: str, port: int | None = None) -> bool:
    """Return whether the variable NO_PROXY excepts a host (a name in any script or an address) from every proxy.

    By curl's rules (its manual, "NO_PROXY"; lib/noproxy.c): entries are separated by commas or blanks; `*` is every
    host; a name, with a dot before it or not, is that host and all below it; dots at the end do not count; an address
    may have the bits of its network behind a slash; no name is looked up. Beyond that, as httpx and Windows write them:
    `*.name`, `name:port`, and a scheme before a name. What is none of these is left out.
    """
    entries = [entry for entry in re.split(r"[,\s]+", no_proxy) if entry]
    if "*" in entries:
        return True
    host = _ascii(host)
    address = _address(host)
    return any(_matches(entry, host, address, port) for entry in entries)


def _matches(entry: str, host: str, address: Address | None, port: int | None) -> bool:
    entry = (entry.rpartition("://")[2].rstrip("/") if "://" in entry else entry).rstrip(".")
    if address is not None and (network := _network(entry)) is not None:
        return address in network
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal() and "]" not in digits and (":" not in name or name.startswith("[")):
        return int(digits) == port and _matches(name, host, address, None)
    name = _ascii(entry.removeprefix("*").removeprefix("."))
    if not name or address is not None:
        return False
    return host == name or host.endswith("." + name)


def _address(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _network(entry: str) -> Network | None:
    """Parse `10.0.0.0/8`, `[::1]/128` or `::1`; None for no network. Host bits that are set do no harm."""
    address, slash, bits = entry.partition("/")
    try:
        return ip_network(address.strip("[]").partition("%")[0] + slash + bits, strict=False)
    except ValueError:
        return None


def _ascii(name: str) -> str:
    """Return a host as it stands in a request: lower case, IDNA, no dot at the end; "" if it is none."""
    name = name.rstrip(".")
    if ":" in name:
        return name.lower()
    try:
        return httpx.URL(scheme="http", host=name).raw_host.decode("ascii").lower() if name else ""
    except (httpx.InvalidURL, UnicodeError):
        return ""
