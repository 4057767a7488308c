"""`pmarep sites` as people and scripts run it, against PMA.core stand-ins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from conftest import PASSWORD, USER, StartSandbox
from shell import Memory, Script, Shell

from pmacore_sandbox import Sandbox
from pmarep.cli.sites_add import add_by_asking
from pmarep.errors import ConfigError
from pmarep.sites import Credentials, SiteBook


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def variable(name: str) -> dict[str, str]:
    return {f"PMAREP_PASSWORD_{name}": PASSWORD}


# add and list, which contact nobody


def test_add_and_list_in_a_script(shell: Shell) -> None:
    done = shell("add", "tokyo", "--url", "https://tokyo.example", "--username", "me", "--target", "Slides/ä b",
                 "--connections", "8", "--bwlimit", "20M", "--password-command", "pass show x")  # fmt: skip
    assert done.stdout.startswith(f"added tokyo to {shell.book}; ")
    site = SiteBook.load(shell.book).sites["tokyo"]
    assert (site.connections, site.bwlimit, site.password_command) == (8, "20M", "pass show x")
    shell.book.write_text(shell.book.read_text() + "[groups]\nasia = ['tokyo']\n", encoding="utf-8")
    listed = shell("list")
    assert listed.stdout.splitlines() == [
        "NAME   URL                     USER NAME  TARGET      GROUPS",
        "tokyo  https://tokyo.example/  me         Slides/ä b  asia",
    ]
    assert json.loads(shell("list", "--json").stdout) == [
        {
            "name": "tokyo", "server": None, "url": "https://tokyo.example/", "username": "me", "target": "Slides/ä b",
            "connections": 8, "bwlimit": "20M", "ca_bundle": None, "client_cert": None, "proxy": None,
            "verify_tls": True, "connect_timeout": None, "timeout": None, "congestion": None,
            "allow_http_uploads": False,
            "groups": ["asia"],
        }
    ]  # fmt: skip


def test_a_long_line_is_not_cut_where_nobody_looks(shell: Shell) -> None:
    target = "Slides/" + "/".join(["a-folder-with-a-long-name"] * 20)
    shell.write(tokyo=("https://tokyo.example/", target))
    assert target in shell("list").stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "new needs --url (or --server), --username, --target; nothing was added"),
        (("--url", "https://x/", "--target", "A"), "new needs --username; nothing was added"),
        (("--server", "campsu"), '{book}: there is no server "campsu"; did you mean "campus"?'),
        (("--server", "campus"), "new needs --target; nothing was added"),
        (("--url", "https://me:geheim@x/"), "url holds a user name; the password does not belong in the URL"),
        (("--server", "campus", "--url", "https://x/"), "server and url exclude each other"),
        (("--target", "/x"), 'target "/x" begins or ends with "/"; write it as "x"'),
        (("--connections", "100"), 'connections has to be "auto" or a number from 1 to 64'),
        (("--bwlimit", "fast"), "bwlimit: cannot read the bandwidth limit 'fast'"),
        (("--ca-bundle", "no.pem"), "the ca_bundle {folder}no.pem is not there; name a PEM file"),
    ],
)
def test_add_without_what_it_needs(shell: Shell, args: tuple[str, ...], words: str) -> None:
    before = '[servers.campus]\nurl = "https://campus/"\nusername = "u"\n'
    shell.book.write_text(before)
    done = shell("add", "new", *args, code=2)
    expected = words.format(book=shell.book, folder=f"{shell.folder}{os.sep}")
    assert done.stderr.startswith(f"pmarep: {expected}")
    assert "geheim" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert shell.book.read_text() == before


def test_list_without_sites_and_without_a_book(shell: Shell) -> None:
    assert shell("list", code=2).stderr == (
        f"pmarep: {shell.book} is not there; add a first site with `pmarep sites add NAME`\n"
    )
    shell.book.touch()
    assert shell("list").stderr == f"no sites in {shell.book}; add one with `pmarep sites add NAME`\n"


def test_advice_is_about_the_book_that_was_named(shell: Shell) -> None:
    words = "is not there; add a first site with `pmarep sites add NAME --config"
    for command in (
        ("sites", "list"), ("sites", "test"), ("groups", "list"), ("push", ".", "--sites", "a"),
        ("verify", ".", "--sites", "a"), ("slides", "."), ("sites", "edit", "a", "--target", "S"),
        ("sites", "duplicate", "a", "b", "--target", "S"), ("sites", "remove", "a", "--yes"),
    ):  # fmt: skip
        said = shell.pmarep(*command, "--config", "nope.toml", code=2).stderr
        assert said == f"pmarep: nope.toml {words} nope.toml`\n"
    (shell.folder / "my books").mkdir()
    assert f'{words} "my books' in shell("list", "--config", "my books/nope.toml", code=2).stderr
    (shell.folder / "empty.toml").touch()
    said = shell("list", "--config", "empty.toml").stderr
    assert said == "no sites in empty.toml; add one with `pmarep sites add NAME --config empty.toml`\n"
    said = shell.pmarep("groups", "list", "--config", "empty.toml").stderr
    assert said.endswith("make one with `pmarep groups set NAME MEMBER... --config empty.toml`\n")


# login


def test_login_checks_and_keeps_a_piped_password(shell: Shell, sandbox: Sandbox) -> None:
    shell.write(tokyo=(sandbox.url, "Slides"), osaka=(sandbox.url, "Slides/o"))
    done = shell("login", "tokyo,osaka", stdin=f"{PASSWORD}\r\nmore\n")
    assert done.stdout == f"tokyo: {sandbox.url} accepts the password of {USER}; it is in the keyring now\n"
    assert shell.kept == {f"pmarep {USER}@{sandbox.url}": PASSWORD}
    assert sandbox.open_sessions == 0
    assert shell("test", "osaka").stdout.splitlines()[1].startswith("osaka  ok")


def test_login_keeps_no_wrong_password(shell: Shell, sandbox: Sandbox) -> None:
    shell.write(tokyo=(sandbox.url, "Slides"))
    done = shell("login", "tokyo", stdin="falsch-geraten\n", code=1)
    assert done.stderr.startswith(f"pmarep: {sandbox.url} does not let {USER} in (")
    assert "falsch" not in done.stderr
    assert shell("login", "tokyo", code=2).stderr == "pmarep: no password given for tokyo; nothing was kept\n"
    assert shell.kept == {}


def test_login_without_a_keyring_names_the_other_ways(shell: Shell, sandbox: Sandbox) -> None:
    shell.write(tokyo=(sandbox.url, "Slides"))
    shell.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    assert shell("login", "tokyo", stdin=PASSWORD, code=2).stderr == (
        "pmarep: cannot keep the password of tokyo: this machine has no keyring; "
        "set PMAREP_PASSWORD_TOKYO, or give it a password_command in the site book\n"
    )


def test_login_tells_what_comes_before_the_keyring(shell: Shell, sandbox: Sandbox) -> None:
    shell.write(tokyo=(sandbox.url, "Slides"))
    shell.environ |= {"PMAREP_PASSWORD_TOKYO": "old"}
    done = shell("login", "tokyo", stdin=PASSWORD)
    assert done.stderr == "tokyo: note that the variable PMAREP_PASSWORD_TOKYO comes before the keyring\n"


def test_one_pipe_is_not_the_password_of_two_servers(shell: Shell) -> None:
    shell.write(a=("http://a/", "R"), b=("http://b/", "R"))
    done = shell("login", "a", "b", stdin=PASSWORD, code=2)
    assert done.stderr == "pmarep: stdin has one password, but a, b need one each; name one\n"


# test


def test_test_says_what_is_there(shell: Shell, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    other = start_sandbox("other", path="/core/")
    (sandbox.data / "Slides" / "In" / "deep").mkdir(parents=True)
    shell.write(
        tokyo=(sandbox.url, "slides/in/Deep"),
        kyoto=(other.url, "Slides"),  # between two that share a session: the book's order is kept
        osaka=(sandbox.url, "Slides/new/er"),
    )
    shell.environ |= variable("TOKYO") | variable("OSAKA") | variable("KYOTO")
    rows = [line.split() for line in shell("test").stdout.splitlines()[1:]]
    seen = ["ms", "none", sandbox.settings.version, "accepted"]
    assert [row[:2] + row[3:] for row in rows] == [
        ["tokyo", "ok", *seen, "slides/in/Deep", "exists", "-", "unknown"],
        ["kyoto", "ok", *seen, "Slides", "exists", "-", "unknown"],
        ["osaka", "ok", *seen, "Slides/new/er", "will", "be", "made", "-", "unknown"],
    ]
    assert sandbox.open_sessions == other.open_sessions == 0
    logins = [request for request in sandbox.requests if "authenticate" in request.path.lower()]
    assert len([login for login in logins if "deauth" not in login.path.lower()]) == 1, "two sites share a session"
    assert not (sandbox.data / "Slides" / "new").exists()


def test_test_names_each_failure_and_goes_on(shell: Shell, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    down = start_sandbox("down")
    down.stop()
    shell.write(
        up=(sandbox.url, "Slides"),
        down=(down.url, "Slides"),
        root=(sandbox.url, "Slidez/x"),
    )
    shell.book.write_text(
        shell.book.read_text()
        + f'[sites.refused]\nurl = "{sandbox.url}"\nusername = "nobody"\ntarget = "Slides"\n'
        + f'[sites.none]\nurl = "{sandbox.url}"\nusername = "forgetful"\ntarget = "Slides"\n'
        + f'[sites.path]\nurl = "{sandbox.url}core/"\nusername = "{USER}"\ntarget = "Slides"\n'
    )
    for name in ("UP", "DOWN", "ROOT", "REFUSED", "PATH"):
        shell.environ |= variable(name)
    table, _, errors = shell("test", code=1).stdout.partition("\n\n")
    words = dict(line.split(": ", 1) for line in errors.splitlines())
    lines = {line.split()[0]: [line.split()[1], words.get(line.split()[0], "")] for line in table.splitlines()[1:]}
    assert lines["up"][0] == "ok"
    assert {name for name, line in lines.items() if line[0] == "FAILED"} == set(lines) - {"up"}
    assert lines["down"][1].startswith(f"{down.url} refused the connection")
    assert lines["root"][1] == f'{sandbox.url} has no root-directory "Slidez"; did you mean "Slides"?'
    assert lines["refused"][1].startswith(f"{sandbox.url} does not let nobody in (")
    assert lines["none"][1].startswith("no password for none: none is kept; run `pmarep sites login none`, set PMAREP_")
    assert f"{sandbox.url}core/" in lines["path"][1]
    checks = {check["site"]: check for check in json.loads(shell("test", "--json", code=1).stdout)}
    assert list(checks) == list(lines)
    assert checks["up"] | {"seconds": 0} == {
        "site": "up", "url": sandbox.url, "target": "Slides", "reachable": True, "version": sandbox.settings.version,
        "credentials": True, "root_directory": True, "folder": "exists", "seconds": 0, "error": None, "ok": True,
        "tls": None, "writable": None, "storage": "unknown", "advice": None,
    }  # fmt: skip
    known = {name: (c["reachable"], c["credentials"], c["root_directory"], c["ok"]) for name, c in checks.items()}
    assert known["down"] == (False, None, None, False)
    assert known["refused"] == (True, False, None, False)
    assert known["root"] == (True, True, False, False)
    assert "\nup    ok  " in shell("test", "up").stdout


# add, on a terminal


Add = Callable[..., tuple[Script, Memory]]


@pytest.fixture
def add(tmp_path: Path) -> Add:
    def run(*answers: str | bool, keyring: Memory | None = None, **values: str) -> tuple[Script, Memory]:
        script, memory = Script(*answers), keyring or Memory()
        add_by_asking(tmp_path / "sites.toml", "tokyo", values, script, Credentials({}, memory))
        assert list(script.answers) == []
        assert not script.heard(PASSWORD)
        return script, memory

    return run


def test_the_dialogue_from_the_url_to_the_keyring(add: Add, start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = start_sandbox(roots=("Boxes", "Slides"), path="/core/")
    script, memory = add(
        "tokyo", sandbox.url.rstrip("/"), "", USER, "guess", PASSWORD, "Slidez", "3", "2", "a\\b", "in/new", True
    )
    site = SiteBook.load(tmp_path / "sites.toml").sites["tokyo"]
    assert (site.url, site.username, site.target) == (sandbox.url, USER, "Slides/in/new")
    assert memory.kept == {f"{USER}@{sandbox.url}": PASSWORD}
    assert script.heard('url "tokyo" cannot be used')
    assert script.heard("username is empty")
    assert script.heard(f"does not let {USER} in")
    assert script.heard(f"Logged in: PMA.core {sandbox.settings.version}.")
    assert script.heard('there is no such root-directory; did you mean "Slides"?')
    assert script.heard('target "Slides/a\\b" holds a "\\"; write it with /')
    assert sandbox.open_sessions == 0


def test_a_password_that_is_known_is_not_asked_again(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "sites.toml").write_text(f'[servers.campus]\nurl = "{sandbox.url}"\nusername = "{USER}"\n')
    memory = Memory()
    memory.kept[f"{USER}@{sandbox.url}"] = PASSWORD
    add("campus", "<enter>", "<enter>", keyring=memory)
    site = SiteBook.load(tmp_path / "sites.toml").sites["tokyo"]
    assert (site.server, site.target) == ("campus", "Slides")


def test_a_server_that_is_down_can_be_added_all_the_same(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.stop()
    with pytest.raises(typer.Abort):
        add(PASSWORD, False, url=sandbox.url, username=USER, target="Slides")
    assert not (tmp_path / "sites.toml").exists()
    script, memory = add(PASSWORD, True, "Slides/x", url=sandbox.url, username=USER)
    assert script.heard("refused the connection")
    assert memory.kept == {}
    assert SiteBook.load(tmp_path / "sites.toml").sites["tokyo"].target == "Slides/x"


def test_a_target_that_the_server_has_not_is_told(add: Add, sandbox: Sandbox) -> None:
    script, memory = add(PASSWORD, False, url=sandbox.url, username=USER, target="Slide/x")
    assert script.heard('the target is Slide/x, but there is no such root-directory; did you mean "Slides"?')
    assert memory.kept == {}


def test_a_name_that_is_taken_is_told_before_anything_is_asked(add: Add, tmp_path: Path) -> None:
    (tmp_path / "sites.toml").write_text("[groups]\ntokyo = []\n")
    with pytest.raises(ConfigError, match='there is already a group "tokyo"; choose another name'):
        add()
