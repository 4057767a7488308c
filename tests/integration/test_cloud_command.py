"""`pmarep sandbox` with root-directories in S3 and Azure, as a person starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import plain_http
from support.cloud import CloudSandbox, StartCloud

from pmacore_sandbox.emulators.processes import ACCOUNT, KEY

PMAREP = [sys.executable, "-m", "pmarep", "sandbox", "--port", "0"]


@pytest.fixture
def cloud(cloud_sandbox: StartCloud) -> CloudSandbox:
    """Only for what is behind it: a bucket and a container."""
    return cloud_sandbox()


def ask(url: str, session: str, method: str, **query: str) -> Any:
    return plain_http.get(f"{url}api/json/{method}", params={"sessionID": session, **query}).json()


def test_root_directories_of_all_kinds(cloud: CloudSandbox, tmp_path: Path) -> None:
    s3, azure = cloud.s3.backend(), cloud.azure.backend()
    environment = {
        **os.environ,
        "PMAREP_SANDBOX_PASSWORD": "geheim",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};AccountKey={KEY}",
    }
    options = ["--root", "Slides", "--s3-root", f"Cloud={s3.bucket}/p", "--s3-endpoint", str(s3.endpoint)]
    options += ["--azure-root", f"Blobs={azure.container}", "--azure-endpoint", azure.endpoint, "--part-size", "5M"]
    command = [*PMAREP, "--data", str(tmp_path / "d"), *options, "--url-lifetime", "99"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            url = found[0]
            login = {"username": "seeder", "password": "geheim"}
            answer = plain_http.post(f"{url}api/json/authenticate", json=login)
            session = answer.json()["SessionId"]
            assert ask(url, session, "GetRootDirectories") == ["Slides", "Cloud", "Blobs"]
            files = [{"Path": "a.svs", "Length": 6 << 20, "IsMain": True}]
            urls: list[str] = []
            for root in ("Cloud", "Blobs"):
                body = {"Path": root, "Files": files}
                announcement = plain_http.post(f"{url}transfer/Upload", params={"sessionID": session}, json=body).json()
                urls += [
                    part["Url"] for one in announcement.get("MultipartFiles", ()) for part in one["Parts"]
                ] or announcement["Urls"]
            assert [f"/{s3.bucket}/p/a.svs?" in url and "X-Amz-Expires=99&" in url for url in urls] == [
                True,
                True,
                False,
            ]
            assert urls[2].startswith(f"{azure.endpoint}/{azure.container}/a.svs?")
            answers = [
                plain_http.put(urls[0], content=bytes(5 << 20)),
                plain_http.put(urls[2], content=bytes(6 << 20), headers={"x-ms-blob-type": "BlockBlob"}),
            ]
            assert all(answer.is_success for answer in answers)
            assert ask(url, session, "GetFiles", path="Blobs") == ["Blobs/a.svs"]
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--s3-root", "Cloud"], "--s3-root NAME=PLACE"),
        (["--s3-root", "Cloud="], "--s3-root NAME=PLACE"),
        (["--s3-root", "Cloud=bucket"], "AWS_ACCESS_KEY_ID"),
        (["--azure-root", "Blobs=container"], "AZURE_STORAGE_CONNECTION_STRING"),
        (["--azure-root", "Blobs=c", "--root", "blobs"], "AZURE_STORAGE_CONNECTION_STRING"),
    ],
)
def test_what_is_missing_is_a_clear_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_"))}
    command = [*PMAREP, "--data", str(tmp_path), "--password", "p", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**environment, "COLUMNS": "200"})
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_two_root_directories_of_one_name(tmp_path: Path) -> None:
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "COLUMNS": "200"}
    command = [*PMAREP, "--data", str(tmp_path), "--password", "p", "--s3-root", "A=x", "--root", "a"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, "unique" in done.stderr) == (2, True)
