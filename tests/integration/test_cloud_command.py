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
from pmarep.cli import main

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
def test_what_is_missing_is_a_clear_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)
    said = said_of(options, tmp_path, monkeypatch, capsys)
    assert words in said
    assert "Traceback" not in said


def test_two_root_directories_of_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert "unique" in said_of(["--s3-root", "A=x", "--root", "a"], tmp_path, monkeypatch, capsys)


def said_of(
    options: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What a command that is used wrongly says."""
    words = ["pmarep", "sandbox", "--port", "0", "--data", str(folder), "--password", "p", *options]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err
