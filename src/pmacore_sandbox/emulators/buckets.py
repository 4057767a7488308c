"""New buckets and containers in the emulators."""

from __future__ import annotations

import secrets
from typing import Any

import boto3
from azure.storage.blob import BlobServiceClient

from ..buckets import AzureContainer, S3Bucket
from .processes import ACCOUNT, KEY


def create_bucket(moto_url: str, gateway: str, **options: Any) -> S3Bucket:
    """Create a bucket with a random name and an access key of its own at moto; `options` are those of S3Bucket."""
    bucket, access, secret = f"bucket-{secrets.token_hex(6)}", "AKIAPMAREPTEST", secrets.token_urlsafe(20)
    client: Any = boto3.client(
        "s3", endpoint_url=moto_url, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret
    )
    client.create_bucket(Bucket=bucket)
    return S3Bucket(bucket, access, secret, moto_url, public_endpoint=gateway, **options)


def create_container(azurite_url: str, gateway: str, **options: Any) -> AzureContainer:
    """Create a container with a random name at Azurite; `options` are those of AzureContainer."""
    account, key, container = ACCOUNT, KEY, f"container-{secrets.token_hex(6)}"
    BlobServiceClient(azurite_url, {"account_name": account, "account_key": key}).create_container(container)
    return AzureContainer(container, account, key, azurite_url, public_endpoint=f"{gateway}/{account}", **options)
