"""`pmarep sites test` leads to the cause: every failure that it names, provoked by a real server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.corpus import tree
from support.network import LOOPBACK, Authority, Network, Proxy, closed_port
from support.push_cli import NO_PAUSES, PushCli, arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox

HOST = "pma.hospital.example"


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as running:
        yield running


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def port_of(sandbox: Sandbox) -> int:
    return sandbox.settings.port


def errors_of(cli: PushCli, *options: str, code: int = 1) -> dict[str, str | None]:
    """The error of each site."""
    result = cli.sites_test("--json", *options)
    assert (result.code, "Traceback" in result.stderr) == (code, False), result.stdout + result.stderr
    checks = json.loads(result.stdout)
    assert [check["site"] for check in checks] == cli.names
    assert all(check["ok"] is (check["error"] is None) for check in checks)
    return {check["site"]: check["error"] for check in checks}


def pushed(cli: PushCli) -> dict[str, str | None]:
    """What a push says about each site."""
    tree(cli.source, "a.svs")
    return {name: site["error"] for name, site in cli.push(patch=NO_PAUSES).summary["sites"].items()}


def one(cli: PushCli, url: str, **keys: object) -> str:
    """What is said of one site by `sites test`, and by `push` as well."""
    cli.site("tokyo", url, **keys)  # type: ignore[arg-type]
    words = errors_of(cli)["tokyo"]
    assert words is not None
    assert pushed(cli) == {"tokyo": words}
    assert "\n" not in words
    return words


# TLS


def test_a_private_ca_that_nobody_knows(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK)), port_of(sandbox))
    assert one(cli, f"https://{LOOPBACK}:{port}/") == (
        f'the certificate of https://{LOOPBACK}:{port}/ is signed by "Hospital Root CA (St. Example)", which is not '
        "trusted here; install that CA or name it with ca_bundle"
    )
    assert {r.method for r in sandbox.requests} == {"HEAD"}, "nothing was said to a server that is not trusted"


def test_a_ca_bundle_of_another_ca(
    cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority, tmp_path: Path
) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK)), port_of(sandbox))
    other = Authority(tmp_path, "Other CA")
    words = one(cli, f"https://{LOOPBACK}:{port}/", ca_bundle=str(other.pem))
    assert f'is signed by "Hospital Root CA (St. Example)", which the ca_bundle {other.pem} does not hold; ' in words


def test_a_self_signed_certificate(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK, signed=False)), port_of(sandbox))
    assert f"the certificate of https://{LOOPBACK}:{port}/ is signed by itself, which is not trusted here; " in one(
        cli, f"https://{LOOPBACK}:{port}/"
    )


def test_an_expired_certificate(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK, begins=-40, ends=-2)), port_of(sandbox))
    words = one(cli, f"https://{LOOPBACK}:{port}/", ca_bundle=str(ca.pem))
    assert words.startswith(f"the certificate of https://{LOOPBACK}:{port}/ expired on 20")
    assert words.endswith(" UTC; its administrator has to renew it")


def test_a_certificate_that_is_not_valid_yet(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK, begins=2)), port_of(sandbox))
    words = one(cli, f"https://{LOOPBACK}:{port}/", ca_bundle=str(ca.pem))
    assert "is valid only from 20" in words
    assert words.endswith("; check this machine's clock")


def test_a_certificate_for_other_hosts(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue("a.example", "*.b.example")), port_of(sandbox))
    assert one(cli, f"https://{LOOPBACK}:{port}/", ca_bundle=str(ca.pem)) == (
        f"the certificate of https://{LOOPBACK}:{port}/ is for a.example, *.b.example, not for {LOOPBACK}; "
        "write a host name that it is for in the url"
    )


def test_all_that_is_wrong_is_reported_at_once(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue("a.example", begins=-9, ends=-1)), port_of(sandbox))
    words = one(cli, f"https://{LOOPBACK}:{port}/")
    for part in (" expired on ", f"is for a.example, not for {LOOPBACK}", 'signed by "Hospital Root CA'):
        assert part in words


def test_https_where_plain_http_is_spoken(cli: PushCli, sandbox: Sandbox) -> None:
    url = sandbox.url.replace("http:", "https:")
    assert one(cli, url) == (
        f"{url} speaks no TLS, only plain http; {sandbox.url} works, but shows the password to everybody on the way; "
        "name the port that speaks TLS"
    )


def test_plain_http_where_tls_is_spoken(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK)), port_of(sandbox))
    url = f"{LOOPBACK}:{port}/"
    assert one(cli, f"http://{url}") == f"http://{url} wants TLS; write https://{url} as url"


def test_plain_http_where_iis_explains_itself(cli: PushCli, network: Network, ca: Authority) -> None:
    """IIS and nginx answer plain http on a TLS port with a page."""

    port = network.answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert "GetVersionInfo was refused: HTTP status 400" in one(cli, f"http://{LOOPBACK}:{port}/")


def test_a_client_certificate(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    context = ca.server(ca.issue(LOOPBACK), wants_client=True)
    silent, outspoken = network.tls(context, port_of(sandbox)), network.turning_away(context)
    mine, hidden = ca.issue("client"), ca.issue("client", password=b"geheim")
    foreign = Authority(ca.pem.parent, "Foreign CA").issue("client")

    def add(name: str, port: int, cert: Path | None) -> None:
        keys = {"client_cert": str(cert)} if cert else {}
        url = f"https://{LOOPBACK}:{port}/"
        cli.site(name, url, ca_bundle=str(ca.pem), password=sandbox.settings.password, **keys)

    add("none", outspoken, None)
    add("foreign", outspoken, foreign)
    add("none_silent", silent, None)
    add("foreign_silent", silent, foreign)
    add("hidden", silent, hidden)
    add("good", silent, mine)
    words = errors_of(cli)
    url = f"https://{LOOPBACK}:{outspoken}/"
    assert (words["none"] or "").startswith(f"{url} wants a client certificate")
    assert (words["none"] or "").endswith("; name your certificate with client_cert")
    assert (words["foreign"] or "").startswith(f"{url} does not accept our client certificate")
    assert "perhaps it wants a client certificate (client_cert), or " in (words["none_silent"] or "")
    assert "perhaps it does not accept our client_cert, or " in (words["foreign_silent"] or "")
    assert (words["hidden"] or "").startswith(f"cannot read the client_cert {hidden} (")
    assert (words["hidden"] or "").endswith("the key without a password")
    assert words["good"] is None


def test_a_client_certificate_with_its_key_in_another_file(
    cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority
) -> None:
    port = network.tls(ca.server(ca.issue(LOOPBACK), wants_client=True), port_of(sandbox))
    certificate, _, key = ca.issue("client").read_text().partition("-----BEGIN PRIVATE")
    (cli.book.parent / "mine.pem").write_text(certificate)
    (cli.book.parent / "mine.key").write_text(f"-----BEGIN PRIVATE{key}")
    cli.site(
        "tokyo", f"https://{LOOPBACK}:{port}/", password=sandbox.settings.password, ca_bundle=str(ca.pem),
        client_cert=["mine.pem", "mine.key"],  # relative to the book
    )  # fmt: skip
    assert errors_of(cli, code=0) == {"tokyo": None}


# The way there


def test_a_host_that_nobody_knows(cli: PushCli) -> None:
    assert one(cli, "https://no-such-host.invalid/") == (
        "the host name no-such-host.invalid is not known here; check the url and this machine's DNS"
    )


def test_a_closed_port(cli: PushCli) -> None:
    held, port = closed_port()
    with held:
        assert one(cli, f"https://{LOOPBACK}:{port}/") == (
            f"https://{LOOPBACK}:{port}/ refused the connection; is the server running, and the port right?"
        )


def test_a_server_that_says_nothing(cli: PushCli, sandbox: Sandbox, network: Network) -> None:
    from pmacore_sandbox import Hold

    sandbox.faults.add(Hold(), path="GetVersionInfo")
    cli.site("tokyo", sandbox, timeout=0.2)
    assert errors_of(cli) == {"tokyo": f"{sandbox.url} went silent in the middle of a request"}


def test_a_server_that_cannot_be_connected_to_in_time(cli: PushCli) -> None:
    """A listener whose queue is full: the system drops what more comes."""
    import socket

    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((LOOPBACK, port))
            waiting.append(client)
        cli.site("tokyo", f"http://{LOOPBACK}:{port}/", connect_timeout=0.2)
        words = errors_of(cli)["tokyo"]
        for client in waiting:
            client.close()
    assert words == (
        f"http://{LOOPBACK}:{port}/ did not answer in time (0.2 s); check the url, the network and firewalls"
    )


# Proxies


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("407 Proxy Authentication Required", "wants a user name and password (407 Proxy Authentication Required); "
         "leave proxy out of the site book and set HTTPS_PROXY=http://user:password@host:port for this program"),
        ("403 Forbidden", f"refused (403 Forbidden); whoever runs it has to allow {HOST}; or go another way with the "
         "site's key proxy"),
    ],
)  # fmt: skip
def test_a_proxy_that_refuses(cli: PushCli, network: Network, refusal: str, words: str) -> None:
    proxy = Proxy(network, refusal=refusal)
    assert one(cli, f"https://{HOST}/", proxy=proxy.url) == (
        f"the proxy {proxy.url} on the way to https://{HOST}/ {words}"
    )
    assert set(proxy.asked) == {f"{HOST}:443"}


def test_a_proxy_that_cannot_reach_the_server(cli: PushCli, network: Network) -> None:
    proxy = Proxy(network, refusal="502 Bad Gateway")
    assert one(cli, f"https://{HOST}/", proxy=proxy.url) == (
        f"the proxy {proxy.url} cannot reach https://{HOST}/ (502 Bad Gateway); "
        "check the url, or ask who runs the proxy"
    )


def test_a_proxy_of_plain_http_that_wants_a_password(cli: PushCli, network: Network) -> None:
    proxy = Proxy(network, refusal="407 Proxy Authentication Required")
    assert "wants a user name and password" in one(cli, f"http://{HOST}/", proxy=proxy.url)


def test_a_proxy_that_is_not_there(cli: PushCli) -> None:
    held, port = closed_port()
    with held:
        proxy = f"http://{LOOPBACK}:{port}"
        assert one(cli, f"https://{HOST}/", proxy=proxy) == (
            f"the proxy {proxy} on the way to https://{HOST}/ refused the connection; "
            "is the proxy running, and the port right?"
        )


def test_a_proxy_whose_name_nobody_knows(cli: PushCli) -> None:
    words = one(cli, f"https://{HOST}/", proxy="http://no-such-proxy.invalid:3128")
    assert words == (
        f"the host name no-such-proxy.invalid is not known here (the proxy on the way to https://{HOST}/); "
        "check the proxy settings and this machine's DNS"
    )


def test_a_proxy_of_the_environment_is_named_without_its_password(cli: PushCli, network: Network) -> None:
    proxy = Proxy(network, refusal="403 Forbidden")
    cli.environment |= {"NO_PROXY": "", "HTTPS_PROXY": proxy.url.replace("//", "//me:geheim@")}
    words = one(cli, f"https://{HOST}/")
    assert words.startswith(f"the proxy {proxy.url} on the way to https://{HOST}/ refused (403 Forbidden); ")
    assert "geheim" not in words


def test_a_certificate_behind_a_proxy(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    proxy = Proxy(network, {HOST: network.tls(ca.server(ca.issue("a.example")), port_of(sandbox))})
    words = one(cli, f"https://{HOST}/", proxy=proxy.url, ca_bundle=str(ca.pem))
    assert words.startswith(f"the certificate of https://{HOST}/ is for a.example, not for {HOST}; ")


def test_a_proxy_and_sites_that_need_none(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    proxy = Proxy(network, {HOST: network.tls(ca.server(ca.issue(HOST, ends=30.5)), port_of(sandbox))})
    password = sandbox.settings.password
    cli.book.write_text(f'[defaults]\nproxy = "{proxy.url}"\nca_bundle = "{ca.pem}"\n\n')
    cli.site("far", f"https://{HOST}/", password=password)
    cli.site("near", sandbox, "Slides/near", proxy="none")
    assert errors_of(cli, code=0) == {"far": None, "near": None}
    assert set(proxy.asked) == {f"{HOST}:443"}
    tree(cli.source, "a.svs", "sub/b.svs")
    assert cli.push().code == 0
    assert arrived(sandbox) == arrived(sandbox, "Slides/near") == contents(cli.source)
    far, near = json.loads(cli.sites_test("--json").stdout)
    assert far["tls"] == {
        "issuer": "Hospital Root CA (St. Example)", "expires": far["tls"]["expires"], "days_left": 30, "verified": True,
    }  # fmt: skip
    assert near["tls"] is None


# What answers there


def test_the_path_is_missing_or_doubled(cli: PushCli, start_sandbox: StartSandbox) -> None:
    core = start_sandbox("core", path="/core/")
    root = start_sandbox("root")
    base = core.url.removesuffix("core/")
    wrong = {
        "missing": (base, core.url),
        "doubled": (f"{core.url}core/", core.url),
        "pasted": (f"{core.url}api/json/", core.url),
        "other": (f"{base}pma/", core.url),
        "needless": (f"{root.url}core/", root.url),
    }
    for name, (url, _) in wrong.items():
        cli.site(name, url)
    expected = {
        name: f"there is no PMA.core at {url}, but there is one at {right}; use that as url"
        for name, (url, right) in wrong.items()
    }
    assert errors_of(cli) == expected
    assert pushed(cli) == expected


REDIRECT = "HTTP/1.1 301 Moved Permanently\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n"
PAGE = "HTTP/1.1 {}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><title>{}</title>"


def test_a_redirect_to_https(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    secure = f"https://{LOOPBACK}:{network.tls(ca.server(ca.issue(LOOPBACK)), port_of(sandbox))}/"
    port = network.answering(REDIRECT.format(f"{secure}api/json/GetVersionInfo"))
    cli.site("known", f"http://{LOOPBACK}:{port}/", ca_bundle=str(ca.pem))
    cli.site("unknown", f"http://{LOOPBACK}:{port}/", username="x")
    redirects = f"http://{LOOPBACK}:{port}/ redirects to {secure}"
    assert errors_of(cli) == {
        "known": f"{redirects}, where PMA.core answers; use that as url",
        "unknown": f"{redirects}; use that as url",
    }


def test_a_redirect_to_a_sign_in_page(cli: PushCli, network: Network) -> None:
    port = network.answering(REDIRECT.format("https://login.example/?to=secret"))
    words = one(cli, f"http://{LOOPBACK}:{port}/")
    assert words.startswith(f"http://{LOOPBACK}:{port}/ redirects to https://login.example/?***")
    assert "secret" not in words


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_a_web_page(cli: PushCli, network: Network, status: str) -> None:
    port = network.answering(PAGE.format(status, "Welcome to nginx!"))
    words = one(cli, f"http://{LOOPBACK}:{port}/")
    assert 'a web page ("Welcome to nginx!")' in words
    assert "is this the address of a PMA.core?" in words


def test_a_gateway_that_wants_a_log_in(cli: PushCli, network: Network) -> None:
    port = network.answering(PAGE.format("401 Unauthorized", "Sign in"))
    words = one(cli, f"http://{LOOPBACK}:{port}/")
    assert words.startswith(f"http://{LOOPBACK}:{port}/ lets nobody in to ask for the version (")
    assert words.endswith("a gateway, a proxy or IIS itself")


# PMA.core says no


def test_a_wrong_password_and_a_suspended_user(cli: PushCli, start_sandbox: StartSandbox) -> None:
    wrong, suspended = start_sandbox("wrong"), start_sandbox("suspended")
    answer = {"Success": False, "SessionId": None, "Reason": "This account has been suspended."}
    suspended.faults.add(CannedResponse(200, json.dumps(answer)), path="json/authenticate")
    cli.site("wrong", wrong, password="geraten")
    cli.site("suspended", suspended)
    advice = "check user name and password (from the variable PMAREP_PASSWORD_{}), or ask the server's administrator"
    expected = {
        "wrong": f"{wrong.url} does not let seeder in (Invalid username or password); {advice.format('WRONG')}",
        "suspended": f"{suspended.url} does not let seeder in (This account has been suspended); "
        + advice.format("SUSPENDED"),
    }
    assert errors_of(cli) == expected
    assert pushed(cli) == expected


def test_an_unknown_root_directory(cli: PushCli, start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(roots=("Slidebox-Anna", "Slidebox-Ben", "Archive"))
    cli.site("near", sandbox, "Slidebox-Bem/demo")
    cli.site("far", sandbox, "Pathology")
    expected = {
        "near": f'{sandbox.url} has no root-directory "Slidebox-Bem"; did you mean "Slidebox-Ben" or "Slidebox-Anna"?',
        "far": f'{sandbox.url} has no root-directory "Pathology"; it shows "Slidebox-Anna", "Slidebox-Ben", "Archive"',
    }
    assert errors_of(cli) == expected
    assert pushed(cli) == expected


# --write


def test_write_makes_what_a_push_would_make(cli: PushCli, sandbox: Sandbox) -> None:
    (sandbox.data / "Slides" / "there").mkdir()
    for name, target in (("new", "Slides/a/b"), ("there", "Slides/THERE"), ("root", "Slides")):
        cli.site(name, sandbox, target)

    def look(*options: str) -> dict[str, tuple[str, str | None]]:
        checks = json.loads(cli.sites_test("--json", *options).stdout)
        return {check["site"]: (check["folder"], check["writable"]) for check in checks}

    exists: tuple[str, str | None] = ("exists", None)
    made = ("exists", "made")
    assert look() == {"new": ("will be made", None), "there": exists, "root": exists}
    assert not (sandbox.data / "Slides" / "a").exists()
    assert look("--write")["new"] == made
    assert [path.relative_to(sandbox.data).as_posix() for path in sorted((sandbox.data / "Slides").rglob("*"))] == [
        "Slides/a", "Slides/a/b", "Slides/there",
    ]  # fmt: skip
    assert not [r for r in sandbox.requests if r.path.startswith("transfer/")], "nothing was announced"
    assert look("--write")["root"] == exists


@pytest.mark.parametrize("target", ["Slides/new", "Slides/there"])
def test_write_where_nothing_may_be_written(cli: PushCli, sandbox: Sandbox, target: str) -> None:
    (sandbox.data / "Slides" / "there").mkdir()
    sandbox.faults.add(CannedResponse.refusal("Access is denied", status=403), path="CreateDirectory")
    cli.site("tokyo", sandbox, target)
    assert errors_of(cli, code=0) == {"tokyo": None}
    assert errors_of(cli, "--write") == {
        "tokyo": f'{sandbox.url} makes no folder "{target}" (CreateDirectory is not permitted: Access is denied; '
        "check the rights of this user)"
    }


# verify_tls


@pytest.mark.parametrize("options", [(), ("--quiet",), ("--json",)])
def test_verify_tls_false_works_and_is_never_silent(
    cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority, options: tuple[str, ...]
) -> None:
    port = network.tls(ca.server(ca.issue("a.example", begins=-9, ends=-1)), port_of(sandbox))
    cli.site("tokyo", f"https://{LOOPBACK}:{port}/", verify_tls=False, password=sandbox.settings.password)
    tree(cli.source, "a.svs")
    result = cli.run(*options)
    assert result.code == 0
    assert arrived(sandbox) == contents(cli.source)
    assert result.stderr.startswith("pmarep: WARNING: tokyo: verify_tls = false, so anybody on the way can ")
    assert result.stderr.count("\n") == 1
    tested = cli.sites_test("--json")
    assert tested.stderr == result.stderr
    assert json.loads(tested.stdout)[0]["tls"]["verified"] is False
    assert "NOT VERIFIED" in cli.sites_test().stdout


def test_the_system_trust_store_is_used(cli: PushCli, sandbox: Sandbox, network: Network, ca: Authority) -> None:
    """Where an administrator has installed the CA, the book need not name it."""
    port = network.tls(ca.server(ca.issue(LOOPBACK)), port_of(sandbox))
    cli.site("tokyo", f"https://{LOOPBACK}:{port}/", password=sandbox.settings.password)
    cli.environment["SSL_CERT_FILE"] = str(ca.pem)  # what OpenSSL takes for the system's
    assert errors_of(cli, code=0) == {"tokyo": None}


def test_a_push_over_tls_with_a_private_ca(
    cli: PushCli, start_sandbox: StartSandbox, network: Network, ca: Authority
) -> None:
    sandbox = start_sandbox(path="/core/")
    port = network.tls(ca.server(ca.issue(LOOPBACK), wants_client=True), port_of(sandbox))
    tree(cli.source, "a.svs", "deep/er/b.svs")
    cli.site(
        "tokyo", f"https://{LOOPBACK}:{port}/core/", password=sandbox.settings.password,
        ca_bundle=str(ca.pem), client_cert=str(ca.issue("workstation")),
    )  # fmt: skip
    result = cli.push()
    assert result.counts("tokyo") == (2, 0, 0)
    assert arrived(sandbox) == contents(cli.source)
    assert sandbox.open_sessions == 0
    assert result.stderr == ""


def test_the_table(cli: PushCli, sandbox: Sandbox) -> None:
    held, port = closed_port()
    with held:
        cli.site("tokyo", sandbox)
        cli.site("down", f"https://{LOOPBACK}:{port}/")
        lines = cli.sites_test().stdout.splitlines()
    assert lines[0].split() == ["SITE", "RESULT", "REACHED", "TLS", "PMA.CORE", "PASSWORD", "TARGET"]
    tokyo = lines[1].split()
    assert (tokyo[:2], tokyo[3:]) == (
        ["tokyo", "ok"],
        ["ms", "none", sandbox.settings.version, "accepted", "Slides/in", "will", "be", "made"],
    )
    assert lines[2].split() == ["down", "FAILED", "no", "-", "-", "-", "-"]
    assert lines[3:5] == ["", f"down: https://{LOOPBACK}:{port}/ refused the connection; is the server running, and "
                          "the port right?"]  # fmt: skip


def test_the_table_after_writing(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("tokyo", sandbox)
    header, row = (line.split() for line in cli.sites_test("--write").stdout.splitlines())
    assert (header[-1], row[-1]) == ("WRITABLE", "made")


def test_only_the_sites_that_are_named(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("tokyo", sandbox)
    cli.site("osaka", "https://no-such-host.invalid/")
    assert cli.sites_test("tokyo").code == 0
    assert cli.sites_test().code == 1
