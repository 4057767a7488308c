"""Add a site from options alone, or by questions that end with a site known to work."""

from __future__ import annotations

from pathlib import Path

import typer

from ...errors import ConfigError, CredentialsError, PmarepError, UsageError
from ...sites import Credentials, SiteBook, validators
from ...sites.book_edit import add_site, check_values
from ...sites.book_text import BookText
from ...sites.models import COMMANDS
from ...sites.password_file import write_password_file
from ...sites.site_check import ServerInfo
from ...sites.site_names import did_you_mean
from ...system.shell_words import option_words, shell_line
from ...system.windows_names import windows_key
from .add_login import Values, draft_of, inherited, log_in
from .prompter import Prompter, prompt_until_valid

_OPTIONS = {"url": "--url (or --server)", "username": "--username", "target": "--target"}


def missing_options(path: Path, name: str, values: Values) -> list[str]:
    """Return the options without which the site is not complete. Raises ConfigError for those that are wrong."""
    said = inherited(_book(path, name, values), values)
    return [option for key, option in _OPTIONS.items() if key not in said]


def add_from_options(path: Path, name: str, values: Values) -> SiteBook:
    """Add a site from options alone; contacts nobody. Raises UsageError that names the options which are missing."""
    if missing := missing_options(path, name, values):
        raise UsageError(f"{name} needs {', '.join(missing)}; nothing was added")
    return add_site(path, name, values)


def add_interactively(
    path: Path, name: str, values: Values, ask: Prompter, credentials: Credentials, hint: str = ""
) -> None:
    """Ask for what is missing, log in, choose the target from what the server has, offer to keep the password.

    Where it ends early, the answers are shown as a command that goes on from there; `hint` is its `--config`.
    """
    book = _book(path, name, values)
    answers = dict(values)
    try:
        _add(book, name, answers, ask, credentials)
    except (typer.Abort, PmarepError):
        if answers != values:
            ask.say(f"Nothing was added. To go on from here: {_command(name, answers)}{hint}")
        raise


def _add(book: SiteBook, name: str, values: Values, ask: Prompter, credentials: Credentials) -> None:
    if "url" not in inherited(book, values):
        _ask_url(book, values, ask)
    if "username" not in inherited(book, values):
        values["username"] = prompt_until_valid(ask, "User name", validators.username)
    seen, typed = log_in(book, name, values, ask, credentials)
    if "target" not in inherited(book, values):
        values["target"] = _ask_target(seen, ask)
    elif seen:
        _warn_of_root(inherited(book, values)["target"], seen, ask)
    draft = draft_of(book, name, values)
    if typed and not credentials.has_keyring():
        _offer_file(book.path, name, values, typed, ask)
    add_site(book.path, name, values)
    ask.say(f"Added {name} to {book.path}.")
    if typed and credentials.has_keyring() and ask.yes("Keep the password in the keyring?", default=True):
        try:
            credentials.store(draft, typed)
        except CredentialsError as error:
            ask.say(str(error))
    elif not (credentials.source_before_keyring(draft_of(book, name, values)) or (seen and not typed)):
        ask.say(f"Its password is kept nowhere: {credentials.ways(draft)}.")


def _offer_file(book: Path, name: str, values: Values, password: str, ask: Prompter) -> None:
    """Offer to keep the password in a file beside the book, where this machine has no keyring."""
    file = book.parent.absolute() / f"{name}.password"
    if not ask.yes(f"This machine has no keyring. Keep the password in {file}, which only you can read?", False):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_password_file(file, password)
    except OSError as error:
        ask.say(f"  cannot write {file} ({error.strerror})")
    else:
        values["password_file"] = str(file)


def _command(name: str, values: Values) -> str:
    """Return the command that adds a site with these values; commands are left out, they may hold a secret."""
    words = ["pmarep", "sites", "add", name]
    for key, value in values.items():
        option = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif key in COMMANDS:
            words += [option, "..."]
        else:
            for one in value if isinstance(value, list) else [value]:
                words += option_words(option, str(one))
    return shell_line(words)


def _book(path: Path, name: str, values: Values) -> SiteBook:
    """Load the book, and check that the name is free and the given values are right. Raises ConfigError."""
    check_values(name, values, path.parent)
    for key in ("ca_bundle", "client_cert", "password_file"):
        files = values.get(key) or []
        for file in [files] if isinstance(files, str) else files:
            if not Path(file).is_file():
                kind = "the file that holds the password" if key == "password_file" else "a PEM file"
                raise ConfigError(f"the {key} {file} is not there; name {kind}")
    book = SiteBook.load(path) if path.exists() else SiteBook.parse(BookText(path, ""))
    for kind, names in (("site", book.sites), ("group", book.groups)):
        if name in names:
            raise ConfigError(f'{path}: there is already a {kind} "{name}"; choose another name')
    server = values.get("server")
    if server and server not in book.servers:
        known = ", ".join(book.servers) or "none"
        hint = did_you_mean(server, book.servers) or f"; known: {known}"
        raise ConfigError(f'{path}: there is no server "{server}"{hint}')
    return book


def _ask_url(book: SiteBook, values: Values, ask: Prompter) -> None:
    servers = f" (or a server of the book: {', '.join(book.servers)})" if book.servers else ""

    def check(answer: str) -> str:
        return answer if answer in book.servers else validators.url(answer)

    answer = prompt_until_valid(ask, f"URL of the PMA.core{servers}", check)
    values["server" if answer in book.servers else "url"] = answer


def _ask_target(seen: ServerInfo | None, ask: Prompter) -> str:
    if seen is None or not seen.root_directories:
        return prompt_until_valid(ask, "Target (Root-directory/folder)", validators.target)
    roots = seen.root_directories
    ask.say("Root-directories:")
    for number, root in enumerate(roots, 1):
        ask.say(f"  {number:>{len(str(len(roots)))}}  {root}")
    root = prompt_until_valid(
        ask, "Root-directory (number or name)", lambda answer: _choose(answer, roots), "1" if len(roots) == 1 else None
    )

    def below(folder: str) -> str:
        return validators.target(f"{root}/{folder}" if folder else root)

    return prompt_until_valid(ask, f"Folder in {root} (empty: none)", below, "")


def _choose(answer: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        if windows_key(root) == windows_key(answer):
            return root
    if answer.isdecimal() and 1 <= int(answer) <= len(roots):
        return roots[int(answer) - 1]
    raise ValueError(f"there is no such root-directory{did_you_mean(answer, roots)}")


def _warn_of_root(target: str, seen: ServerInfo, ask: Prompter) -> None:
    try:
        _choose(target.split("/")[0], seen.root_directories)
    except ValueError as error:
        ask.say(f"Note: the target is {target}, but {error}")
