"""The commands that change the book: an oddly written one, edited by each in turn; the diff is what was meant."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

import pytest
from support.fork_server import run_at_terminal
from support.sandboxes import PASSWORD, USER
from support.sites_cli import MemoryKeyring, ScriptedPrompt, SitesCli

from pmarep.cli.sites.duplicate import duplicate_interactively
from pmarep.cli.sites.remove import remove_interactively
from pmarep.sites import Credentials, SiteBook
from pmarep.sites.models import SiteTable

ODD = """\
# Our sites. Ask Kim before you change anything.

[defaults]
connections   =  'auto'   # as it comes

  [ servers . campus ] # one machine
  url="https://pma.campus.example/core/"
  username = 'seeder'

# Anna's box
[sites.box-anna]
server='campus'
target   = "slidebox-anna/demo"\t# not /Demo

# --- abroad ---

# the oldest
[ sites . "tokyo" ]   # 東京
    url = "https://tokyo.example/"   # behind the VPN
    # may be replaced next year
    username="replicator"
    target = '''Slides/incoming'''
    bwlimit = "08:00,2M 19:00,off"

[sites]
osaka = { url = "https://osaka.example/", username="o", target = "A" } # short
kyoto.url = "https://kyoto.example/"
kyoto.username = "k" # as ever
kyoto.target = "K"

# which go together
[groups]
geo = [ # all of them
  "tokyo",   # first
  'osaka',

  # since May
  "kyoto"
]
class = ['box-anna']
"""


@pytest.fixture
def sites_cli(tmp_path: Path) -> SitesCli:
    return SitesCli(tmp_path)


def changes(before: str, after: str) -> list[str]:
    """Lines that went and came, `-` and `+`."""
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in diff if not line.startswith(("---", "+++", "@@"))]


STEPS: list[tuple[tuple[str, ...], list[str]]] = [
    (
        ("sites", "add", "ghent", "--url", "https://g.example", "--username", "g", "--target", "G"),
        ["+[sites.ghent]", '+url = "https://g.example"', '+username = "g"', '+target = "G"', "+"],
    ),
    (
        ("sites", "edit", "box-anna", "--target", "slidebox-anna/new", "--connections", "8"),
        [
            '-target   = "slidebox-anna/demo"\t# not /Demo',
            '+target   = "slidebox-anna/new"\t# not /Demo',
            "+connections = 8",
        ],
    ),
    (
        ("sites", "edit", "tokyo", "--unset", "bwlimit", "--timeout", "30"),
        ['-    bwlimit = "08:00,2M 19:00,off"', "+    timeout = 30"],
    ),
    (
        ("sites", "edit", "osaka", "--target", "B"),
        [
            '-osaka = { url = "https://osaka.example/", username="o", target = "A" } # short',
            '+osaka = { url = "https://osaka.example/", username="o", target = "B" } # short',
        ],
    ),
    (("sites", "edit", "kyoto", "--bwlimit", "2M"), ['+kyoto.bwlimit = "2M"']),
    (
        ("sites", "rename", "tokyo", "edo"),
        [
            '-[ sites . "tokyo" ]   # 東京',
            '+[ sites . "edo" ]   # 東京',
            '-  "tokyo",   # first',
            '+  "edo",   # first',
        ],
    ),
    (
        ("sites", "rename", "kyoto", "nara"),
        [
            *('-kyoto.url = "https://kyoto.example/"', '-kyoto.username = "k" # as ever', '-kyoto.target = "K"'),
            '-kyoto.bwlimit = "2M"',
            *('+nara.url = "https://kyoto.example/"', '+nara.username = "k" # as ever', '+nara.target = "K"'),
            '+nara.bwlimit = "2M"',
            '-  "kyoto"',
            '+  "nara"',
        ],
    ),
    (
        ("sites", "duplicate", "box-anna", "box-ben", "--target", "slidebox-ben/demo"),
        ["+[sites.box-ben]", '+server = "campus"', '+target = "slidebox-ben/demo"', "+connections = 8", "+"],
    ),
    (
        ("sites", "duplicate", "edo", "edo-2", "--target", "Slides/2", "--yes"),
        [
            *("+", "+[servers.tokyo]", '+url = "https://tokyo.example/"   # behind the VPN', '+username="replicator"'),
            "+timeout = 30",
            *('-    url = "https://tokyo.example/"   # behind the VPN', '+    server = "tokyo"'),
            *('-    username="replicator"', "-    timeout = 30"),
            *("+[sites.edo-2]", '+server = "tokyo"', '+target = "Slides/2"', "+"),
        ],
    ),
    (("groups", "set", "kids", "box-*"), ['+kids = ["box-anna", "box-ben"]']),
    (("groups", "add", "class", "box-ben"), ["-class = ['box-anna']", "+class = ['box-anna', \"box-ben\"]"]),
    (("groups", "remove", "geo", "osaka"), ["-  'osaka',"]),
    (("groups", "remove", "kids"), ['-kids = ["box-anna", "box-ben"]']),
    (
        ("sites", "import", "boxes.csv", "--server", "campus"),
        ["+[sites.box-cy]", '+server = "campus"', '+target = "slidebox-cy"', "+"],
    ),
    (
        ("sites", "import", "boxes.csv", "--update"),
        ['-target = "slidebox-cy"', '+target = "slidebox-cy/demo"'],
    ),
    (
        ("sites", "remove", "box-anna", "--yes"),
        [
            *("-", "-# Anna's box", "-[sites.box-anna]", "-server='campus'"),
            *('-target   = "slidebox-anna/new"\t# not /Demo', "-connections = 8"),
            *("-class = ['box-anna', \"box-ben\"]", '+class = ["box-ben"]'),
        ],
    ),
    (
        ("sites", "remove", "osaka", "nara", "--yes"),
        [
            '-osaka = { url = "https://osaka.example/", username="o", target = "B" } # short',
            *('-nara.url = "https://kyoto.example/"', '-nara.username = "k" # as ever', '-nara.target = "K"'),
            *('-nara.bwlimit = "2M"', '-  "nara"'),
        ],
    ),
]


@pytest.mark.parametrize("dos", [False, True])
def test_each_command_changes_only_what_it_means(sites_cli: SitesCli, dos: bool) -> None:
    sites_cli.book.write_bytes((ODD.replace("\n", "\r\n") if dos else ODD).encode())
    for command, expected in STEPS:
        target = "slidebox-cy/demo" if "--update" in command else "slidebox-cy"
        (sites_cli.folder / "boxes.csv").write_text(f"name;target\nbox-cy;{target}\n", encoding="utf-8-sig")
        before = sites_cli.book.read_bytes().decode()
        sites_cli.pmarep(*command)
        after = sites_cli.book.read_bytes().decode()
        assert changes(before, after) == expected, command
        assert after.count("\r\n") == (after.count("\n") if dos else 0), command
        SiteBook.load(sites_cli.book)
    assert sorted(path.name for path in sites_cli.folder.iterdir()) == ["boxes.csv", "sites.toml"]


CHANGING = [
    ("sites", "add", "x", "--url", "https://x/", "--username", "x", "--target", "X"),
    ("sites", "edit", "tokyo", "--target", "X"),
    ("sites", "duplicate", "tokyo", "x", "--target", "X", "--yes"),
    ("sites", "rename", "tokyo", "x"),
    ("sites", "remove", "tokyo", "--yes"),
    ("sites", "import", "boxes.csv"),
    ("groups", "set", "x", "tokyo"),
    ("groups", "add", "geo", "tokyo"),
    ("groups", "remove", "geo"),
]
READING = [("sites", "list"), ("sites", "show", "tokyo"), ("sites", "login", "tokyo"), ("sites", "logout", "tokyo"),
           ("sites", "test"), ("groups", "list"), ("push", ".", "--sites", "tokyo")]  # fmt: skip


@pytest.mark.parametrize("command", [*CHANGING, *READING], ids=" ".join)
def test_a_book_with_an_error_is_not_touched_by_any_command(sites_cli: SitesCli, command: tuple[str, ...]) -> None:
    text = ODD.replace("timeout = 30", "").replace('username="replicator"', "usernam = 1")
    sites_cli.book.write_text(text)
    written = sites_cli.book.stat()
    (sites_cli.folder / "boxes.csv").write_text("name,target,url,username\nx,X,https://x/,x\n")
    done = sites_cli.pmarep(*command, code=2)
    assert f'{sites_cli.book}, line 21: [sites.tokyo] unknown key "usernam"; did you mean "username"?' in done.stderr
    assert sites_cli.book.read_text() == text
    assert sites_cli.book.stat().st_mtime_ns == written.st_mtime_ns


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_a_book_that_is_read_only_stays(sites_cli: SitesCli, command: tuple[str, ...]) -> None:
    sites_cli.write(tokyo=("https://t/", "T"))
    sites_cli.book.write_text(sites_cli.book.read_text() + "[groups]\ngeo = []\n")
    (sites_cli.folder / "boxes.csv").write_text("name,target,url,username\nx,X,https://x/,x\n")
    before = sites_cli.book.read_text()
    sites_cli.book.chmod(0o444)
    assert "is read-only; nothing was changed" in sites_cli.pmarep(*command, code=2).stderr
    assert sites_cli.book.read_text() == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sites", "edit", "tokio", "--target", "X"), 'there is no site "tokio" in {book}; did you mean "tokyo"?'),
        (("sites", "edit", "geo", "--target", "X"), '"geo" is a group in {book}, not a site'),
        (("sites", "edit", "tokyo"), "nothing to change; name an option such as --target, or --unset KEY"),
        (
            ("sites", "edit", "tokyo", "--unset", "proxy"),
            'tokyo has no "proxy" of its own; it has url, username',
        ),
        (
            ("sites", "edit", "box-anna", "--unset", "url"),
            'box-anna has no "url" of its own; it comes from [ser',
        ),
        (("sites", "edit", "box-anna", "--url", "https://x/"), "server and url exclude each other"),
        (("sites", "edit", "tokyo", "--target", "/x"), 'target "/x" begins or ends with "/"; write it as "x"'),
        (("sites", "rename", "tokyo", "geo"), '{book}, line 32: there is already a group "geo"'),
        (("sites", "rename", "tokyo", "a b"), 'the name "a b" cannot be used'),
        (("sites", "duplicate", "tokyo", "x"), "x needs --target; at Slides/incoming it would be tokyo again"),
        (
            ("sites", "duplicate", "tokyo", "x", "--target", "X"),
            "this would move url and username of tokyo to a new [servers.tokyo], so that tokyo and x share them; "
            "say --yes; nothing was changed",
        ),
        (
            ("sites", "remove", "tokyo"),
            "this would remove tokyo from {book} and from geo; say --yes; nothing",
        ),
        (("sites", "remove", "geo", "--yes"), "geo is a group; remove it with `pmarep groups remove geo`"),
        (("sites", "remove", "xob-*", "--yes"), 'no site matches "xob-*" in {book}'),
        (("groups", "set", "tokyo", "osaka"), '{book}, line 18: there is already a site "tokyo"'),
        (("groups", "set", "new", "osakka"), 'there is no site or group "osakka" in {book}; did you mean "osaka"?'),
        (("groups", "set", "geo", "geo"), '{book}: [groups] "geo" contains itself: geo -> geo'),
        (("groups", "add", "goe", "osaka"), 'there is no group "goe" in {book}; did you mean "geo"?'),
        (("groups", "remove", "class", "tokyo"), '"tokyo" is not in the group class itself; it has box-anna'),
    ],
)
def test_what_is_refused_leaves_the_book_alone(sites_cli: SitesCli, command: tuple[str, ...], words: str) -> None:
    text = ODD.replace('    bwlimit = "08:00,2M 19:00,off"\n', "")
    sites_cli.book.write_text(text)
    done = sites_cli.pmarep(*command, code=2)
    assert done.stderr.startswith(f"pmarep: {words.format(book=sites_cli.book)}")
    assert done.stderr.count("\n") == 1
    assert sites_cli.book.read_text() == text


# What they say


def test_notes_about_passwords_servers_and_groups(sites_cli: SitesCli) -> None:
    sites_cli.book.write_text(ODD)
    assert sites_cli("rename", "tokyo", "edo").stderr == (
        "note: a password in the variable PMAREP_PASSWORD_TOKYO has to be in PMAREP_PASSWORD_EDO now\n"
    )
    assert sites_cli("remove", "box-anna", "--yes").stderr == (
        "note: no site is at [servers.campus] now; it is still in the book\n"
        "note: the group class is empty now (pmarep groups remove class)\n"
        "note: if the password of seeder at https://pma.campus.example/core/ is in the keyring, it stays "
        "(keyring del pmarep 'seeder@https://pma.campus.example/core/')\n"
    )
    assert sites_cli("edit", "edo", "--username", "me").stderr == (
        "note: its password has to be that of me at https://tokyo.example/ now (pmarep sites login edo)\n"
    )
    assert sites_cli("edit", "edo", "--username", "me").stdout == "edo is as it was\n"
    sites_cli.environ["PMAREP_PASSWORD_EDO"] = "x"
    assert sites_cli("duplicate", "edo", "edo-2", "--target", "T", "--yes").stdout == (
        f"added edo-2 to {sites_cli.book}; url and username of both are in [servers.tokyo] now\n"
        "note: PMAREP_PASSWORD_EDO is for edo only, not for edo-2; PMAREP_PASSWORD_TOKYO would serve both\n"
    )


def test_a_keyring_that_is_not_there_is_not_spoken_of(sites_cli: SitesCli, book: Path) -> None:
    sites_cli.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    sites_cli.write(a=("https://a/", "A"))
    assert sites_cli("remove", "a", "--yes").stderr == ""


def test_a_password_that_another_site_needs_is_not_spoken_of(sites_cli: SitesCli, book: Path) -> None:
    sites_cli.write(a=("https://a/", "A"), b=("https://a/", "B"))
    assert sites_cli("remove", "a", "--yes").stderr == ""
    sites_cli.write(a=("https://a/", "A"), b=("https://a/", "B"))
    remove_interactively(book, ["a"], False, ScriptedPrompt(True), Credentials({}, MemoryKeyring()))


def test_logout(sites_cli: SitesCli) -> None:
    sites_cli.write(a=("https://a/", "A"), b=("https://a/", "B"), c=("https://c/", "C"))
    (sites_cli.folder / "keyring.json").write_text(f'{{"pmarep {USER}@https://a/": "{PASSWORD}"}}')
    done = sites_cli("logout", "*")
    assert done.stdout == (
        f"a: the password of {USER} at https://a/ is no longer in the keyring\n"
        f"c: the password of {USER} at https://c/ was not in the keyring\n"
    )
    assert done.stderr == "a: note that it was also the password of b\n"
    assert sites_cli.kept == {}
    sites_cli.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    done = sites_cli("logout", "c", code=2)
    assert done.stderr == "pmarep: cannot remove the password of c: this machine has no keyring\n"


def test_show_says_where_each_value_comes_from(sites_cli: SitesCli) -> None:
    sites_cli.book.write_text(ODD)
    sites_cli.environ["PMAREP_PASSWORD_CAMPUS"] = PASSWORD
    lines = [" ".join(line.split()) for line in sites_cli("show", "box-anna").stdout.splitlines()]
    assert lines[0] == "box-anna"
    assert "url https://pma.campus.example/core/ [servers.campus], line 7" in lines
    assert "target slidebox-anna/demo [sites.box-anna], line 13" in lines
    assert "connections auto [defaults], line 4" in lines
    assert "verify_tls true built in" in lines
    assert "groups class" in lines
    assert "password from the variable PMAREP_PASSWORD_CAMPUS" in lines
    sites_cli.book.write_text(
        ODD.replace(
            "server='campus'",
            "server='campus'\npassword_command = 'op read geheim'\n"
            "require = 'may {slide} geheim'\nprepare = ['strip', '{slide}', '{out}', 'geheim']",
        )
    )
    del sites_cli.environ["PMAREP_PASSWORD_CAMPUS"]
    done = sites_cli("show", "box-anna", "--json")
    assert '"password_from": "its password_command"' in done.stdout
    assert "geheim" not in done.stdout


@pytest.mark.parametrize("command", ["add", "edit"])
def test_every_key_of_a_site_has_an_option(sites_cli: SitesCli, command: str) -> None:
    sites_cli.environ["COLUMNS"] = "200"
    options = set(re.findall(r"--([a-z-]+)", sites_cli(command, "--help").stdout))
    assert {key.replace("_", "-") for key in SiteTable.model_fields} <= options


def test_a_tcp_algorithm_is_written_into_the_book(sites_cli: SitesCli) -> None:
    sites_cli.write(tokyo=("https://pma.example/", "Slides/in"))
    sites_cli("edit", "tokyo", "--congestion", "bbr")
    assert 'congestion = "bbr"' in sites_cli.book.read_text()
    add = ("--url", "https://b.example/", "--username", USER, "--target", "S", "--congestion", "bbr")
    sites_cli("add", "b", *add)
    assert sites_cli.book.read_text().count('congestion = "bbr"') == 2


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring", "no.Keyring"])
def test_show_says_that_there_is_no_keyring(sites_cli: SitesCli, backend: str) -> None:
    sites_cli.write(**{"box-anna": ("https://pma.example/", "Slides/in")})
    keyring = f"from the keyring (service pmarep, user {USER}@https://pma.example/)"
    assert sites_cli("show", "box-anna").stdout.splitlines()[-1].endswith(keyring)
    sites_cli.environ["PYTHON_KEYRING_BACKEND"] = backend
    words = (
        "but this machine has none; set PMAREP_PASSWORD_BOX_ANNA, or name a private file with it: "
        "pmarep sites edit box-anna --password-file FILE"
    )
    assert sites_cli("show", "box-anna").stdout.splitlines()[-1].endswith(f"{keyring}, {words}")


# Asking


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "sites.toml"
    path.write_text(ODD)
    return path


def test_duplicate_asks_for_the_target_and_before_it_moves(book: Path) -> None:
    script = ScriptedPrompt("/bad", "Slides/2", True)
    duplicate_interactively(book, "tokyo", "edo", None, False, script)
    assert script.seen == [
        "Target of edo (that of tokyo is Slides/incoming)",
        '  target "/bad" begins or ends with "/"; write it as "bad"',
        "Target of edo (that of tokyo is Slides/incoming)",
        "Move url and username of tokyo to a new [servers.tokyo], so that tokyo and edo share them?",
    ]
    assert SiteBook.load(book).sites["edo"].server == SiteBook.load(book).sites["tokyo"].server == "tokyo"


def test_duplicate_copies_for_those_who_do_not_want_a_server(book: Path) -> None:
    duplicate_interactively(book, "tokyo", "edo", "E", False, ScriptedPrompt(False))
    one, other = (SiteBook.load(book).sites[name] for name in ("tokyo", "edo"))
    assert other == one.model_copy(update={"name": "edo", "target": "E"})
    assert "servers.tokyo" not in book.read_text()


def test_remove_asks_first_and_about_the_keyring(book: Path) -> None:
    memory = MemoryKeyring()
    memory.kept = {"replicator@https://tokyo.example/": "x", "o@https://osaka.example/": "y"}
    before = book.read_text()
    remove_interactively(book, ["tokyo"], False, ScriptedPrompt(False), Credentials({}, memory))
    assert book.read_text() == before
    script = ScriptedPrompt(True, True, False)
    remove_interactively(book, ["tokyo", "osaka"], False, script, Credentials({}, memory))
    assert script.seen[0] == f"Remove tokyo, osaka from {book} and from geo?"
    assert set(SiteBook.load(book).sites) == {"box-anna", "kyoto"}
    assert memory.kept == {"o@https://osaka.example/": "y"}


@pytest.mark.skipif(sys.platform == "win32", reason="no pty")
@pytest.mark.parametrize("no_input", [False, True])
def test_on_a_real_terminal_no_input_asks_nothing(sites_cli: SitesCli, no_input: bool) -> None:
    sites_cli.write(tokyo=("https://t/", "T"))
    extra = ["--no-input"] if no_input else []
    code, seen = on_terminal(sites_cli, ["sites", "remove", "tokyo", *extra], b"y\nn\n")
    if no_input:
        assert (code, "say --yes" in seen, "[y/N]" in seen) == (2, True, False)
        assert "tokyo" in SiteBook.load(sites_cli.book).sites
    else:
        assert (code, seen.count("[y/N]")) == (0, 2)
        assert not SiteBook.load(sites_cli.book).sites
    if no_input:
        for command in (["login", "tokyo"], ["duplicate", "tokyo", "x"], ["add", "x"]):
            code, seen = on_terminal(sites_cli, ["sites", *command, "--no-input"], b"")
            assert (code, seen.count("\n")) == (2, 1), seen


def on_terminal(sites_cli: SitesCli, args: list[str], typed: bytes) -> tuple[int, str]:
    return run_at_terminal(args, sites_cli.environment, typed, folder=sites_cli.folder)


@pytest.mark.skipif(sys.platform == "win32", reason="no pty")
def test_a_hundred_sites_fit_a_terminal(sites_cli: SitesCli) -> None:
    sites_cli.book.write_text(
        '[servers.campus]\nurl = "https://pma.campus.example/a/rather/long/path/core/"\nusername = "seeder"\n'
        + "".join(f'[sites.box-{n:03}]\nserver = "campus"\ntarget = "slidebox-{n:03}/demo"\n' for n in range(100))
    )
    sites_cli.environ |= {"COLUMNS": "60", "LINES": "24"}
    code, seen = on_terminal(sites_cli, ["sites", "list"], b"")
    lines = seen.splitlines()
    assert (code, len(lines)) == (0, 102)
    assert all(len(line) <= 60 for line in lines[:-1])
    assert [line.split()[0] for line in lines[1:-1]] == [f"box-{n:03}" for n in range(100)]
    assert "100 sites in" in lines[-1]
    assert len(sites_cli("list").stdout.splitlines()) == 101
    assert "rather/long/path/core/ " in sites_cli("list").stdout
    assert len(sites_cli("list", "box-00*,box-09?").stdout.splitlines()) == 21
