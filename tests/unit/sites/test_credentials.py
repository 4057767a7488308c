"""Where passwords come from, in which order, and that they show up nowhere else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import CredentialsError
from pmarep.sites import Credentials, Site
from pmarep.sites.credentials import KeyringLike
from pmarep.sites.site_names import check_name, password_variable

SECRET = "hunter2-geheim"
OTHERS = "set PMAREP_PASSWORD_BOX_ANNA, or name a private file with it: pmarep sites edit box-anna --password-file FILE"
WAYS = f"run `pmarep sites login box-anna`, {OTHERS}"
BY_HAND = "try the command by hand, or set PMAREP_PASSWORD_BOX_ANNA"
USER = "seeder@https://pma/core/"


class FakeKeyring:
    def __init__(self, **kept: str) -> None:
        self.kept = {("pmarep", user): password for user, password in kept.items()}
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def make_site(name: str = "box-anna", command: Any = None, **keys: Any) -> Site:
    message = {"server": "campus", "url": "https://pma/core/", "username": "seeder", "target": "R", **keys}
    return Site.model_validate({"name": name, **message} | ({"password_command": command} if command else {}))


def prints(*lines: str, code: int = 0, stderr: str = "") -> list[str]:
    """A command that really runs, on every platform."""
    script = f"import sys; sys.stdout.write({chr(10).join(lines)!r}); sys.stderr.write({stderr!r}); sys.exit({code})"
    return [sys.executable, "-c", script]


def complaint(call: Callable[[], object]) -> str:
    """The error's message; neither it nor its traceback repeats the password."""
    with pytest.raises(CredentialsError) as caught:
        call()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


# The order


def test_variable_of_site_then_server_then_command_then_keyring() -> None:
    environ = {"PMAREP_PASSWORD_BOX_ANNA": "of-site", "PMAREP_PASSWORD_CAMPUS": "of-server"}
    keyring = FakeKeyring(**{USER: "of-keyring"})

    def found(command: Any) -> tuple[str, str]:
        password = Credentials({**environ, "PATH": ""}, keyring).password_for(make_site(command=command))
        return password, password.source

    assert found(prints("of-command")) == ("of-site", "from the variable PMAREP_PASSWORD_BOX_ANNA")
    environ["PMAREP_PASSWORD_BOX_ANNA"] = ""  # set, but to nothing: as good as not set
    assert found(prints("of-command")) == ("of-server", "from the variable PMAREP_PASSWORD_CAMPUS")
    del environ["PMAREP_PASSWORD_CAMPUS"]
    assert found(prints("of-command")) == ("of-command", "from the password_command of box-anna")
    assert keyring.asked == 0
    assert found(None) == ("of-keyring", "from the keyring; pmarep sites login box-anna")


def test_the_source_of_a_password_before_the_keyring_is_named() -> None:
    assert (
        Credentials({"PMAREP_PASSWORD_CAMPUS": "x"}).source_before_keyring(make_site())
        == "the variable PMAREP_PASSWORD_CAMPUS"
    )
    assert Credentials({}).source_before_keyring(make_site(command="x")) == "its password_command"
    assert Credentials({}).source_before_keyring(make_site()) is None


@given(st.text(st.characters(codec="ascii"), max_size=12))
def test_every_allowed_name_has_a_variable_that_a_shell_can_set(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    assert password_variable(name).isidentifier()
    assert password_variable(name) == password_variable(name).upper()


def test_nothing_anywhere_names_the_three_ways() -> None:
    message = complaint(lambda: Credentials({}, FakeKeyring()).password_for(make_site()))
    assert message == f"no password for box-anna: none is kept; {WAYS}"


# CommandApp


@pytest.mark.parametrize(
    ("output", "password"),
    [((SECRET,), SECRET), ((SECRET, "more", ""), SECRET), ((f"{SECRET}\r", ""), SECRET), ((" pä ss ",), " pä ss ")],
)
def test_the_first_line_of_a_command(output: tuple[str, ...], password: str) -> None:
    import os

    environ = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    assert Credentials(environ).password_for(make_site(command=prints(*output))) == password


@pytest.mark.skipif(sys.platform == "win32", reason="Windows programs split their command line themselves")
def test_a_command_as_text_sees_the_environment_but_no_shell(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import os, sys; print(os.environ[\"MINE\"], sys.argv[1])' '$MINE; a  b'"
    assert Credentials({"MINE": "x"}).password_for(make_site(command=command)) == "x $MINE; a  b"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (prints(SECRET, code=3), "ended with exit code 3"),
        (
            prints(SECRET, code=3, stderr=f"a\ngpg: no key\x1b[31m for {SECRET}\n\n"),
            r"ended with exit code 3: gpg: no key\x1b[31m for ***",
        ),
        (prints(), "printed no password on its first line"),
        (prints("", SECRET), "printed no password on its first line"),
    ],
)
def test_a_command_that_fails(command: list[str], words: str) -> None:
    message = complaint(lambda: Credentials({}).password_for(make_site(command=command)))
    assert message == f"no password for box-anna: its password_command ({sys.executable}) {words}; {BY_HAND}"


def test_a_command_that_prints_no_text() -> None:
    script = f"import sys; sys.stdout.buffer.write({SECRET!r}.encode('utf-16-le'))"
    message = complaint(lambda: Credentials({}).password_for(make_site(command=[sys.executable, "-c", script])))
    assert message == (
        f"no password for box-anna: its password_command ({sys.executable}) printed a text with NULs, such as UTF-16 "
        f"without a byte order mark; UTF-8 is best; {BY_HAND}"
    )


def test_a_command_that_cannot_be_started() -> None:
    message = complaint(lambda: Credentials({}).password_for(make_site(command=["/no/such/thing", SECRET])))
    assert message == (
        "no password for box-anna: its password_command (/no/such/thing) could not be started "
        f"(No such file or directory); {BY_HAND}"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows programs split their command line themselves")
def test_quotes_that_do_not_match() -> None:
    message = complaint(lambda: Credentials({}).password_for(make_site(command=f"pass '{SECRET}")))
    assert message == f"no password for box-anna: the quotes in its password_command do not match; {BY_HAND}"


def test_a_command_that_hangs() -> None:
    def hang(*args: Any, timeout: float, **more: Any) -> subprocess.CompletedProcess[bytes]:
        assert timeout == 30
        raise subprocess.TimeoutExpired(args[0], timeout, SECRET.encode())

    message = complaint(lambda: Credentials({}, run=hang).password_for(make_site(command=["op", SECRET])))
    assert message == f"no password for box-anna: its password_command (op) was not done in 30 s; {BY_HAND}"


def test_sites_of_one_server_run_one_command_once_and_others_do_not_wait() -> None:
    runs: list[str] = []
    slow_may_end = threading.Event()

    def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        runs.append(argv[0])
        if argv[0] == "slow":
            assert slow_may_end.wait(60)
        else:
            slow_may_end.set()  # only reached if it does not wait for the slow one
        return subprocess.CompletedProcess(argv, 0, argv[0].encode(), b"")

    credentials = Credentials({}, run=run)
    sites = [make_site(f"box-{n}", command=["slow"]) for n in range(8)]
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(credentials.password_for, site) for site in sites]
        while not runs:
            time.sleep(0.001)
        assert pool.submit(credentials.password_for, make_site(command=["quick"])).result(60) == "quick"
        assert {future.result(60) for future in waiting} == {"slow"}
    assert runs == ["slow", "quick"]


def test_a_failure_is_not_tried_again_but_names_each_site() -> None:
    runs: list[int] = []

    def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        runs.append(1)
        return subprocess.CompletedProcess(argv, 1, b"", b"")

    credentials = Credentials({}, run=run)
    for name in ("box-a", "box-b"):
        message = complaint(lambda name=name: credentials.password_for(make_site(name, command=["x"])))  # type: ignore[misc]
        assert message.startswith(f"no password for {name}: its password_command (x) ended with exit code 1; try")
    assert len(runs) == 1


# The keyring


def test_store_and_forget() -> None:
    keyring = FakeKeyring()
    credentials = Credentials({}, keyring)
    complaint(lambda: credentials.password_for(make_site()))
    credentials.store(make_site(), SECRET)
    assert keyring.kept == {("pmarep", USER): SECRET}
    assert credentials.password_for(make_site("box-ben", server=None)) == SECRET
    assert credentials.forget(make_site())
    assert not credentials.forget(make_site())
    assert keyring.kept == {}
    complaint(lambda: credentials.password_for(make_site()))


def broken(error: Exception) -> KeyringLike:
    class Broken:
        def get_password(self, service: str, username: str) -> str | None:
            raise error

        def set_password(self, service: str, username: str, password: str) -> None:
            raise error

        def delete_password(self, service: str, username: str) -> None:
            raise error

    return Broken()


def failing_backends() -> list[Any]:
    import keyring.backends.fail
    import keyring.errors

    none = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]
    locked = keyring.errors.KeyringLocked(f"cannot unlock {SECRET}")
    return [
        pytest.param(none, "this machine has no keyring", id="no backend"),
        pytest.param(broken(locked), "the keyring is locked", id="locked"),
        pytest.param(broken(OSError(SECRET)), "the keyring cannot be used (OSError)", id="dbus"),
        pytest.param(broken(ValueError(SECRET)), "the keyring cannot be used (ValueError)", id="anything"),
    ]


@pytest.mark.parametrize(("keyring", "words"), failing_backends())
def test_a_keyring_that_does_not_work_is_one_sentence(keyring: KeyringLike, words: str) -> None:
    credentials, site = Credentials({}, keyring), make_site()
    assert complaint(lambda: credentials.password_for(site)) == f"no password for box-anna: {words}; {OTHERS}"
    message = complaint(lambda: credentials.store(site, SECRET))
    assert message == f"cannot keep the password of box-anna: {words}; {OTHERS}"
    assert complaint(lambda: credentials.forget(site)) == f"cannot remove the password of box-anna: {words}"


def test_a_keyring_that_keeps_nothing_is_noticed() -> None:
    import keyring.backends.null

    credentials = Credentials({}, keyring.backends.null.Keyring())  # type: ignore[no-untyped-call]
    message = complaint(lambda: credentials.store(make_site(), SECRET))
    assert message.startswith("cannot keep the password of box-anna: this machine's keyring keeps nothing; set PMAREP_")


def test_the_keyring_is_imported_only_when_it_is_needed() -> None:
    script = (
        "import sys; from pmarep.sites import Credentials, Site;"
        "s = Site(name='a', url='https://x/', username='u', target='R');"
        "assert Credentials({'PMAREP_PASSWORD_A': 'x'}).password_for(s) == 'x';"
        "assert 'keyring' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_repr_shows_anything() -> None:
    credentials = Credentials({"PMAREP_PASSWORD_BOX_ANNA": SECRET}, FakeKeyring(**{USER: SECRET}))
    assert credentials.password_for(make_site()) == SECRET
    shown = repr(credentials) + repr(vars(make_site(command=["echo", SECRET]))["name"])
    assert SECRET not in shown + repr(make_site(command=["echo", SECRET])) + str(make_site(command=["echo", SECRET]))
