"""AWS Signature Version 4 in presigned URLs, by botocore's signer: for any time of signing, and the check of one.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIME_FORMAT = "%Y%m%dT%H%M%SZ"


class Signer:
    """Signs URLs with one key for one region, and checks such signatures."""

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        self._credentials = Credentials(access_key, secret_key)
        self._region = region

    def sign(self, method: str, url: str, at: datetime, lifetime: int) -> str:
        """Return the presigned URL that boto3 would make of `url` at that time; `lifetime` in seconds."""
        auth = S3SigV4QueryAuth(self._credentials, "s3", self._region, expires=lifetime)
        request = AWSRequest(method=method, url=url)
        # What `add_auth` does with the time of now.
        request.context["timestamp"] = at.strftime(TIME_FORMAT)
        auth._modify_request_before_signing(request)
        return f"{request.url}&X-Amz-Signature={_signature(auth, request)}"

    def matches(self, method: str, url: str, headers: Mapping[str, str]) -> bool:
        """Return whether the signature in a URL, byte for byte as it came, is right for it and the signed headers."""
        bare, _, signature = url.rpartition("&X-Amz-Signature=")
        query = dict(pair.partition("=")[::2] for pair in bare.partition("?")[2].split("&"))
        signed = query.get("X-Amz-SignedHeaders", "").replace("%3B", ";").split(";")
        request = AWSRequest(method=method, url=bare, headers={name: headers.get(name, "") for name in signed})
        request.context["timestamp"] = query.get("X-Amz-Date", "")
        auth = S3SigV4QueryAuth(self._credentials, "s3", self._region)
        scope = auth.scope(request).replace("/", "%2F")
        return query.get("X-Amz-Credential") == scope and hmac.compare_digest(_signature(auth, request), signature)


def _signature(auth: S3SigV4QueryAuth, request: AWSRequest) -> str:
    signature: str = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return signature
