from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from pmacore_sandbox.sigv4 import Signer

ENDPOINT = "http://127.0.0.1:9000"
KEY, SECRET = "AKIAEXAMPLE", "secret/+ key"
SIGNER = Signer(KEY, SECRET, "eu-central-1")
HEADERS = {"host": "127.0.0.1:9000"}


def presigned(key: str) -> str:
    """By boto3 itself."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="eu-central-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    arguments = {"Bucket": "b", "Key": key, "UploadId": "u/+=", "PartNumber": 3}
    url: str = client.generate_presigned_url("upload_part", arguments, ExpiresIn=600)
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


URL = presigned("in/ä + ~/x y.svs")


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("%C3%A4", "%c3%a4"),
        URL.replace("%20", "+"),
        URL.replace("%2B", "+"),
        URL.replace("~", "%7E"),
        URL.replace("/in/", "/in%2F"),
        URL.replace("partNumber=3", "partNumber=4"),
        URL.replace("uploadId=u%2F%2B%3D", "uploadId=u/%2B%3D"),
        URL.replace("uploadId=u%2F%2B%3D&", ""),
        URL.replace("X-Amz-Expires=600", "X-Amz-Expires=601"),
        URL.replace("eu-central-1", "us-east-1"),
        URL[:-1] + ("0" if URL[-1] != "0" else "1"),
        URL.partition("&X-Amz-Signature")[0],
        "http://127.0.0.1:9000/b/x.svs",
    ],
)
def test_a_url_of_which_one_byte_is_another_is_refused(url: str) -> None:
    assert url != URL
    assert not SIGNER.matches("PUT", url, HEADERS)


def test_method_host_and_key_are_signed_too() -> None:
    assert SIGNER.matches("PUT", URL, HEADERS)
    assert not SIGNER.matches("GET", URL, HEADERS)
    assert not SIGNER.matches("PUT", URL, {"host": "127.0.0.1:9001"})
    assert not Signer(KEY, SECRET + "x", "eu-central-1").matches("PUT", URL, HEADERS)
    assert not Signer("AKIAOTHER", SECRET, "eu-central-1").matches("PUT", URL, HEADERS)
