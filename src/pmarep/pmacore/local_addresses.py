"""Recognizes URLs and addresses that lead to this machine itself (SSRF protection)."""

from __future__ import annotations

import ipaddress
import socket

import httpx

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_local_url(url: str) -> bool:
    """Return whether a URL leads to this machine (`localhost`, 127.0.0.1 however spelt, ::1) or a link-local address.

    Programs listen there that trust whoever comes from the same machine, PMA.start among them. Also for what is no URL.
    Names are not looked up: see `is_local_address`.
    """
    try:
        # As httpx will ask for it: `127\u30020\u30020\u30021` has become 127.0.0.1 then.
        host = httpx.URL(url).raw_host.decode("ascii").rstrip(".").lower()
    except (httpx.InvalidURL, ValueError, TypeError):
        return True
    return host == "localhost" or host.endswith(".localhost") or is_local_address(host)


def is_local_address(host: str) -> bool:
    """Return the same of an address, False for a name. Asked of a connection's peer, it sees what a name stands for."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return address is not None and (address.is_loopback or address.is_unspecified or address.is_link_local)


def same_host(url: str, other: str) -> bool:
    """Return whether two URLs have the same host name."""
    try:
        return httpx.URL(url).raw_host.lower() == httpx.URL(other).raw_host.lower()
    except (httpx.InvalidURL, ValueError, TypeError):
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f.1 and 2130706433 too
    except (OSError, ValueError, UnicodeError):
        return None
