"""New buckets and containers in the emulators."""

from __future__ import annotations

import secrets
from typing import Any

import boto3
from azure.storage.blob import BlobServiceClient

from ..buckets import AzureBackend, S3Backend
from .processes import ACCOUNT, KEY


def new_bucket(moto_url: str, gateway: str, **options: Any) -> S3Backend:
    """Create a bucket with a random name and an access key of its own at moto; `options` are those of S3Backend."""
    bucket, access, secret = f"bucket-{secrets.token_hex(6)}", "AKIAPMAREPTEST", secrets.token_urlsafe(20)
    client: Any = boto3.client(
        "s3", endpoint_url=moto_url, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret
    )
    client.create_bucket(Bucket=bucket)
    return S3Backend(bucket, access, secret, moto_url, signed_for=gateway, **options)


def new_container(azurite_url: str, gateway: str, **options: Any) -> AzureBackend:
    """Create a container with a random name at Azurite; `options` are those of AzureBackend."""
    account, key, container = ACCOUNT, KEY, f"container-{secrets.token_hex(6)}"
    BlobServiceClient(azurite_url, {"account_name": account, "account_key": key}).create_container(container)
    return AzureBackend(container, account, key, azurite_url, signed_for=f"{gateway}/{account}", **options)
