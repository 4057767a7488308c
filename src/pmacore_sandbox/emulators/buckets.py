"""New buckets and containers in the emulators."""

from __future__ import annotations

import functools
import secrets
from typing import Any

import boto3
from azure.storage.blob import BlobServiceClient

from ..buckets import AzureContainer, S3Bucket
from .processes import ACCOUNT, KEY

_ACCESS_KEY = "AKIAPMAREPTEST"
_REGION = "us-east-1"


def create_bucket(moto_url: str, gateway: str, **options: Any) -> S3Bucket:
    """Create a bucket with a random name at moto; `options` are those of S3Bucket."""
    bucket = f"bucket-{secrets.token_hex(6)}"
    moto_client(moto_url).create_bucket(Bucket=bucket)
    return S3Bucket(bucket, _ACCESS_KEY, _secret_key(), moto_url, public_endpoint=gateway, region=_REGION, **options)


@functools.cache
def moto_client(moto_url: str) -> Any:
    """Return the one client for buckets at this moto: each new one would cost 30 ms of CPU."""
    keys = {"aws_access_key_id": _ACCESS_KEY, "aws_secret_access_key": _secret_key()}
    return boto3.client("s3", endpoint_url=moto_url, region_name=_REGION, **keys)


@functools.cache
def _secret_key() -> str:
    """Return the secret of the account, a random one in each process."""
    return secrets.token_urlsafe(20)


def create_container(azurite_url: str, gateway: str, **options: Any) -> AzureContainer:
    """Create a container with a random name at Azurite; `options` are those of AzureContainer."""
    account, key, container = ACCOUNT, KEY, f"container-{secrets.token_hex(6)}"
    BlobServiceClient(azurite_url, {"account_name": account, "account_key": key}).create_container(container)
    return AzureContainer(container, account, key, azurite_url, public_endpoint=f"{gateway}/{account}", **options)
