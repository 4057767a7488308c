"""`pmarep sites` as people and scripts run it, against PMA.core stand-ins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from support.sandboxes import PASSWORD, USER, StartSandbox
from support.sites_cli import MemoryKeyring, ScriptedPrompt, SitesCli

from pmacore_sandbox import Sandbox
from pmarep.cli.sites.add_dialog import _command, add_interactively
from pmarep.errors import ConfigError
from pmarep.sites import Credentials, SiteBook


@pytest.fixture
def sites_cli(tmp_path: Path) -> SitesCli:
    return SitesCli(tmp_path)


def variable(name: str) -> dict[str, str]:
    return {f"PMAREP_PASSWORD_{name}": PASSWORD}


# add and list, which contact nobody


def test_add_and_list_in_a_script(sites_cli: SitesCli) -> None:
    done = sites_cli("add", "tokyo", "--url", "https://tokyo.example", "--username", "me", "--target", "Slides/ä b",
                 "--connections", "8", "--bwlimit", "20M", "--password-command", "pass show x")  # fmt: skip
    assert done.stdout.startswith(f"added tokyo to {sites_cli.book}; ")
    site = SiteBook.load(sites_cli.book).sites["tokyo"]
    assert (site.connections, site.bwlimit, site.password_command) == (8, "20M", "pass show x")
    sites_cli.book.write_text(sites_cli.book.read_text() + "[groups]\nasia = ['tokyo']\n", encoding="utf-8")
    listed = sites_cli("list")
    assert listed.stdout.splitlines() == [
        "NAME   URL                     USER NAME  TARGET      GROUPS",
        "tokyo  https://tokyo.example/  me         Slides/ä b  asia",
    ]
    assert json.loads(sites_cli("list", "--json").stdout) == [
        {
            "name": "tokyo", "server": None, "url": "https://tokyo.example/", "username": "me", "target": "Slides/ä b",
            "connections": 8, "bwlimit": "20M", "ca_bundle": None, "client_cert": None, "proxy": None,
            "verify_tls": True, "connect_timeout": None, "timeout": None, "congestion": None, "label_images": "warn",
            "include": None, "exclude": None, "newer_than": None, "min_size": None,
            "allow_http_uploads": False, "password_file": None,
            "groups": ["asia"],
        }
    ]  # fmt: skip


def test_a_long_line_is_not_cut_where_nobody_looks(sites_cli: SitesCli) -> None:
    target = "Slides/" + "/".join(["a-folder-with-a-long-name"] * 20)
    sites_cli.write(tokyo=("https://tokyo.example/", target))
    assert target in sites_cli("list").stdout


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
def test_add_without_what_it_needs(sites_cli: SitesCli, args: tuple[str, ...], words: str) -> None:
    before = '[servers.campus]\nurl = "https://campus/"\nusername = "u"\n'
    sites_cli.book.write_text(before)
    done = sites_cli("add", "new", *args, code=2)
    expected = words.format(book=sites_cli.book, folder=f"{sites_cli.folder}{os.sep}")
    assert done.stderr.startswith(f"pmarep: {expected}")
    assert "geheim" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert sites_cli.book.read_text() == before


def test_list_without_sites_and_without_a_book(sites_cli: SitesCli) -> None:
    assert sites_cli("list", code=2).stderr == (
        f"pmarep: {sites_cli.book} is not there; add a first site with `pmarep sites add NAME`\n"
    )
    sites_cli.book.touch()
    assert sites_cli("list").stderr == f"no sites in {sites_cli.book}; add one with `pmarep sites add NAME`\n"


def test_advice_is_about_the_book_that_was_named(sites_cli: SitesCli) -> None:
    words = "is not there; add a first site with `pmarep sites add NAME --config"
    for command in (
        ("sites", "list"), ("sites", "test"), ("groups", "list"), ("push", ".", "--sites", "a"),
        ("verify", ".", "--sites", "a"), ("slides", "."), ("sites", "edit", "a", "--target", "S"),
        ("sites", "duplicate", "a", "b", "--target", "S"), ("sites", "remove", "a", "--yes"),
    ):  # fmt: skip
        message = sites_cli.pmarep(*command, "--config", "nope.toml", code=2).stderr
        assert message == f"pmarep: nope.toml {words} nope.toml`\n"
    (sites_cli.folder / "my books").mkdir()
    assert f'{words} "my books' in sites_cli("list", "--config", "my books/nope.toml", code=2).stderr
    (sites_cli.folder / "empty.toml").touch()
    message = sites_cli("list", "--config", "empty.toml").stderr
    assert message == "no sites in empty.toml; add one with `pmarep sites add NAME --config empty.toml`\n"
    message = sites_cli.pmarep("groups", "list", "--config", "empty.toml").stderr
    assert message.endswith("make one with `pmarep groups set NAME MEMBER... --config empty.toml`\n")


# login


def test_login_checks_and_keeps_a_piped_password(sites_cli: SitesCli, sandbox: Sandbox) -> None:
    sites_cli.write(tokyo=(sandbox.url, "Slides"), osaka=(sandbox.url, "Slides/o"))
    done = sites_cli("login", "tokyo,osaka", stdin=f"{PASSWORD}\r\nmore\n")
    assert done.stdout == f"tokyo: {sandbox.url} accepts the password of {USER}; it is in the keyring now\n"
    assert sites_cli.kept == {f"pmarep {USER}@{sandbox.url}": PASSWORD}
    assert sandbox.open_sessions == 0
    assert sites_cli("test", "osaka").stdout.splitlines()[1].startswith("osaka  ok")


def test_login_keeps_no_wrong_password(sites_cli: SitesCli, sandbox: Sandbox) -> None:
    sites_cli.write(tokyo=(sandbox.url, "Slides"))
    done = sites_cli("login", "tokyo", stdin="falsch-geraten\n", code=1)
    assert done.stderr.startswith(f"pmarep: {sandbox.url} does not let {USER} in (")
    assert "falsch" not in done.stderr
    assert (
        sites_cli("login", "tokyo", code=2).stderr
        == "pmarep: no password was given for tokyo, so none is kept; type it when it is asked for, or pipe it\n"
    )
    assert sites_cli.kept == {}


def test_login_without_a_keyring_names_the_other_ways(sites_cli: SitesCli, sandbox: Sandbox) -> None:
    sites_cli.write(tokyo=(sandbox.url, "Slides"))
    sites_cli.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    assert sites_cli("login", "tokyo", stdin=PASSWORD, code=2).stderr == (
        "pmarep: cannot keep the password of tokyo: this machine has no keyring; "
        "set PMAREP_PASSWORD_TOKYO, or name a private file with it: "
        "pmarep sites edit tokyo --password-file FILE\n"
    )


def test_add_never_asks_for_what_is_configured(sites_cli: SitesCli) -> None:
    args = ("--url", "https://tokyo.example", "--username", "me", "--target", "S")
    said = sites_cli("add", "tokyo", *args, "--password-command", "pass show x").stdout
    assert said == f"added tokyo to {sites_cli.book}; now try it (pmarep sites test tokyo)\n"
    sites_cli.environ["PMAREP_PASSWORD_OSAKA"] = "x"
    assert sites_cli("add", "osaka", *args).stdout.endswith("; now try it (pmarep sites test osaka)\n")
    sites_cli.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    assert sites_cli("add", "kyoto", *args).stdout.endswith(
        "; now set PMAREP_PASSWORD_KYOTO, or name a private file with it: "
        "pmarep sites edit kyoto --password-file FILE, and try it "
        "(pmarep sites test kyoto)\n"
    )


def test_login_tells_what_comes_before_the_keyring(sites_cli: SitesCli, sandbox: Sandbox) -> None:
    sites_cli.write(tokyo=(sandbox.url, "Slides"))
    sites_cli.environ |= {"PMAREP_PASSWORD_TOKYO": "old"}
    done = sites_cli("login", "tokyo", stdin=PASSWORD)
    assert done.stderr == "tokyo: note that the variable PMAREP_PASSWORD_TOKYO comes before the keyring\n"


def test_one_pipe_is_not_the_password_of_two_servers(sites_cli: SitesCli) -> None:
    sites_cli.write(a=("http://a/", "R"), b=("http://b/", "R"))
    done = sites_cli("login", "a", "b", stdin=PASSWORD, code=2)
    assert done.stderr == "pmarep: stdin has one password, but a, b need one each; name one site\n"


# test


def test_test_says_what_is_there(sites_cli: SitesCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    other = start_sandbox("other", path="/core/")
    (sandbox.data / "Slides" / "In" / "deep").mkdir(parents=True)
    sites_cli.write(
        tokyo=(sandbox.url, "slides/in/Deep"),
        kyoto=(other.url, "Slides"),  # between two that share a session: the book's order is kept
        osaka=(sandbox.url, "Slides/new/er"),
    )
    sites_cli.environ |= variable("TOKYO") | variable("OSAKA") | variable("KYOTO")
    rows = [line.split() for line in sites_cli("test").stdout.splitlines()[1:]]
    seen = ["ms", "none", sandbox.settings.version, "accepted"]
    assert [row[:2] + row[3:] for row in rows] == [
        ["tokyo", "ok", *seen, "slides/in/Deep", "exists"],
        ["kyoto", "ok", *seen, "Slides", "exists"],
        ["osaka", "ok", *seen, "Slides/new/er", "will", "be", "made"],
    ]
    assert sandbox.open_sessions == other.open_sessions == 0
    logins = [request for request in sandbox.requests if "authenticate" in request.path.lower()]
    assert len([login for login in logins if "deauth" not in login.path.lower()]) == 1, "two sites share a session"
    assert not (sandbox.data / "Slides" / "new").exists()


def test_test_names_each_failure_and_goes_on(
    sites_cli: SitesCli, sandbox: Sandbox, start_sandbox: StartSandbox
) -> None:
    down = start_sandbox("down")
    down.stop()
    sites_cli.write(
        up=(sandbox.url, "Slides"),
        down=(down.url, "Slides"),
        root=(sandbox.url, "Slidez/x"),
    )
    sites_cli.book.write_text(
        sites_cli.book.read_text()
        + f'[sites.refused]\nurl = "{sandbox.url}"\nusername = "nobody"\ntarget = "Slides"\n'
        + f'[sites.none]\nurl = "{sandbox.url}"\nusername = "forgetful"\ntarget = "Slides"\n'
        + f'[sites.path]\nurl = "{sandbox.url}core/"\nusername = "{USER}"\ntarget = "Slides"\n'
    )
    for name in ("UP", "DOWN", "ROOT", "REFUSED", "PATH"):
        sites_cli.environ |= variable(name)
    table, _, errors = sites_cli("test", code=1).stdout.partition("\n\n")
    words = dict(line.split(": ", 1) for line in errors.splitlines())
    lines = {line.split()[0]: [line.split()[1], words.get(line.split()[0], "")] for line in table.splitlines()[1:]}
    assert lines["up"][0] == "ok"
    assert {name for name, line in lines.items() if line[0] == "FAILED"} == set(lines) - {"up"}
    assert lines["down"][1].startswith(f"{down.url} refused the connection")
    assert lines["root"][1] == f'{sandbox.url} has no root-directory "Slidez"; did you mean "Slides"?'
    assert lines["refused"][1].startswith(f"{sandbox.url} does not let nobody in (")
    assert lines["none"][1].startswith("no password for none: none is kept; run `pmarep sites login none`, set PMAREP_")
    assert f"{sandbox.url}core/" in lines["path"][1]
    checks = {check["site"]: check for check in json.loads(sites_cli("test", "--json", code=1).stdout)}
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
    assert "\nup    ok  " in sites_cli("test", "up").stdout


# add, on a terminal


Add = Callable[..., tuple[ScriptedPrompt, MemoryKeyring]]


@pytest.fixture
def add(tmp_path: Path) -> Add:
    def run(
        *answers: str | bool, keyring: MemoryKeyring | None = None, **values: str
    ) -> tuple[ScriptedPrompt, MemoryKeyring]:
        script, memory = ScriptedPrompt(*answers), keyring or MemoryKeyring()
        add_interactively(tmp_path / "sites.toml", "tokyo", values, script, Credentials({}, memory))
        assert list(script.answers) == []
        assert not script.heard(PASSWORD)
        return script, memory

    return run


def test_the_dialogue_from_the_url_to_the_keyring(add: Add, start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = start_sandbox(roots=("Boxes", "Slides"), path="/core/")
    script, memory = add(
        "tokyo",
        sandbox.url.rstrip("/"),
        "",
        USER,
        "guess",
        PASSWORD,
        "Slidez",
        "3",
        "2",
        "a\\b",
        "in/new",
        True,
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
    memory = MemoryKeyring()
    memory.kept[f"{USER}@{sandbox.url}"] = PASSWORD
    add("campus", "<enter>", "<enter>", keyring=memory)
    site = SiteBook.load(tmp_path / "sites.toml").sites["tokyo"]
    assert (site.server, site.target) == ("campus", "Slides")


def test_a_server_that_is_down_can_be_added_all_the_same(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.stop()
    with pytest.raises(typer.Abort):
        add(PASSWORD, "q", url=sandbox.url, username=USER, target="Slides")
    assert not (tmp_path / "sites.toml").exists()
    script, memory = add(PASSWORD, "x", "<enter>", "a", "Slides/x", url=sandbox.url, username=USER)
    assert script.heard("write one letter: t, u, n, a, q")
    assert script.heard("Its password is kept nowhere: run `pmarep sites login tokyo`, set PMAREP_PASSWORD_TOKYO, or")
    assert script.heard("refused the connection")
    assert memory.kept == {}
    assert SiteBook.load(tmp_path / "sites.toml").sites["tokyo"].target == "Slides/x"


def test_the_url_that_was_found_is_offered(add: Add, start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = start_sandbox(path="/core/")
    script, memory = add(sandbox.url.removesuffix("core/"), USER, PASSWORD, True, "1", "", True)
    assert script.heard(f"but there is one at {sandbox.url}")
    assert script.heard(f"Use {sandbox.url}?")
    assert SiteBook.load(tmp_path / "sites.toml").sites["tokyo"].url == sandbox.url
    assert memory.kept == {f"{USER}@{sandbox.url}": PASSWORD}


def test_the_user_name_and_the_url_can_be_corrected(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    """The answers that were right are not asked again, and a password is not sent to another machine."""
    wrong = "http://127.0.0.1:9/"
    script, _ = add(wrong, "nobody", PASSWORD, "u", sandbox.url, PASSWORD, "", "n", USER, PASSWORD, "1", "", False)
    site = SiteBook.load(tmp_path / "sites.toml").sites["tokyo"]
    assert (site.url, site.username, site.target) == (sandbox.url, USER, "Slides")
    assert script.heard(f"Password of nobody at {sandbox.url}")


def test_after_a_refusal_only_hidden_questions_come_unasked(sandbox: Sandbox, tmp_path: Path) -> None:
    """Who types the password again without reading the question does not see it on the screen."""
    guesses = ["guess", "gues", "guessed", "gess", PASSWORD]

    class Blind(ScriptedPrompt):
        def hidden(self, question: str, default: str | None = None) -> str:
            hidden.append(question)
            return guesses.pop(0)

    hidden: list[str] = []
    script = Blind("1", "", False)
    add_interactively(
        tmp_path / "sites.toml",
        "tokyo",
        {"url": sandbox.url, "username": USER},
        script,
        Credentials({}, MemoryKeyring()),
    )
    of = f"Password of {USER} at {sandbox.url}"
    assert hidden == [f"{of} (empty: do not log in now)", *[f"{of} (empty: other choices)"] * 4]
    assert script.heard("check user name and password (as typed), or ask the server's administrator")
    assert script.seen.count("  Many servers lock an account after some more of these.") == 1
    assert not script.heard("gues")
    assert not script.heard("User name")


def test_answers_survive_an_early_end(
    add: Add, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(ScriptedPrompt, "say", lambda _, words: heard.append(words))
    with pytest.raises(typer.Abort):
        add("http://127.0.0.1:9/", "a user", PASSWORD, "q", bwlimit="20M")
    assert heard[-1] == (
        "Nothing was added. To go on from here: pmarep sites add tokyo --bwlimit 20M --url http://127.0.0.1:9/ "
        "--username 'a user'"
    )


class NoKeyring(MemoryKeyring):
    """Stands for the backend of a machine without a keyring."""


NoKeyring.__module__ = "keyring.backends.fail"


def test_without_a_keyring_a_private_file_is_offered(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    script, _ = add(PASSWORD, "1", "", True, keyring=NoKeyring(), url=sandbox.url, username=USER)
    file = tmp_path / "tokyo.password"
    assert script.heard(f"This machine has no keyring. Keep the password in {file}, which only you can read?")
    site = SiteBook.load(tmp_path / "sites.toml").sites["tokyo"]
    assert site.password_file == file
    assert Credentials({}, NoKeyring()).password_for(site) == PASSWORD
    assert not script.heard("keyring?")


def test_without_a_keyring_and_the_file_the_ways_are_said(add: Add, sandbox: Sandbox, tmp_path: Path) -> None:
    script, _ = add(PASSWORD, "1", "", False, keyring=NoKeyring(), url=sandbox.url, username=USER)
    assert not (tmp_path / "tokyo.password").exists()
    assert script.seen[-1] == (
        "Its password is kept nowhere: set PMAREP_PASSWORD_TOKYO, or name a private file with it: "
        "pmarep sites edit tokyo --password-file FILE."
    )


def test_a_target_that_the_server_has_not_is_reported(add: Add, sandbox: Sandbox) -> None:
    script, memory = add(PASSWORD, False, url=sandbox.url, username=USER, target="Slide/x")
    assert script.heard('the target is Slide/x, but there is no such root-directory; did you mean "Slides"?')
    assert memory.kept == {}


def test_a_name_that_is_taken_is_reported_before_anything_is_asked(add: Add, tmp_path: Path) -> None:
    (tmp_path / "sites.toml").write_text("[groups]\ntokyo = []\n")
    with pytest.raises(ConfigError, match='there is already a group "tokyo"; choose another name'):
        add()


def test_the_command_that_adds_a_site_shows_no_words_of_its_commands() -> None:
    commands = dict.fromkeys(("password_command", "require", "prepare"), "tool {slide} {out} geheim")
    words = _command("tokyo", {"include": ["*.svs", "a b"], "target": "T", **commands})
    assert words == (
        "pmarep sites add tokyo --include '*.svs' --include 'a b' --target T "
        "--password-command ... --require ... --prepare ..."
    )
