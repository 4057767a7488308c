"""NO_PROXY as people, desktop container tools and hospitals write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.network import HEAD_ONLY, LOOPBACK, Network, Proxy

from pmarep.pmacore import Connection
from pmarep.system.proxies import is_exempt

CONTAINERS = "localhost,127.0.0.0/8,::1/128"


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        # curl's own test cases (tests/unit/unit1614.c)
        ("192.168.0.0/16", "192.168.1.1", True),
        ("192.160.0.0/13", "192.160.0.1", True),
        ("192.160.0.0/13", "192.166.0.1", True),
        ("192.160.0.0/13", "192.168.0.1", False),
        ("192.160.0.0/13, foobar", "foobar", True),
        ("192.168.0.0/33", "192.168.0.1", False),
        ("192.168.0.0/-1", "192.168.0.1", False),
        ("[::1], foobar", "[::1]", True),
        ("192.160.0.0/13, local", "localhost", False),
        ("localhost,127", "127.0.0.1", False),
        ("local, foobar", "localhost", False),
        ("foo,bar,host", "www.host", True),
        ("foo,bar,.host.", "www.host.", True),
        ("foo, .host , bar", "host", True),
        ("foo.com,host", "www.hosts", False),
        ("example.com", "exam.example.com", True),
        ("example.com.", "www.example.com", True),
        (".example.com.", "prefixexample.com", False),
        ("fe80::/10", "fe80::1", True),
        ("", "example.com", False),
        (" , ,", "example.com", False),
        ("*", "anything.at.all", True),
        ("x, *", "::1", True),
        # What the tools of desktops set, and what hospitals do
        (CONTAINERS, "127.9.9.9", True),
        (CONTAINERS, "::1", True),
        (CONTAINERS, "localhost", True),
        (CONTAINERS, "pma.example", False),
        ("10.0.0.0/8", "10.20.30.40", True),
        ("10.20.0.0/8", "10.20.30.40", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("fd00::/8", "[fd00::7]", True),
        ("FD00:0:0::7", "fd00::7", True),
        ("[fd00::7]:8443", "fd00::7", True),
        ("[fd00::7]:443", "fd00::7", False),
        ("pma.example.", "PMA.example", True),
        ("pma.example", "pma.example.", True),
        ("münchen.example", "pma.MÜNCHEN.example", True),
        ("xn--mnchen-3ya.example", "münchen.example", True),
        ("münchen.example", "xn--mnchen-3ya.example", True),
        ("*.example.com", "pma.example.com", True),
        ("pma.example:8443", "pma.example", True),
        ("pma.example:443", "pma.example", False),
        ("https://pma.example/", "pma.example", True),
        ("10.1.2.3:8443 other", "10.1.2.3", True),
        ("a b\tpma.example", "pma.example", True),
        ("300.1.1.1/8,[::1,1::2::3/64,a b..c,\u2022", "pma.example", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, exempt: bool) -> None:
    assert is_exempt(no_proxy, host, 8443) is exempt


@given(
    st.text(st.sampled_from("*.,:/[]%-12aü \t\x00@"), max_size=30), st.sampled_from(["a.2a", "1.2.1.2", "[::1]", ""])
)
def test_nothing_that_is_written_there_is_an_error(no_proxy: str, host: str) -> None:
    is_exempt(no_proxy, host, 443)


@pytest.mark.parametrize("no_proxy", [CONTAINERS, "[::1],127.0.0.1", "münchen.example,127.0.0.0/8", "127.0.0.1."])
async def test_a_client_keeps_to_it(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with Network() as network:
        proxy = Proxy(network, refusal="403 Forbidden")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        url = f"http://{LOOPBACK}:{network.answering(HEAD_ONLY)}/"
        connection = Connection(url, "u")
        connection.check()
        for client in (connection.http(), connection.storage_http()):
            async with client as http:
                for to, status, over in ((url, 200, None), ("http://s3.example/", 403, proxy.url)):
                    assert (await http.get(to)).status_code == status
                    assert connection.proxy_to(to) == over
