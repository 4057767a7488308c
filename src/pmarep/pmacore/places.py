"""Where a URL leads, as far as it says so itself: names are not looked up."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def leads_home(url: str) -> bool:
    """True for this machine itself (`localhost`, 127.0.0.1 in all its spellings, ::1) and link-local addresses.

    Programs listen there that trust whoever comes from the same machine, PMA.start among them.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and (address.is_loopback or address.is_unspecified or address.is_link_local)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f.1 and 2130706433 too
    except (OSError, ValueError, UnicodeError):
        return None
