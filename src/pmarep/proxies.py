"""Proxies, as the site book and the environment name them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_proxy(text: str, *schemes: str) -> SplitResult | None:
    """A proxy's URL with one of these schemes, a host that can be read, and nothing after its port; else None."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # both raise what they cannot read
    except ValueError:
        return None
    more = parts.path.strip("/") or parts.query or parts.fragment
    return parts if host and parts.scheme in schemes and not more else None
