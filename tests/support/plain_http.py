"""Requests over plain http to servers of tests. httpx itself reads all certificates for each client: 25 ms of CPU."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For the `verify` of a client."""


def get(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, trust_env=False, verify=NO_CERTIFICATES, **options)


def post(url: str, **options: Any) -> httpx.Response:
    return httpx.post(url, trust_env=False, verify=NO_CERTIFICATES, **options)


def put(url: str, **options: Any) -> httpx.Response:
    return httpx.put(url, trust_env=False, verify=NO_CERTIFICATES, **options)
