from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from support import plain_http
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import Sandbox


def test_a_login_opens_a_session_and_a_logout_ends_it(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        assert client.login["Success"] is True
        assert client.login["Username"] == USER
        assert client.get("Ping") is True
        assert sandbox.open_sessions == 1
        assert client.get("DeAuthenticate") is True
        assert sandbox.open_sessions == 0
        assert client.get("Ping") is False
        assert "Code" in client.get("GetRootDirectories")


def test_a_wrong_password_is_status_200_with_a_reason(sandbox: Sandbox) -> None:
    with Client(sandbox, password="wrong") as client:
        assert client.login["Success"] is False
        assert client.login["Reason"]
        assert client.login["SessionId"] is None
    assert sandbox.open_sessions == 0


def test_new_servers_take_no_password_in_a_url_and_old_ones_know_nothing_else(start_sandbox: StartSandbox) -> None:
    new, old = start_sandbox("new"), start_sandbox("old", version="2.0.0.1835", wrap_answers=True)
    login = {"username": USER, "password": PASSWORD}
    assert plain_http.get(new.url + "api/json/authenticate", params=login).status_code == 405
    assert plain_http.post(old.url + "api/json/authenticate", json=login).status_code == 405
    assert plain_http.get(old.url + "api/json/authenticate", params=login).json()["d"]["Success"] is True
    assert plain_http.get(old.url + "api/json/GetVersionInfo").json() == {"d": "2.0.0.1835"}
    assert plain_http.get(new.url + "api/json/GetVersionInfo").json() == "3.0.3.2222"


@pytest.mark.parametrize("spelling", ["sessionID", "sessionId", "SESSIONID"])
@pytest.mark.parametrize("method", ["api/json/GetRootDirectories", "API/Json/getrootdirectories"])
def test_query_and_method_names_match_ignoring_case(sandbox: Sandbox, spelling: str, method: str) -> None:
    with Client(sandbox) as client:
        assert client.http.get(method, params={spelling: client.session}).json() == ["Slides"]


def test_sessions_end_on_request_and_when_unused(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox()
    with Client(sandbox) as client:
        sandbox.end_all_sessions()
        assert client.get("GetRootDirectories")["Code"] == 401
    brief = start_sandbox("brief", session_seconds=-1.0)
    with Client(brief) as client:
        assert client.get("Ping") is False


def test_refusals_have_the_shape_of_their_part_of_the_api(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(refusal_status=500)
    with Client(sandbox) as client:
        api = client.http.get("api/json/GetFiles", params={"sessionID": client.session, "path": "Slides/none"})
        assert (api.status_code, set(api.json())) == (500, {"Code", "Message"})
        transfer = client.announce_raw("Slides/none", [])
        assert (transfer.status_code, set(transfer.json())) == (404, {"Message", "ExceptionMessage"})


def test_nothing_answers_outside_the_base_path(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(path="core")
    assert sandbox.url.endswith("/core/")
    assert plain_http.get(sandbox.url + "api/json/IsLite").json() is False
    outside = plain_http.get(sandbox.url.replace("/core/", "/api/json/IsLite"))
    assert outside.status_code == 404
    assert outside.headers["content-type"].startswith("text/html")
    assert plain_http.get(sandbox.url + "api/json/Nonsense").status_code == 404


def test_folders_are_made_level_by_level(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        assert "Code" in client.post("CreateDirectory", path="Slides/a/b")
        assert client.post("CreateDirectory", path="slides/a") is True
        assert client.post("CreateDirectory", path="Slides/A/b & c+%#") is True
        assert "exists" in client.post("CreateDirectory", path="Slides/A")["Message"]
        assert "Windows" in client.post("CreateDirectory", path="Slides/a?")["Message"]
        assert "Code" in client.post("CreateDirectory", path="Nowhere/a")
        assert client.get("GetDirectories", path="SLIDES") == ["Slides/a"]
        assert client.get("GetDirectories", path="Slides/A") == ["Slides/a/b & c+%#"]
    assert (sandbox.data / "Slides" / "a" / "b & c+%#").is_dir()


def test_writing_calls_want_the_session_in_a_json_body(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        url = "api/json/CreateDirectory"
        query = {"sessionID": client.session, "path": "Slides/a"}
        assert client.http.get(url, params=query).status_code == 405
        assert "Code" in client.http.post(url, params=query, json={"path": "Slides/a"}).json()
        assert "Code" in client.http.post(url, data=query).json()
        assert client.http.post(url, json={"sessionID": ["x"], "path": "Slides/a"}).json()["Code"] == 401
    assert not (sandbox.data / "Slides" / "a").exists()


@pytest.mark.parametrize(
    "path",
    ["Slides/../..", "Slides/%2e%2e", "../Slides", "/Slides", "Slides\\..\\x", "C:/", "Slides/\x00", ".sandbox", ""],
)
def test_no_path_leads_out_of_a_root_directory(sandbox: Sandbox, path: str, tmp_path: Path) -> None:
    (tmp_path / "secret.svs").write_bytes(b"secret")
    with Client(sandbox) as client:
        for method, name in (("GetDirectories", "path"), ("GetFiles", "path"), ("GetFilenames", "pathOrUid")):
            assert "Code" in client.get(method, **{name: path})
        assert "Code" in client.post("CreateDirectory", path=path + "/new")
        assert client.download(path + "/secret.svs", "secret.svs").status_code >= 400
        assert client.download("Slides/a.svs", "../../secret.svs").status_code >= 400
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sandbox", "secret.svs"]


def test_the_log_holds_no_secret(sandbox: Sandbox) -> None:
    with Client(sandbox) as client:
        client.get("GetFiles", path="Slides")
        plain_http.get(sandbox.url + "api/json/authenticate", params={"username": USER, "password": PASSWORD})
        assert sandbox.requests[-2].path == "api/json/GetFiles?path=Slides"
        assert client.session not in repr(sandbox.requests)
        assert PASSWORD not in repr(sandbox.requests) + repr(sandbox.settings)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give the port to whoever asks")
def test_nobody_else_gets_its_port_while_it_is_stopped(sandbox: Sandbox) -> None:
    address = ("127.0.0.1", sandbox.settings.port)
    sandbox.stop()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    sandbox.start()
    socket.create_connection(address).close()
