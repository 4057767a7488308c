"""The book: what is read from it, and the one line that each mistake gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import ConfigError, UsageError
from pmarep.sites import SiteBook, default_config_path, slides_settings

ROOT = Path(__file__).parents[3]
BOOK = """\
[defaults]
connections = 4
username = "everybody"

[servers.campus]
url = "https://PMA.Campus.example:443/core"
username = "seeder"
password_command = ["pass", "show", "campus"]

[sites.box-anna]
server = "campus"
target = "slidebox-anna/demo"

[sites.box-ben]
server = "campus"
target = "slidebox-ben/demo"
username = "ben"
connections = "auto"

[sites.tokyo]
url = "http://tokyo.example:8080"
target = "Slides/incoming"
bwlimit = "08:00,2M 19:00,off"

[groups]
class = ["box-anna", "box-ben"]
all = ["tokyo", "class"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sites.toml"


def load(path: Path, text: str) -> SiteBook:
    path.write_bytes(text.encode())
    path.chmod(0o600)
    return SiteBook.load(path)


def complaint(path: Path, text: str) -> str:
    """What the book's error says after the path."""
    with pytest.raises(ConfigError) as caught:
        load(path, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path)).lstrip(",: ")


def site(line: str) -> str:
    return f'# a comment\n\n[sites.tokyo]\nurl = "https://t/"\nusername = "u"\ntarget = "R/f"\n{line}\n'


# What is read


def test_defaults_server_site_in_this_order(path: Path) -> None:
    anna, ben, tokyo = load(path, BOOK).sites.values()
    assert (anna.url, anna.username, anna.connections) == ("https://pma.campus.example/core/", "seeder", 4)
    assert anna.password_command == ("pass", "show", "campus")
    assert (ben.username, ben.connections, ben.server) == ("ben", "auto", "campus")
    assert (tokyo.url, tokyo.username, tokyo.server) == ("http://tokyo.example:8080/", "everybody", None)
    assert tokyo.timetable is not None
    assert (anna.timetable, tokyo.password_command) == (None, None)


def test_a_site_with_its_own_url_is_not_on_the_default_server(path: Path) -> None:
    text = (
        '[defaults]\nserver = "s"\n[servers.s]\nurl = "https://s/"\nusername = "u"\npassword_command = "x"\n'
        '[sites.a]\ntarget = "A"\n[sites.b]\nurl = "https://b/"\nusername = "v"\ntarget = "B"\n'
    )
    a, b = load(path, text).sites.values()
    assert (a.server, a.url, a.password_command) == ("s", "https://s/", "x")
    assert (b.server, b.url, b.password_command) == (None, "https://b/", None)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_windows_editors(path: Path, newline: str, mark: str) -> None:
    assert len(load(path, mark + BOOK.replace("\n", newline)).sites) == 3
    assert complaint(path, mark + site("targett = 1").replace("\n", newline)).startswith("line 7:")


def test_the_example_loads_and_has_every_key(path: Path) -> None:
    from pmarep.sites.models import HooksTable, SiteTable, SlidesTable

    example = ROOT / "sites.example.toml"
    book = SiteBook.load(example)
    assert [s.name for s in book.select(["everyone"])] == ["tokyo", "saopaulo", "box-anna", "box-ben"]
    assert book.sites["tokyo"].ca_bundle == ROOT / "hospital-ca.pem"
    message = {line.split("=")[0].strip() for line in example.read_text().splitlines() if "=" in line}
    assert set(SiteTable.model_fields) | set(SlidesTable.model_fields) | set(HooksTable.model_fields) <= message


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://host", "https://host/"),
        ("HTTPS://Host:443/Core//", "https://host/Core/"),
        ("http://host:80", "http://host/"),
        ("http://host:443/", "http://host:443/"),
        ("http://[::1]:8080/core", "http://[::1]:8080/core/"),
        ("  https://host/  ", "https://host/"),
    ],
)
def test_urls_are_written_in_one_way(path: Path, written: str, url: str) -> None:
    text = f'[sites.a]\nurl = "{written}"\nusername = "u"\ntarget = "R"'
    assert load(path, text).sites["a"].url == url


def test_default_path() -> None:
    assert default_config_path({"PMAREP_CONFIG": "~/x.toml"}) == Path.home() / "x.toml"
    assert default_config_path({}).name == "sites.toml"
    assert default_config_path({"PMAREP_CONFIG": ""}).parent.name == "pmarep"


# What is chosen


def names(path: Path, *selection: str) -> list[str]:
    return [s.name for s in load(path, BOOK).resolve(selection)]


def test_groups_commas_and_repetitions(path: Path) -> None:
    assert names(path, "box-ben, all", "tokyo") == ["box-ben", "tokyo", "box-anna"]
    assert load(path, BOOK).groups_of("box-anna") == ["class", "all"]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("tokio", 'there is no site or group "tokio" in {path}; did you mean "tokyo"?'),
        ("TOKYO", 'there is no site or group "TOKYO" in {path}; did you mean "tokyo"?'),
        ("clas", 'there is no site or group "clas" in {path}; did you mean "class"?'),
        ("zzz", 'there is no site or group "zzz" in {path}; known: box-anna, box-ben, tokyo, class, all'),
    ],
)
def test_an_unknown_name_gets_the_nearest(path: Path, selection: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        names(path, selection)
    assert str(caught.value) == words.format(path=path)


def test_no_name_at_all(path: Path) -> None:
    with pytest.raises(UsageError, match=r"no site is named; known in .*: box-anna, box-ben"):
        names(path, " , ")
    with pytest.raises(UsageError, match="the group none has no sites"):
        load(path, BOOK + "none = []\n").resolve(["none"])


@pytest.mark.parametrize("target", ["slides/Incoming", "Slides/incoming"])
def test_two_names_for_one_place_are_refused_together_only(path: Path, target: str) -> None:
    book = load(
        path, BOOK + f'[sites.twin]\nurl = "http://TOKYO.example:8080/"\nusername = "other"\ntarget = "{target}"\n'
    )
    assert len(book.resolve(["twin"])) == 1
    with pytest.raises(ConfigError) as caught:
        book.resolve(["twin", "class", "tokyo"])
    assert str(caught.value) == (
        f'{path}: the sites "twin" and "tokyo" are the same place (http://tokyo.example:8080/ Slides/incoming) '
        "and would write over each other; leave one out"
    )
    assert len(book.select(["twin", "tokyo"])) == 2


@pytest.mark.parametrize("order", [["twin", "tokyo"], ["tokyo", "twin"]])
def test_a_place_within_another_is_refused_together_only(path: Path, order: list[str]) -> None:
    """A slide of the one can be what the other has below a folder of that name."""
    table = '[sites.{}]\nurl = "http://tokyo.example:8080/"\nusername = "other"\ntarget = "{}"\n'
    book = load(path, BOOK + table.format("twin", "slides/INCOMING/box") + table.format("like", "Slides/incoming2"))
    assert len(book.resolve(["twin"])) == 1
    assert len(book.resolve(["like", "tokyo"])) == 2
    with pytest.raises(ConfigError) as caught:
        book.resolve(order)
    assert str(caught.value) == (
        f'{path}: the site "twin" (slides/INCOMING/box) lies within "tokyo" (Slides/incoming), '
        "so a slide of one could be written over by the other; push to them one after the other"
    )


def test_a_ca_bundle_is_looked_for_when_its_site_is_used(path: Path) -> None:
    book = load(path, BOOK.replace('target = "Slides/incoming"', 'target = "Slides/incoming"\nca_bundle = "ca.pem"'))
    assert book.resolve(["class"])
    with pytest.raises(ConfigError) as caught:
        book.resolve(["all"])
    ca = path.parent / "ca.pem"
    assert str(caught.value) == f"{path}, line 23: [sites.tokyo] the ca_bundle {ca} is not there; name a PEM file"
    ca.touch()
    assert book.resolve(["all"])[0].ca_bundle == ca


def test_the_way_to_a_server(path: Path) -> None:
    from pmarep.pmacore import Connection
    from pmarep.sites.site_connection import connection_of

    text = '[defaults]\nproxy = "http://PROXY.example/"\ntimeout = 30\n' + site('client_cert = "me.pem"')
    tokyo = load(path, text).sites["tokyo"]
    cert = path.parent / "me.pem"
    usual = Connection("https://t/", "u", client_cert=(cert,), proxy="http://proxy.example:80", timeout=30.0)
    assert connection_of(tokyo) == usual
    lines = 'proxy = "None"\nverify_tls = false\nconnect_timeout = 2.5\nclient_cert = ["c.pem", "/k.pem"]'
    other = connection_of(load(path, text.replace('client_cert = "me.pem"', lines)).sites["tokyo"])
    assert (other.proxy, other.verify_tls, other.connect_timeout) == ("none", False, 2.5)
    assert other.client_cert == (path.parent / "c.pem", Path("/k.pem"))
    with pytest.raises(ConfigError) as caught:
        load(path, text).resolve(["tokyo"])
    assert str(caught.value) == f"{path}, line 10: [sites.tokyo] the client_cert {cert} is not there; name a PEM file"


def test_a_home_folder_in_ca_bundle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USERPROFILE", "/home/somebody")
    assert load(path, site('ca_bundle = "~/ca.pem"')).sites["tokyo"].ca_bundle == Path("/home/somebody/ca.pem")


# What is wrong

ALLOWED = (
    "allow_http_uploads, bwlimit, ca_bundle, client_cert, congestion, connect_timeout, connections, exclude, include, "
    "label_images, min_size, newer_than, password_command, password_file, prepare, proxy, require, server, target, "
    "timeout, url, username, verify_tls"
)
KEPT = (
    "looks like a password, which has no place in this file; keep it in the keyring (`pmarep sites login {login}`), "
    "in the variable PMAREP_PASSWORD_{variable}, or in a password_file"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            site("targett = 1"),
            f'line 7: [sites.tokyo] unknown key "targett"; did you mean "target"? allowed: {ALLOWED}',
        ),
        (site("zzz = 1"), f'line 7: [sites.tokyo] unknown key "zzz"; allowed: {ALLOWED}'),
        (
            "[sit]\n",
            'line 1: unknown table or key "sit"; did you mean "sites"? allowed: include, defaults, servers, sites, ',
        ),
        ("x=1\n", 'line 1: unknown table or key "x"; allowed: include, defaults, servers, sites, groups'),
        (
            "\n[servers.a]\nserver = 'x'",
            f'line 3: [servers.a] unknown key "server"; allowed: {ALLOWED.replace("server, ", "")}',
        ),
        (
            '[sites.box.anna]\ntarget = "x"',
            'line 1: [sites.box] unknown key "anna"; a name with a dot needs quotes: [sites."box.anna"]; '
            f"allowed: {ALLOWED}",
        ),
        ('[sites]\ntokyo = "https://x/"', 'line 2: [sites] "tokyo" has to be a table; write [sites.NAME] above it'),
        ("sites = 3", 'line 1: "sites" has to be tables; write [sites.NAME]'),
        ("[[sites]]\nurl = 1", 'line 1: "sites" has to be tables; write [sites.NAME]'),
        ("defaults = 3", 'line 1: [defaults] "defaults" has to be a table'),
        (
            '[sites."a b"]\n',
            'line 1: [sites] the name "a b" cannot be used; allowed: letters a-z and A-Z, digits, "-", "_" and ".", '
            "the first one a letter or digit",
        ),
        ("[servers.-x]\n", 'line 1: [servers] the name "-x" cannot be used; allowed'),
        (
            '[sites.a]\nserver = "b"\n[servers.bb]\nurl="https://b/"',
            'line 2: [sites.a] there is no server "b"; did you',
        ),
        ('[defaults]\nserver = "b"\n[sites.a]\ntarget="x"', 'line 2: [sites.a] there is no server "b"; known: none'),
        (
            '[servers.s]\nurl="https://s/"\n\n[sites.a]\nserver="s"',
            "line 4: [sites.a] has no username and no target; put it into [sites.a] or [servers.s] or [defaults]",
        ),
        (
            "[sites.a]",
            "line 1: [sites.a] has no url and no username and no target; put it into [sites.a] or [defaults]",
        ),
        ("[servers.s]\nusername = 'x'", "line 1: [servers.s] has no url; put it there, as https://host/"),
        (site('server = "x"'), "line 3: [sites.tokyo] server and url exclude each other; the server has the url"),
        (
            "[groups]\n\ngeo = 'tokyo'",
            'line 3: [groups] "geo" has to be a list of names, such as ["tokyo", "saopaulo"]',
        ),
        ("[groups.geo]\nx = 1", 'line 1: [groups] "geo" has to be a list of names'),
        ("groups = 1", 'line 1: "groups" has to be a table; write [groups]'),
        (
            site('[groups]\ngeo = [\n  "tokyo",\n  "tokio",\n]'),
            'line 8: [groups] "geo" names "tokio", which is no site or group; did you mean "tokyo"?',
        ),
        (
            site("[groups]\ntokyo = []"),
            'line 8: [groups] "tokyo" is already the name of a site; name the group otherwise',
        ),
        ('[groups]\na = ["b"]\nb = ["c"]\nc = ["b"]', 'line 3: [groups] "b" contains itself: b -> c -> b'),
        ('[groups]\na = ["a"]', 'line 2: [groups] "a" contains itself: a -> a'),
        ('[slides]\nenumerate = "ever"', 'line 2: [slides] enumerate has to be "auto" (ask PMA.start if it'),
        ("[slides]\nenumerate = true", 'line 2: [slides] enumerate has to be "auto"'),
        ("[slides]\nx = 1\n", 'line 2: [slides] unknown key "x"; allowed: enumerate'),
        ("slides = 3", 'line 1: [slides] "slides" has to be a table'),
        ("[sites.a]\n[sites.a]\n", "line 2, column 9: [sites.a] is there twice; leave one out"),
        ('[sites."y.z"]\n[sites."y.z"]\n', 'line 2, column 13: [sites."y.z"] is there twice'),
        ("[sites.a]\nurl = https://x/\n", "line 2, column 7: this is not TOML: Invalid value; text needs quotes"),
        ('[sites.a]\nurl = "x\n', "line 2, column 9: this is not TOML: Illegal character"),
        ("[sites.a]\nurl\n", "line 2, column 4: this is not TOML: Expected '=' after a key"),
        ('[sites.a]\nx = """', "line 2, column 8: this is not TOML: "),
        ('[sites.a]\nurl = "1"\nurl = "2"\n', "line 3, column"),
    ],
)
def test_mistakes(path: Path, text: str, words: str) -> None:
    message = complaint(path, text)
    assert message.startswith(words), message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("connections = 0", 'connections has to be "auto" or a number from 1 to 64'),
        ("connections = 65", 'connections has to be "auto" or a number from 1 to 64'),
        ("connections = true", 'connections has to be "auto" or a number from 1 to 64'),
        ('connections = "8"', 'connections has to be "auto" or a number from 1 to 64'),
        ("bwlimit = 20", "bwlimit has to be text in quotes"),
        ('bwlimit = "25:00,1M"', "bwlimit: there is no time 25:00"),
        ('ca_bundle = ""', "ca_bundle is empty"),
        ('client_cert = ""', "client_cert is empty"),
        ("client_cert = []", "client_cert has to be a file, or a list of two"),
        ('client_cert = ["a", "b", "c"]', "client_cert has to be a file, or a list of two"),
        ("client_cert = 1", "client_cert has to be text in quotes"),
        (
            'proxy = "http://me:geheim@proxy:3128"',
            "proxy holds a user name or password, which has no place in this file; leave proxy out and set the "
            "variable HTTPS_PROXY=http://user:password@host:port for pmarep",
        ),
        ('proxy = "proxy:3128"', 'proxy "proxy:3128" cannot be used; write it as http://host:port, or "none"'),
        ('proxy = "socks5://proxy:3128"', 'proxy "socks5://proxy:3128" cannot be used; write it as http://'),
        ('proxy = "http://proxy:x"', 'proxy "http://proxy:x" cannot be used; write it as http://'),
        ('proxy = "http://proxy/path"', 'proxy "http://proxy/path" cannot be used; write it as http://'),
        ('verify_tls = "no"', "verify_tls has to be true or false, without quotes"),
        ("timeout = 0", "timeout has to be a number of seconds, more than 0 and up to 3600"),
        ("timeout = true", "timeout has to be a number of seconds, more than 0 and up to 3600"),
        ('connect_timeout = "5s"', "connect_timeout has to be a number of seconds, more than 0 and up to 3600"),
        (
            "password_command = []",
            'password_command has to be text, or a list of texts such as ["pass", "show", "tokyo"]',
        ),
        ("password_command = ['a', 1]", "password_command has to be text, or a list"),
        ("password_command = ''", "password_command has to be text, or a list"),
    ],
)
def test_values_that_cannot_be_used(path: Path, line: str, words: str) -> None:
    assert complaint(path, site(line)).startswith(f"line 7: [sites.tokyo] {words}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/", 'url "ftp://host/" cannot be used; write it as https://host/ or http://host/'),
        ("host/core", 'url "host/core" cannot be used; write it as https://host/'),
        ("https:///core", 'url "https:///core" cannot be used'),
        ("https://host:99999/", 'url "https://host:99999/" cannot be read; write it as https://host/'),
        ("https://ho st/", 'url "https://ho st/" holds a blank'),
        ("https://host/?x=1", 'url goes on after its path; leave out what follows "?" or "#"'),
        ("https://host/#", 'url goes on after its path; leave out what follows "?" or "#"'),
        ("https://host\\\\core", 'url "https://host\\core" holds a blank or a "\\"'),
        ("https://host/\\t", "url holds a control character"),
    ],
)
def test_urls_that_cannot_be_used(path: Path, url: str, words: str) -> None:
    text = f'[sites.a]\nusername = "u"\nurl = "{url}"\ntarget = "R"'
    message = complaint(path, text)
    assert message.startswith(f"line 3: [sites.a] {words}"), message


@pytest.mark.parametrize("url", ["https://me:hunter2@host/", "me:hunter2@host", "https://me:hun/ter2@host/?hunter2"])
def test_a_password_in_a_url_is_not_repeated(path: Path, url: str) -> None:
    message = complaint(path, f'[servers.a]\nurl = "{url}"')
    assert message == (
        "line 2: [servers.a] url holds a user name; the password does not belong in the URL, the name goes to username"
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "target is empty; write it as Root/folder"),
        ("/Root/f", 'target "/Root/f" begins or ends with "/"; write it as "Root/f"'),
        ("Root/f/", 'target "Root/f/" begins or ends with "/"; write it as "Root/f"'),
        ("Root\\\\f", 'target "Root\\f" holds a "\\"; write it with /'),
        ("/Root//f/", 'target "/Root//f/" begins or ends with "/"; write it as "Root/f"'),
        ("/Root/../f/", 'target "/Root/../f/" begins or ends with "/"; write it as Root/folder'),
        ("//", 'target "//" begins or ends with "/"; write it as Root/folder'),
        ("Root//f", 'target "Root//f" holds the part ""; write it as "Root/f"'),
        ("Root/../f", 'target "Root/../f" holds the part ".."'),
        (".", 'target "." holds the part "."'),
        ("Root/f ", 'target "Root/f " holds a part with a blank or dot at its end'),
        ("Root/a./f", 'target "Root/a./f" holds a part with a blank or dot at its end'),
        ("Root/a\\nb", "target holds a control character"),
    ],
)
def test_targets_that_cannot_be_used(path: Path, target: str, words: str) -> None:
    message = complaint(path, f'[sites.a]\ntarget = "{target}"')
    assert message.startswith(f"line 2: [sites.a] {words}"), message


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/\\"), min_size=1))
def test_a_target_is_kept_to_the_letter_or_refused(folder: str) -> None:
    from pmarep.sites import validators

    try:
        assert validators.target(f"Root/{folder}") == f"Root/{folder}"
    except ValueError:
        assert folder in (".", "..") or folder != folder.strip() or folder.endswith(".")


@pytest.mark.parametrize("key", ["password", "Passwd", "secret", "api_token", "pwd", "passphrase"])
@pytest.mark.parametrize(
    ("table", "login", "variable"),
    [("[sites.to-kyo]", "to-kyo", "TO_KYO"), ("[servers.campus]", "NAME", "CAMPUS"), ("[defaults]", "NAME", "NAME")],
)
def test_a_password_is_refused_and_not_repeated(path: Path, key: str, table: str, login: str, variable: str) -> None:
    message = complaint(path, f'{table}\nzzz = 1\n{key} = "hunter2"\n')
    assert message == f'line 3: {table} "{key}" {KEPT.format(login=login, variable=variable)}'


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_password_that_others_can_read(path: Path, mode: int, exposed: bool) -> None:
    path.write_text('[sites.a]\npassword = "hunter2"\n')
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(path)
    hint = f"; others on this machine can read the file: change that password, and `chmod 600 {path}`"
    assert str(caught.value).endswith(hint) == exposed
    assert "hunter2" not in str(caught.value)


def test_a_password_outside_of_every_table(path: Path) -> None:
    assert complaint(path, 'password = "hunter2"') == f'line 1: "password" {KEPT.format(login="NAME", variable="NAME")}'


def test_one_variable_for_two_machines_is_refused(path: Path) -> None:
    second_site = '\n[sites.box_anna]\nurl = "https://other/"\ntarget = "x"\n'
    assert complaint(path, BOOK + second_site) == (
        'line 29: [sites.box_anna] the site "box_anna" and the site "box-anna" are different PMA.cores, '
        "but the password of both would be PMAREP_PASSWORD_BOX_ANNA; rename one"
    )
    assert complaint(path, BOOK.replace("tokyo", "campus")).startswith(
        'line 20: [sites.campus] the site "campus" and the server "campus" are different PMA.cores'
    )
    same = '\n[sites.box_anna]\nserver = "campus"\ntarget = "x"\n'
    assert len(load(path, BOOK + same).sites) == 4


def test_a_book_that_is_not_there_or_no_text(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(path)
    assert str(caught.value) == f"{path} is not there; add a first site with `pmarep sites add NAME`"
    path.write_bytes(b"# a\n# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        SiteBook.load(path)
    assert str(caught.value) == f"{path}, line 2: the file is not UTF-8; save it as UTF-8"
    with pytest.raises(ConfigError, match=r"cannot be read \("):
        SiteBook.load(path.parent)


def test_lines_where_toml_is_written_oddly(path: Path) -> None:
    odd = (
        "[sites]\n"
        'a = { url = "https://a/", username = "u", target = "T" }\n'
        'b.url = "https://b/"\n'
        "b.username = '''u\n"
        "[sites.c]'''\n"
        '  "b"."targett" = 1\n'
    )
    assert complaint(path, odd).startswith("line 4: [sites.b] username holds a control character")
    assert complaint(path, odd.replace("u\n[sites.c]", "\n[sites.c]")).startswith(
        'line 6: [sites.b] unknown key "targett"'
    )
    inline = odd.replace("target =", "zzz =")
    assert complaint(path, inline).startswith('line 2: [sites.a] unknown key "zzz"')


def test_a_group_of_thousands_is_read_at_once(path: Path) -> None:
    many = ",\n".join('"tokyo"' for _ in range(20_000))
    text = site(f"[groups]\nall = [\n{many}\n]\nwrong = 3")
    assert complaint(path, text).startswith(f"line {8 + 20_000 + 2}:")


# The table of slides


def test_keys_of_the_table_slides(path: Path) -> None:
    assert load(path, "").slides.enumerate == "auto"
    assert load(path, '[slides]\nenumerate = "never"').slides.enumerate == "never"


def test_ones_own_book_comes_first_for_slides_too(path: Path) -> None:
    other = path.with_name("hospital.toml")
    other.write_text('[slides]\nenumerate = "never"')
    assert load(path, 'include = ["hospital.toml"]').slides.enumerate == "never"
    assert load(path, 'include = ["hospital.toml"]\n[slides]\nenumerate = "auto"').slides.enumerate == "auto"


def test_the_settings_for_slides_need_no_site_and_no_book(path: Path) -> None:
    assert slides_settings(path, needed=False).enumerate == "auto"
    with pytest.raises(ConfigError, match="is not there"):
        slides_settings(path, needed=True)
    path.write_text('[slides]\nenumerate = "never"\n[sites.half]\n')
    assert slides_settings(path, needed=False).enumerate == "never"
    path.write_text("[slides]\nenumerate = 1")
    with pytest.raises(ConfigError, match="line 2"):
        slides_settings(path, needed=False)


def test_label_images_of_a_site_is_warn_refuse_or_allow(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    site = '[sites.a]\nurl = "https://a/"\nusername = "u"\ntarget = "S"\n'
    for text, expected in (("", "warn"), ('label_images = "Refuse"', "refuse"), ('label_images = "allow"', "allow")):
        book.write_text(site + text, encoding="utf-8")
        assert SiteBook.load(book).sites["a"].label_images == expected
    book.write_text(site + 'label_images = "strip"', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 5.*label_images has to be"):
        SiteBook.load(book)


def test_which_slides_go_to_a_site(tmp_path: Path) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(
        '[defaults]\nurl = "https://a.example/"\nusername = "u"\ntarget = "S"\nexclude = ["old/"]\nmin_size = 5\n'
        '[sites.a]\nexclude = []\nmin_size = "10M"\nnewer_than = 2026-11-01\n[sites.b]\ninclude = "*.svs"\n',
        encoding="utf-8",
    )
    a, b = SiteBook.load(book).sites.values()
    assert (a.include, a.exclude, a.newer_than, a.min_size) == (None, (), "2026-11-01", "10M")
    assert (b.include, b.exclude, b.newer_than, b.min_size) == (("*.svs",), ("old/",), None, "5")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("include = 5", r"include has to be a list of patterns"),
        ('exclude = ["a", 5]', r"exclude has to be text"),
        ('exclude = ["a\\\\b"]', r"exclude: cannot use the pattern .*; write / between folders"),
        ('include = [""]', r"include: an empty pattern for include"),
        ('newer_than = "yesterday"', r"newer_than: cannot read the time 'yesterday'; write it as 7d"),
        ("newer_than = 7", r"newer_than has to be text"),
        ('min_size = "big"', r"min_size: cannot read the size 'big'"),
        ("min_size = -1", r"min_size: cannot read the size '-1'"),
        ("min_size = true", r"min_size has to be text"),
    ],
)
def test_choices_that_cannot_be_used(tmp_path: Path, line: str, words: str) -> None:
    book = tmp_path / "sites.toml"
    book.write_text(
        f'[sites.a]\nurl = "https://a.example/"\nusername = "u"\ntarget = "S"\n{line}\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=f"line 5.*{words}"):
        SiteBook.load(book)
