"""Look up passwords in a variable, from a command, a file or the system's keyring. Keep those found, in memory only."""

from __future__ import annotations

import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import CredentialsError
from ..passwords import NotTextError, Password, first_line
from ..system.commands import Command, command_words, executable_command
from ..text import printable
from . import password_command
from .password_file import PasswordFileError, read_password_file
from .site_names import password_variable

SERVICE = "pmarep"
COMMAND_SECONDS = 30.0
T = TypeVar("T")


class LoginDetails(Protocol):
    """A login that a password belongs to; every `Site` is one."""

    @property
    def name(self) -> str: ...
    @property
    def server(self) -> str | None: ...
    @property
    def url(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password_command(self) -> tuple[str, ...] | str | None: ...
    @property
    def password_file(self) -> Path | None: ...


class KeyringLike(Protocol):
    """The part of a keyring backend that we use; the module `keyring` has it as well."""

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


AnyLogin = TypeVar("AnyLogin", bound=LoginDetails)
Runner = Callable[..., "subprocess.CompletedProcess[bytes]"]


class _NoPassword(Exception):
    """A source has no password. The text names neither a password nor a site: several may share the source."""


class _BrokenKeyring(_NoPassword):
    """The keyring does not work, so that nothing can be put into it either."""


class _BrokenCommand(_NoPassword):
    """The command gave no password; the keyring is not asked where there is a command."""


class _BrokenFile(_NoPassword):
    """The password file cannot be used; the keyring is not asked where there is one."""


class Credentials:
    """Finds, keeps and forgets passwords. Safe to use from several threads; what was looked up once is not again.

    `environ` is looked up and given to commands. `run` is called as `password_command.run_command` is.
    """

    def __init__(
        self, environ: Mapping[str, str], keyring: KeyringLike | None = None, run: Runner = password_command.run_command
    ) -> None:
        self._environ = environ
        self._keyring = keyring
        self._run = run
        self._known: dict[tuple[str, ...], str | _NoPassword] = {}
        self._guard = threading.Lock()
        self._locks: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)

    def password_for(self, login: LoginDetails) -> Password:
        """Return the first of: variable of the site, of its server; `password_command` or `password_file`; keyring.

        May wait for a command or for a person who unlocks the keyring. Raises CredentialsError.
        """
        for variable in password_variables(login):
            if password := self._environ.get(variable):
                return Password(password, f"from the variable {variable}{_ends_oddly(password)}")
        command = login.password_command
        try:
            if command:
                # Forty sites of one server ask `op` or `pass` once.
                password = self._once(("command", *_words(command)), lambda: self._from_command(command))
                source = f"from the password_command of {login.name}"
                return Password(password, source + _ends_oddly(password))
            if file := login.password_file:
                password = self._once(("file", str(file)), lambda: _from_file(file))
                return Password(password, f"from {printable(str(file))}{_ends_oddly(password)}")
            password = self._once(_key(login), lambda: self._from_keyring(login))
            source = f"from the keyring; pmarep sites login {login.name}"
            return Password(password, source + _ends_oddly(password))
        except _NoPassword as error:
            joint = ", or" if isinstance(error, _BrokenFile) else ";"  # of a file, the error says what to mend
            raise CredentialsError(f"no password for {login.name}: {error}{joint} {_advice(login, error)}") from None

    def source_before_keyring(self, login: LoginDetails) -> str | None:
        """Name the source that overrides the keyring for this login; None where the keyring is asked."""
        for variable in password_variables(login):
            if self._environ.get(variable):
                return f"the variable {variable}"
        if login.password_command:
            return "its password_command"
        return f"its password_file {printable(str(login.password_file))}" if login.password_file else None

    def has_keyring(self) -> bool:
        """Return whether this machine has a keyring, be it locked. Opens nothing and asks nobody."""
        try:
            keyring = self._keyring or _import_keyring()
        except Exception:
            return False
        return type(keyring).__module__ not in ("keyring.backends.fail", "keyring.backends.null")

    def ways(self, login: LoginDetails) -> str:
        """Return how a person can give pmarep the password of this login from now on."""
        return _advice(login, _NoPassword() if self.has_keyring() else _BrokenKeyring())

    def check_keyring(self, login: LoginDetails) -> None:
        """Raise CredentialsError, which names the other ways, where this machine has no keyring."""
        if not self.has_keyring():
            error = _BrokenKeyring("this machine has no keyring")
            raise CredentialsError(f"cannot keep the password of {login.name}: {error}; {_advice(login, error)}")

    def store(self, login: LoginDetails, password: str) -> None:
        """Keep the password in the keyring, for every site with this url and username. Raises CredentialsError."""

        def put(keyring: KeyringLike) -> bool:
            keyring.set_password(SERVICE, _user(login), password)
            # Some backends keep nothing and say nothing.
            return keyring.get_password(SERVICE, _user(login)) == password

        try:
            if not self._on_keyring(put):
                raise _BrokenKeyring("this machine's keyring keeps nothing")
        except _NoPassword as error:
            words = f"cannot keep the password of {login.name}: {error}"
            raise CredentialsError(f"{words}; {_advice(login, error)}") from None
        with self._guard:
            self._known[_key(login)] = password

    def forget(self, login: LoginDetails) -> bool:
        """Remove the password from the keyring. Returns whether there was one. Raises CredentialsError."""

        def delete(keyring: KeyringLike) -> bool:
            if keyring.get_password(SERVICE, _user(login)) is None:
                return False
            keyring.delete_password(SERVICE, _user(login))
            return True

        try:
            was_there = self._on_keyring(delete)
        except _NoPassword as error:
            raise CredentialsError(f"cannot remove the password of {login.name}: {error}") from None
        with self._guard:
            self._known.pop(_key(login), None)
        return was_there

    def _once(self, key: tuple[str, ...], find: Callable[[], str]) -> str:
        """Look up each source once; callers that want the same source wait for it, others do not."""
        with self._guard:
            lock = self._locks[key]
        with lock:
            if key not in self._known:
                try:
                    self._known[key] = find()
                except _NoPassword as error:
                    self._known[key] = error
            known = self._known[key]
        if isinstance(known, _NoPassword):
            raise type(known)(str(known))  # A new one: threads would share the traceback of the old.
        return known

    def _from_command(self, command: tuple[str, ...] | str) -> str:
        words = _words(command)
        label = f"its password_command ({_program(words[0])})"
        try:
            argv = executable_command(command, self._environ.get("PATH"))
            done = self._run(argv, env=self._environ, timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise _BrokenCommand(f"{label} was not done in {COMMAND_SECONDS:.0f} s") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            if "=" in words[0]:
                reason += "; a command is not run by a shell: write env before NAME=value"
            raise _BrokenCommand(f"{label} could not be started ({reason})") from None
        try:
            password = first_line(done.stdout)
        except NotTextError as error:
            raise _BrokenCommand(f"{label} printed {error}") from None
        if done.returncode != 0:
            raise _BrokenCommand(f"{label} ended with exit code {done.returncode}{_last_line(done.stderr, password)}")
        if not password:
            raise _BrokenCommand(f"{label} printed no password on its first line")
        return password

    def _from_keyring(self, login: LoginDetails) -> str:
        password = self._on_keyring(lambda keyring: keyring.get_password(SERVICE, _user(login)))
        if not password:
            raise _NoPassword("none is kept")
        return password

    def _on_keyring(self, call: Callable[[KeyringLike], T]) -> T:
        """Call the keyring; whatever its backend raises (D-Bus, locks, missing libraries) becomes a _BrokenKeyring."""
        try:
            keyring = self._keyring or _import_keyring()
            return call(keyring)
        except Exception as error:
            # Never its text, which may repeat what was to be stored.
            kind = type(error).__name__
        known = {
            "NoKeyringError": "this machine has no keyring",
            "KeyringLocked": "the keyring is locked",
        }
        raise _BrokenKeyring(known.get(kind, f"the keyring cannot be used ({kind})"))


def password_of_any(password_for: Callable[[AnyLogin], str], logins: Iterable[AnyLogin]) -> str:
    """Return the password of logins that share a session: that of any of them, whatever order they come in.

    May wait, as `password_for` may. Raises CredentialsError where none of them has one.
    """
    first, *others = sorted(logins, key=lambda login: login.name)
    try:
        return password_for(first)
    except CredentialsError:
        for login in others:
            with suppress(CredentialsError):
                return password_for(login)
        raise


def password_variables(login: LoginDetails) -> list[str]:
    """Return the names of the environment variables that can hold the password, in the order of their look-up."""
    return list(dict.fromkeys(password_variable(name) for name in (login.name, login.server) if name))


def _from_file(file: Path) -> str:
    label = f"its password_file {printable(str(file))}"
    try:
        return read_password_file(file)
    except PasswordFileError as error:
        raise _BrokenFile(f"{label} {error}") from None
    except NotTextError as error:
        raise _BrokenFile(f"{label} holds {error}; mend it") from None
    except OSError as error:
        raise _BrokenFile(f"{label} cannot be read ({error.strerror or type(error).__name__}); mend it") from None


def _user(login: LoginDetails) -> str:
    return f"{login.username}@{login.url}"


def _key(login: LoginDetails) -> tuple[str, ...]:
    return ("keyring", _user(login))


def _import_keyring() -> KeyringLike:
    # Slow, and needed only where no variable or command has the password.
    import keyring

    backend: KeyringLike = keyring.get_keyring()
    return backend


def _advice(login: LoginDetails, error: _NoPassword) -> str:
    """Return what a person can do about an error."""
    variable = f"set {password_variables(login)[0]}"
    if isinstance(error, _BrokenCommand):
        return f"try the command by hand, or {variable}"
    if isinstance(error, _BrokenFile):
        return variable
    other = f"{variable}, or name a private file with it: pmarep sites edit {login.name} --password-file FILE"
    if isinstance(error, _BrokenKeyring):
        return other
    return f"run `pmarep sites login {login.name}`, {other}"


def _words(command: Command) -> tuple[str, ...]:
    try:
        return command_words(command)
    except ValueError:
        raise _BrokenCommand("the quotes in its password_command do not match") from None


def _program(word: str) -> str:
    """Return the name of a command for messages, without a secret: of `TOKEN=x vault` only `TOKEN=***`."""
    name, equals, _ = word.partition("=")
    return printable(f"{name[:200]}=***" if equals else word[:200])


def _ends_oddly(password: str) -> str:
    """Return a hint where a password begins or ends with a blank, tab or line end, which nobody sees; else nothing."""
    kinds = {"\r": "a carriage return", "\n": "a line break", "\t": "a tab", " ": "a blank", "\xa0": "a blank"}
    for place, character in (("ends with", password[-1:]), ("begins with", password[:1])):
        if character in kinds:
            return f", which {place} {kinds[character]}: is that meant?"
    return ""


def _last_line(stderr: bytes, password: str) -> str:
    """Return the last line of an error output, such as `: gpg: decryption failed`, or nothing."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    from ..pmacore.redact import redact  # slow to import, and needed only here

    return f": {printable(redact(lines[-1], [password]))[:300]}"
