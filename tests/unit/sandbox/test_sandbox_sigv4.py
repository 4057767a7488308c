from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from pmacore_sandbox.sigv4 import Signer

ENDPOINT = "http://127.0.0.1:9000"
KEY, SECRET = "AKIAEXAMPLE", "secret/+ key"
SIGNER = Signer(KEY, SECRET, "eu-central-1")
HEADERS = {"host": "127.0.0.1:9000"}


@functools.cache
def client() -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="eu-central-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def presigned(key: str = "in/ä + ~/x y.svs") -> str:
    """By boto3 itself."""
    arguments = {"Bucket": "b", "Key": key, "UploadId": "u/+=", "PartNumber": 3}
    url: str = client().generate_presigned_url("upload_part", arguments, ExpiresIn=600)
    return url


KEYS = ["in/x.svs", "in/ä + & # % %41 ~ '().svs", "切片/x y.svs", "a//b/./c"]


@pytest.mark.parametrize("key", KEYS)
def test_it_signs_byte_for_byte_as_boto3_does(key: str) -> None:
    url = presigned(key)
    begin = datetime.strptime(parse_qs(urlsplit(url).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    bare = url.partition("&X-Amz-Algorithm=")[0]
    assert SIGNER.sign("PUT", bare, begin, 600) == url


@pytest.mark.parametrize("key", KEYS)
def test_it_knows_a_signature_of_boto3(key: str) -> None:
    assert SIGNER.matches("PUT", presigned(key), HEADERS)


@pytest.mark.parametrize(
    ("of_boto3", "other"),
    [
        ("%C3%A4", "%c3%a4"),
        ("%20", "+"),
        ("%2B", "+"),
        ("~", "%7E"),
        ("/in/", "/in%2F"),
        ("partNumber=3", "partNumber=4"),
        ("uploadId=u%2F%2B%3D", "uploadId=u/%2B%3D"),
        ("uploadId=u%2F%2B%3D&", ""),
        ("X-Amz-Expires=600", "X-Amz-Expires=601"),
        ("eu-central-1", "us-east-1"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("&X-Amz-Signature=", "&"),
    ],
)
def test_a_url_of_which_one_byte_is_another_is_refused(of_boto3: str, other: str) -> None:
    url = presigned()
    assert of_boto3 in url
    assert not SIGNER.matches("PUT", url.replace(of_boto3, other), HEADERS)


def test_a_url_with_another_signature_or_none_is_refused() -> None:
    url = presigned()
    for other in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.partition("?")[0]):
        assert not SIGNER.matches("PUT", other, HEADERS)


def test_method_host_and_key_are_signed_too() -> None:
    url = presigned()
    assert SIGNER.matches("PUT", url, HEADERS)
    assert not SIGNER.matches("GET", url, HEADERS)
    assert not SIGNER.matches("PUT", url, {"host": "127.0.0.1:9001"})
    assert not Signer(KEY, SECRET + "x", "eu-central-1").matches("PUT", url, HEADERS)
    assert not Signer("AKIAOTHER", SECRET, "eu-central-1").matches("PUT", url, HEADERS)
