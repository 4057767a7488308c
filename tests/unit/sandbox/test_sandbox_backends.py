from __future__ import annotations

from pathlib import Path

import pytest

from pmacore_sandbox import AzureContainer, S3Bucket, Settings, UrlExpiry
from pmarep.errors import UsageError

AWS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "geheim"}
AZURE = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=geheim==;EndpointSuffix=core.windows.net"


def test_an_s3_backend_out_of_the_environment() -> None:
    backend = S3Bucket.from_environment("slides/a/b", {**AWS, "AWS_REGION": "eu-west-1"}, endpoint="http://s3")
    assert (backend.bucket, backend.prefix, backend.region, backend.endpoint) == (
        "slides",
        "a/b/",
        "eu-west-1",
        "http://s3",
    )
    assert backend.threshold == backend.part_size == 8 * 1024**2
    assert S3Bucket.from_environment("slides/", AWS).prefix == ""


@pytest.mark.parametrize("name", list(AWS))
def test_a_key_is_needed_for_s3(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        S3Bucket.from_environment("slides", {key: value for key, value in AWS.items() if key != name})


def test_an_azure_backend_out_of_the_environment() -> None:
    backend = AzureContainer.from_environment("slides", {"AZURE_STORAGE_CONNECTION_STRING": AZURE})
    assert (backend.account, backend.key) == ("acme", "geheim==")
    assert backend.endpoint == "https://acme.blob.core.windows.net"
    text = "AccountName=devstoreaccount1;AccountKey=k;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1/;"
    local = AzureContainer.from_environment("slides", {"AZURE_STORAGE_CONNECTION_STRING": text})
    assert local.endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    environment = {"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_KEY": "k"}
    assert AzureContainer.from_environment("slides/x", environment, endpoint="http://blobs/").endpoint == "http://blobs"
    with pytest.raises(UsageError, match="AZURE_STORAGE_KEY"):
        AzureContainer.from_environment("slides", {"AZURE_STORAGE_ACCOUNT": "a"})


def test_no_key_stands_in_a_text() -> None:
    backends = [
        S3Bucket.from_environment("slides", AWS),
        AzureContainer.from_environment("slides", {"AZURE_STORAGE_CONNECTION_STRING": AZURE}),
    ]
    assert "geheim" not in repr(backends)


def test_parts_of_no_bytes_cannot_be() -> None:
    with pytest.raises(UsageError):
        S3Bucket.from_environment("slides", AWS, part_size=0)


def test_a_bucket_needs_a_root_directory_of_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cloud"):
        Settings(data=tmp_path, password="p", cloud={"Cloud": S3Bucket.from_environment("slides", AWS)})


def test_urls_can_be_made_to_expire() -> None:
    times = UrlExpiry(600)
    long = times.end
    times.lifetime = 60
    short = times.end
    assert times.now() < short < long
    times.expire()
    assert long < times.now() < times.end
