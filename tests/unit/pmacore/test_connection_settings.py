"""The way to a server: what goes to PMA.core only, what to storage too, and which proxy is on it."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import truststore
from support.network import HEAD_ONLY, LOOPBACK, Authority, Network, Proxy

from pmarep.errors import ConfigError
from pmarep.pmacore import CertificateRefused, Connection, ProxyRefused, connection_settings
from pmarep.pmacore.connection_diagnosis import likely_urls
from pmarep.uploaders.presigned import PresignedClient

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_proxy_on_the_way(environ: pytest.MonkeyPatch) -> None:
    plain = Connection("https://pma.example/", "u")
    assert plain.proxy_to(plain.url) is None
    environ.setenv("HTTPS_PROXY", "http://me:geheim@proxy:3128")
    assert plain.proxy_to(plain.url) == "http://proxy:3128"
    assert plain.proxy_to("http://pma.example/") is None
    assert Connection(plain.url, "u", proxy="none").proxy_to(plain.url) is None
    assert Connection(plain.url, "u", proxy="http://mine:1").proxy_to("http://any/") == "http://mine:1"
    environ.setenv("NO_PROXY", "localhost,.example")
    assert plain.proxy_to(plain.url) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks5://geheim:1"),
        ("http_proxy", "geheim:abc"),
        ("ALL_PROXY", "ftp://geheim:1"),
        ("HTTPS_PROXY", "http://me:ge/heim@proxy:3128"),
        ("HTTPS_PROXY", "http://me:1/geheim@proxy:3128"),
        ("HTTPS_PROXY", "http://me:1#geheim@proxy:3128"),
        ("https_proxy", "http://[geheim:1"),
    ],
)
def test_a_proxy_of_the_environment_that_is_none(environ: pytest.MonkeyPatch, name: str, value: str) -> None:
    environ.setenv(name, value)
    here = Connection("https://pma.example/", "u")
    for make in (here.http, here.storage_http, here.check):
        with pytest.raises(ConfigError, match=f"^the proxy in the variable {name} cannot be used; ") as error:
            make()
        assert "heim" not in str(error.value)
    Connection(here.url, "u", proxy="none").http()  # does not look at it
    environ.setenv("NO_PROXY", "x, *")
    here.http()


@pytest.mark.parametrize("value", ["proxy:3128", "http://me:p%40ss@proxy", "https://proxy:3128/", "http://[::1]:3"])
def test_proxies_of_the_environment(environ: pytest.MonkeyPatch, value: str) -> None:
    environ.setenv("ALL_PROXY", value)
    Connection("https://pma.example/", "u").http()


def test_timeouts_reach_both_clients() -> None:
    connection = Connection("https://pma.example/", "u", connect_timeout=3, timeout=7)
    usual, storage = connection.http().timeout, connection.storage_http().timeout
    assert (usual.connect, usual.read, usual.write) == (3, 7, 7)
    assert (storage.connect, storage.read, storage.write) == (3, 7, 7)


def test_files_that_are_no_pem(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no PEM")
    for setting in (
        {"ca_bundle": tmp_path / "x"},
        {"client_cert": (tmp_path / "x",)},
        {"ca_bundle": tmp_path / "none"},
    ):
        keys: dict[str, Any] = setting
        (name,) = keys
        with pytest.raises(ConfigError, match=f"cannot read the {name} .*; it has to be"):
            Connection("https://pma.example/", "u", **keys).ssl_context()


async def test_a_proxy_and_trust_reach_storage_but_no_client_certificate(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    shown: list[object] = []
    with Network() as network:
        context = ca.server(ca.issue("s3.example"), wants_client=None)
        proxy = Proxy(network, {"s3.example": network.answering(HEAD_ONLY, context, shown)})
        mine = ca.issue("workstation")

        async def put(**keys: Any) -> None:
            storage = PresignedClient(
                Connection("https://pma.example/", "u", proxy=proxy.url, **keys), allow_http=False
            )
            try:
                await storage.put("https://s3.example/k?sig=x", b"x", 1, {})
            finally:
                await storage.close()

        await put(ca_bundle=ca.pem, client_cert=(mine,))
        await put(verify_tls=False, client_cert=(mine,))
        with pytest.raises(CertificateRefused, match=r"https://s3\.example/ is not trusted"):
            await put()
        # The same server does see it from a client for PMA.core.
        async with Connection("https://s3.example/", "u", ca.pem, (mine,), proxy.url).http() as http:
            await http.get("https://s3.example/")
        refusing = Proxy(network, refusal="407 Proxy Authentication Required")
        proxy.url = refusing.url
        with pytest.raises(ProxyRefused, match=f"the proxy {refusing.url} on the way to https://s3.example/ wants a"):
            await put()
    assert set(proxy.asked) == {"s3.example:443"}
    assert [bool(certificate) for certificate in shown] == [False, False, True]


async def test_storage_may_be_the_hospitals_or_a_clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital, cloud, unknown_ca = (Authority(tmp_path, name) for name in ("Hospital", "Cloud", "Stranger"))
    monkeypatch.setenv("SSL_CERT_FILE", str(cloud.pem))  # what OpenSSL takes for the system's
    # On Windows it finds only those roots that something has asked for before.
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    with Network() as network:
        names = {"minio.example": hospital, "s3.example": cloud, "stranger.example": unknown_ca}
        ports = {name: network.answering(HEAD_ONLY, ca.server(ca.issue(name))) for name, ca in names.items()}
        proxy = Proxy(network, {**ports, "other.example": ports["minio.example"]})
        async with Connection("https://pma.example/", "u", hospital.pem, proxy=proxy.url).storage_http() as http:
            for name in ("minio.example", "s3.example"):
                assert (await http.get(f"https://{name}/")).status_code == 200
            for name in ("stranger.example", "other.example"):
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await http.get(f"https://{name}/")


async def test_a_proxy_of_plain_http_gets_the_whole_url(tmp_path: Path) -> None:
    with Network() as network:
        proxy = Proxy(network, refusal="201 Created")
        storage = PresignedClient(Connection("http://pma.example/", "u", proxy=proxy.url), allow_http=False)
        await storage.put("http://s3.example:9000/a%2Fb/./c?sig=x", b"x", 1, {})
        await storage.close()
    assert proxy.asked == ["PUT http://s3.example:9000/a%2Fb/./c"]


async def test_no_proxy_means_none_of_the_environment_either(environ: pytest.MonkeyPatch) -> None:
    with Network() as network:
        url = f"http://{LOOPBACK}:{network.answering(HEAD_ONLY)}/"
        proxy = Proxy(network, refusal="403 Forbidden")
        environ.setenv("HTTP_PROXY", proxy.url)
        for setting, status in ((None, 403), ("none", 200)):
            async with Connection(url, "u", proxy=setting).http() as http:
                assert (await http.get(url)).status_code == status


async def test_the_exceptions_of_the_systems_settings_count_for_the_servers_host(environ: pytest.MonkeyPatch) -> None:
    """As on Windows, where httpx takes the proxy of the registry and leaves out what stands beside it."""
    with Network() as network:
        url = f"http://{LOOPBACK}:{network.answering(HEAD_ONLY)}/"
        proxy = Proxy(network, refusal="403 Forbidden")
        environ.setenv("HTTP_PROXY", proxy.url)
        environ.setattr(connection_settings, "proxy_bypass", lambda host: True)
        usual = Connection(url, "u")
        for http in (usual.http(), usual.storage_http()):
            async with http:
                for to, status, over in ((url, 200, None), ("http://s3.example/", 403, proxy.url)):
                    assert (await http.get(to)).status_code == status
                    assert usual.proxy_to(to) == over
        async with Connection(url, "u", proxy=proxy.url).http() as http:
            assert (await http.get(url)).status_code == 403


def test_a_host_without_a_name_is_excepted_too(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HTTPS_PROXY", "http://proxy:3128")
    environ.setattr(connection_settings, "proxy_bypass", lambda host: host == "[fd00::7]:8443")
    there = Connection("https://[fd00::7]:8443/", "u", verify_tls=False)
    assert there.proxy_to(there.url) is None


@pytest.mark.parametrize(
    ("platform", "file", "by_truststore"),
    [("linux", "/etc/ssl/cert.pem", False), ("linux", None, True), ("win32", "x.pem", True), ("darwin", "x.pem", True)],
)
def test_openssl_reads_the_systems_certificates_where_it_has_a_file_and_else_truststore(
    monkeypatch: pytest.MonkeyPatch, platform: str, file: str | None, by_truststore: bool
) -> None:
    """Where OpenSSL has no file, truststore knows where systems have theirs; a folder may be there and be empty."""
    read: list[ssl.SSLContext] = []
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda context: read.append(context))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=file, capath="/etc/ssl/certs"))
    monkeypatch.setattr(sys, "platform", platform)
    context = Connection("https://x/", "u").ssl_context()
    assert isinstance(context, truststore.SSLContext) is by_truststore
    assert read == ([] if by_truststore else [context])
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_an_unverified_context_is_asked_for() -> None:
    assert Connection("https://x/", "u").ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert Connection("https://x/", "u", verify_tls=False).ssl_context().verify_mode is ssl.CERT_NONE


def test_likely_urls() -> None:
    base = f"https://{LOOPBACK}:8443"
    assert likely_urls(f"{base}/core/core/")[:2] == [f"{base}/core/", f"{base}/"]
    assert f"{base}/core/" in likely_urls(f"{base}/")
    assert f"{base}/" in likely_urls(f"{base}/core/")
    assert f"{base}/sub/core/" in likely_urls(f"{base}/sub/")
    for url in (f"{base}/", f"{base}/core/", f"{base}/a/b/c/"):
        assert url not in likely_urls(url)
        assert len(likely_urls(url)) <= 12
