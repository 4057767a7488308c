"""Check every table of the books, then merge defaults, server and site into sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from .book_stack import BookStack
from .book_text import BookText, KeyPath, readable_by_others, table_header
from .models import GateTable, HooksTable, Site, SiteTable, SlidesTable, Table
from .site_names import check_name, did_you_mean, password_variable, quoted
from .validators import looks_secret

_TABLES = ("include", "defaults", "servers", "sites", "groups", "slides", "hooks", "gate")
_NEEDED = ("url", "username", "target")
T = TypeVar("T", bound=BaseModel)
Groups = dict[str, tuple[str, ...]]

Tables = tuple[SiteTable, dict[str, Table], dict[str, Site], Groups, SlidesTable, HooksTable, GateTable]


@dataclass(frozen=True)
class _BookTables:
    """The tables of one book, each checked by itself."""

    defaults: SiteTable
    servers: dict[str, Table]
    sites: dict[str, SiteTable]
    groups: Groups


def read_tables(stack: BookStack) -> Tables:
    """Merge all books: defaults; servers, sites, groups by name; `[slides]` and its like. Raises ConfigError."""
    books = [_read(text) for text in stack.texts]
    defaults = _merged_defaults([book.defaults for book in books])
    servers: dict[str, Table] = {}
    said: dict[str, SiteTable] = {}
    groups: Groups = {}
    for book in books:
        # Sites and groups are one namespace: a site of one's own replaces an included group as well.
        taken = {*said, *groups}
        servers |= {name: table for name, table in book.servers.items() if name not in servers}
        said |= {name: table for name, table in book.sites.items() if name not in taken}
        groups |= {name: members for name, members in book.groups.items() if name not in taken}
    _check_groups(stack, groups, said)
    sites = {name: _site(stack, name, table, servers, defaults) for name, table in said.items()}
    _check_servers(stack, servers, defaults)
    _check_variables(stack, {name: server.url or defaults.url for name, server in servers.items()}, sites)
    machine = read_slides(stack), _merged(stack, "hooks", HooksTable), _merged(stack, "gate", GateTable)
    return defaults, servers, sites, groups, *machine


def read_slides(stack: BookStack) -> SlidesTable:
    """Merge `[slides]` of all books key by key, whatever else is in them. Raises ConfigError."""
    return _merged(stack, "slides", SlidesTable)


def _merged(stack: BookStack, name: str, model: type[T]) -> T:
    """Merge a table of all books key by key. Raises ConfigError."""
    merged: dict[str, Any] = {}
    for text in reversed(stack.texts):
        merged |= _table(text, (name,), text.data.get(name, {}), model).model_dump(exclude_unset=True)
    return model.model_validate(merged)


def _read(book_text: BookText) -> _BookTables:
    data = book_text.data
    for key in data:
        if key not in _TABLES:
            raise _unknown_key(book_text, (), key, data[key], _TABLES)
    defaults = _table(book_text, ("defaults",), data.get("defaults", {}), SiteTable)
    servers = _tables(book_text, "servers", data, Table)
    sites = _tables(book_text, "sites", data, SiteTable)
    return _BookTables(defaults, servers, sites, _groups(book_text, data, sites))


_URL = ("url", "server")
_PASSWORD = ("password_command", "password_file")


def _merge(below: dict[str, Any], said: dict[str, Any], *pairs: tuple[str, str]) -> dict[str, Any]:
    """Merge the keys of a table over those of the tables below it. Of each pair, one displaces the other below it."""
    displaced = {other for pair in pairs for one, other in (pair, pair[::-1]) if one in said}
    return {key: value for key, value in below.items() if key not in displaced} | said


def _merged_defaults(books: Sequence[SiteTable]) -> SiteTable:
    """Merge `[defaults]` key by key; one of keys that exclude each other displaces the other of an included book."""
    merged: dict[str, Any] = {}
    for book in reversed(books):
        merged = _merge(merged, book.model_dump(exclude_unset=True), _URL, _PASSWORD)
    return SiteTable.model_validate(merged)


def _tables(book_text: BookText, kind: str, data: Mapping[str, Any], model: type[T]) -> dict[str, T]:
    section = data.get(kind, {})
    if not isinstance(section, dict):
        raise book_text.error(f'"{kind}" has to be tables; write [{kind}.NAME]', (kind,))
    for name in section:
        _check_name(book_text, (kind, name))
    return {name: _table(book_text, (kind, name), value, model) for name, value in section.items()}


def _check_name(book_text: BookText, key: KeyPath) -> None:
    try:
        check_name(key[-1])
    except ValueError as error:
        raise book_text.error(f"{table_header(key[:-1])} {error}", key) from None


def _table(book_text: BookText, key: KeyPath, value: object, model: type[T]) -> T:
    if not isinstance(value, dict):
        if looks_secret(key[-1]):
            raise _secret_key(book_text, key[:-1], key[-1])
        hint = f"; write [{key[0]}.NAME] above it" if len(key) > 1 else ""
        raise book_text.error(f"{table_header(key[:1])} {quoted(key[-1])} has to be a table{hint}", key)
    try:
        return model.model_validate(value, context={"folder": book_text.path.parent})
    except ValidationError as errors:
        problems = errors.errors(include_input=False, include_url=False)
    # Password-like keys first, whatever else is wrong: they should leave the file.
    problems.sort(key=lambda p: (not _is_secret(p), book_text.line((*key, *map(str, p["loc"][:1])))))
    first = problems[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        raise _unknown_key(book_text, key, name, value[name], sorted(model.model_fields))
    words = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"{name}: {first['msg']}"
    raise book_text.error(f"{table_header(key)} {words}", (*key, name), key)


def _is_secret(problem: Any) -> bool:
    return problem["type"] == "extra_forbidden" and looks_secret(str(problem["loc"][0]))


def _unknown_key(book_text: BookText, table: KeyPath, key: str, value: object, allowed: Iterable[str]) -> ConfigError:
    if looks_secret(key):
        return _secret_key(book_text, table, key)
    where = f"{table_header(table)} " if table else ""
    hint = did_you_mean(key, allowed)
    if table and key == "include":
        hint = "; it has to stand above the first [table]"
    if not hint and isinstance(value, dict) and len(table) == 2:
        hint = f"; a name with a dot needs quotes: {table_header((table[0], f'{table[1]}.{key}'))}"
    return book_text.error(
        f"{where}unknown {'key' if table else 'table or key'} {quoted(key)}{hint}"
        f"{' ' if hint.endswith('?') else '; '}allowed: {', '.join(allowed)}",
        (*table, key),
    )


def _secret_key(book_text: BookText, table: KeyPath, key: str) -> ConfigError:
    where = f"{table_header(table)} " if table else ""
    name = table[1] if len(table) > 1 else "NAME"
    login = name if table[:1] == ("sites",) else "NAME"
    exposed = ""
    if readable_by_others(book_text.path):
        exposed = f"; others on this machine can read the file: change that password, and `chmod 600 {book_text.path}`"
    return book_text.error(
        f"{where}{quoted(key)} looks like a password, which has no place in this file; "
        f"keep it in the keyring (`pmarep sites login {login}`), in the variable "
        f"{password_variable(name)}, or in a password_file{exposed}",
        (*table, key),
    )


def effective_server(said: SiteTable, defaults: SiteTable) -> str | None:
    """Return the server of a site: none where it has a url of its own, or a password would go elsewhere."""
    return said.server or (None if said.url else defaults.server)


def merge_keys(said: SiteTable, server: Table | None, defaults: SiteTable) -> dict[str, Any]:
    """Merge the keys that are set: defaults < server < site."""
    merged: dict[str, Any] = {}
    for table in (defaults, server, said):
        if table is not None:
            merged = _merge(merged, table.model_dump(exclude_unset=True), _PASSWORD)
    return merged


def _site(stack: BookStack, name: str, said: SiteTable, servers: Mapping[str, Table], defaults: SiteTable) -> Site:
    key = ("sites", name)
    server = effective_server(said, defaults)
    if server is not None and server not in servers:
        hint = did_you_mean(server, servers) or f"; known: {', '.join(servers) or 'none'}"
        raise stack.error(
            f"{table_header(key)} there is no server {quoted(server)}{hint}",
            (*key, "server"),
            ("defaults", "server"),
            key,
        )
    merged = merge_keys(said, servers[server] if server else None, defaults)
    if missing := [needed for needed in _NEEDED if needed not in merged]:
        places = [table_header(key), f"[servers.{server}]" if server else "", "[defaults]"]
        raise stack.error(
            f"{table_header(key)} has no {' and no '.join(missing)}; put it into {' or '.join(filter(None, places))}",
            key,
        )
    return Site.model_validate(merged | {"name": name, "server": server})


def _groups(book_text: BookText, data: Mapping[str, Any], sites: Mapping[str, object]) -> Groups:
    section = data.get("groups", {})
    if not isinstance(section, dict):
        raise book_text.error('"groups" has to be a table; write [groups]', ("groups",))
    groups: Groups = {}
    for name, members in section.items():
        key = ("groups", name)
        _check_name(book_text, key)
        if name in sites:
            raise book_text.error(
                f"[groups] {quoted(name)} is already the name of a site; name the group otherwise", key
            )
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise book_text.error(
                f'[groups] {quoted(name)} has to be a list of names, such as ["tokyo", "saopaulo"]', key
            )
        groups[name] = tuple(members)
    return groups


def _check_groups(stack: BookStack, groups: Groups, sites: Mapping[str, object]) -> None:
    for name, names in groups.items():
        for member in names:
            if member not in sites and member not in groups:
                hint = did_you_mean(member, [*sites, *groups])
                words = f"[groups] {quoted(name)} names {quoted(member)}, which is no site or group{hint}"
                raise stack.error(words, ("groups", name))
    _check_cycles(stack, groups)


def _check_cycles(stack: BookStack, groups: Mapping[str, tuple[str, ...]]) -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            cycle = " -> ".join((*way[way.index(name) :], name))
            raise stack.error(f"[groups] {quoted(name)} contains itself: {cycle}", ("groups", name))
        if name in groups and name not in done:
            for member in groups[name]:
                visit(member, (*way, name))
            done.add(name)

    for group in groups:
        visit(group, ())


def _check_servers(stack: BookStack, servers: Mapping[str, Table], defaults: SiteTable) -> None:
    for name, server in servers.items():
        if not (server.url or defaults.url):
            key = ("servers", name)
            raise stack.error(f"{table_header(key)} has no url; put it there, as https://host/", key)


def _check_variables(stack: BookStack, servers: Mapping[str, str | None], sites: Mapping[str, Site]) -> None:
    """Refuse names for whose passwords one variable would serve two machines. Raises ConfigError."""
    owners: dict[str, tuple[str, str | None]] = {}
    named: list[tuple[KeyPath, str | None]] = [(("servers", name), url) for name, url in servers.items()]
    named += [(("sites", name), site.url) for name, site in sites.items()]
    for key, url in named:
        variable, label = password_variable(key[1]), f"{key[0][:-1]} {quoted(key[1])}"
        other, other_url = owners.setdefault(variable, (label, url))
        if url != other_url:
            raise stack.error(
                f"{table_header(key)} the {label} and the {other} are different PMA.cores, but the password of both "
                f"would be {variable}; rename one",
                key,
            )
