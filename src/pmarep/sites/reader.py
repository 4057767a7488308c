"""From the text of a book to its sites: checks every table, then puts defaults, server and site together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from .fields import looks_secret
from .models import Site, SiteTable, SlidesTable, Table
from .names import check_name, did_you_mean, password_variable, quoted
from .shelf import Shelf
from .source import BookText, KeyPath, described, readable_by_others

_TABLES = ("include", "defaults", "servers", "sites", "groups", "slides")
_NEEDED = ("url", "username", "target")
T = TypeVar("T", bound=BaseModel)
Groups = dict[str, tuple[str, ...]]

Tables = tuple[SiteTable, dict[str, Table], dict[str, Site], Groups, SlidesTable]


@dataclass(frozen=True)
class _Said:
    """What one book says, each table right by itself."""

    defaults: SiteTable
    servers: dict[str, Table]
    sites: dict[str, SiteTable]
    groups: Groups


def read_tables(shelf: Shelf) -> Tables:
    """Defaults; servers, sites and groups by name; `[slides]`: of all books together. Raises ConfigError."""
    books = [_read(text) for text in shelf.texts]
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
    _check_groups(shelf, groups, said)
    sites = {name: _site(shelf, name, table, servers, defaults) for name, table in said.items()}
    _check_servers(shelf, servers, defaults)
    _check_variables(shelf, {name: server.url or defaults.url for name, server in servers.items()}, sites)
    return defaults, servers, sites, groups, read_slides(shelf)


def read_slides(shelf: Shelf) -> SlidesTable:
    """`[slides]` of all books together, key by key, whatever else is in them. Raises ConfigError."""
    merged: dict[str, Any] = {}
    for text in reversed(shelf.texts):
        said = _table(text, ("slides",), text.data.get("slides", {}), SlidesTable)
        merged |= said.model_dump(exclude_unset=True)
    return SlidesTable.model_validate(merged)


def _read(source: BookText) -> _Said:
    data = source.data
    for key in data:
        if key not in _TABLES:
            raise _unknown_key(source, (), key, data[key], _TABLES)
    defaults = _table(source, ("defaults",), data.get("defaults", {}), SiteTable)
    servers = _tables(source, "servers", data, Table)
    sites = _tables(source, "sites", data, SiteTable)
    return _Said(defaults, servers, sites, _groups(source, data, sites))


def _merged_defaults(books: Sequence[SiteTable]) -> SiteTable:
    """Key by key; `server` and `url` are two ways to say one thing, so that one's own displaces the other as well."""
    merged: dict[str, Any] = {}
    for book in reversed(books):
        said = book.model_dump(exclude_unset=True)
        for one, other in (("url", "server"), ("server", "url")):
            if one in said:
                merged.pop(other, None)
        merged |= said
    return SiteTable.model_validate(merged)


def _tables(source: BookText, kind: str, data: Mapping[str, Any], model: type[T]) -> dict[str, T]:
    section = data.get(kind, {})
    if not isinstance(section, dict):
        raise source.error(f'"{kind}" has to be tables; write [{kind}.NAME]', (kind,))
    for name in section:
        _check_name(source, (kind, name))
    return {name: _table(source, (kind, name), value, model) for name, value in section.items()}


def _check_name(source: BookText, key: KeyPath) -> None:
    try:
        check_name(key[-1])
    except ValueError as error:
        raise source.error(f"{described(key[:-1])} {error}", key) from None


def _table(source: BookText, key: KeyPath, value: object, model: type[T]) -> T:
    if not isinstance(value, dict):
        if looks_secret(key[-1]):
            raise _secret_key(source, key[:-1], key[-1])
        hint = f"; write [{key[0]}.NAME] above it" if len(key) > 1 else ""
        raise source.error(f"{described(key[:1])} {quoted(key[-1])} has to be a table{hint}", key)
    try:
        return model.model_validate(value, context={"folder": source.path.parent})
    except ValidationError as errors:
        problems = errors.errors(include_input=False, include_url=False)
    # Password-like keys first, whatever else is wrong: they should leave the file.
    problems.sort(key=lambda p: (not _is_secret(p), source.line((*key, *map(str, p["loc"][:1])))))
    first = problems[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        raise _unknown_key(source, key, name, value[name], sorted(model.model_fields))
    words = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"{name}: {first['msg']}"
    raise source.error(f"{described(key)} {words}", (*key, name), key)


def _is_secret(problem: Any) -> bool:
    return problem["type"] == "extra_forbidden" and looks_secret(str(problem["loc"][0]))


def _unknown_key(source: BookText, table: KeyPath, key: str, value: object, allowed: Iterable[str]) -> ConfigError:
    if looks_secret(key):
        return _secret_key(source, table, key)
    where = f"{described(table)} " if table else ""
    hint = did_you_mean(key, allowed)
    if table and key == "include":
        hint = "; it has to stand above the first [table]"
    if not hint and isinstance(value, dict) and len(table) == 2:
        hint = f"; a name with a dot needs quotes: {described((table[0], f'{table[1]}.{key}'))}"
    return source.error(
        f"{where}unknown {'key' if table else 'table or key'} {quoted(key)}{hint}"
        f"{' ' if hint.endswith('?') else '; '}allowed: {', '.join(allowed)}",
        (*table, key),
    )


def _secret_key(source: BookText, table: KeyPath, key: str) -> ConfigError:
    where = f"{described(table)} " if table else ""
    name = table[1] if len(table) > 1 else "NAME"
    login = name if table[:1] == ("sites",) else "NAME"
    exposed = ""
    if readable_by_others(source.path):
        exposed = f"; others on this machine can read the file: change that password, and `chmod 600 {source.path}`"
    return source.error(
        f"{where}{quoted(key)} looks like a password, which has no place in this file; "
        f"keep it in the keyring (`pmarep sites login {login}`), in the variable "
        f"{password_variable(name)}, or let password_command print it{exposed}",
        (*table, key),
    )


def server_of(said: SiteTable, defaults: SiteTable) -> str | None:
    """A site with a url of its own is not on the default server, and must not get that one's password."""
    return said.server or (None if said.url else defaults.server)


def merge(said: SiteTable, server: Table | None, defaults: SiteTable) -> dict[str, Any]:
    """The keys that are said anywhere: defaults < server < site."""
    merged: dict[str, Any] = {}
    for table in (defaults, server, said):
        if table is not None:
            merged |= table.model_dump(exclude_unset=True)
    return merged


def _site(shelf: Shelf, name: str, said: SiteTable, servers: Mapping[str, Table], defaults: SiteTable) -> Site:
    key = ("sites", name)
    server = server_of(said, defaults)
    if server is not None and server not in servers:
        hint = did_you_mean(server, servers) or f"; known: {', '.join(servers) or 'none'}"
        raise shelf.error(
            f"{described(key)} there is no server {quoted(server)}{hint}", (*key, "server"), ("defaults", "server"), key
        )
    merged = merge(said, servers[server] if server else None, defaults)
    if missing := [needed for needed in _NEEDED if needed not in merged]:
        places = [described(key), f"[servers.{server}]" if server else "", "[defaults]"]
        raise shelf.error(
            f"{described(key)} has no {' and no '.join(missing)}; put it into {' or '.join(filter(None, places))}", key
        )
    return Site.model_validate(merged | {"name": name, "server": server})


def _groups(source: BookText, data: Mapping[str, Any], sites: Mapping[str, object]) -> Groups:
    section = data.get("groups", {})
    if not isinstance(section, dict):
        raise source.error('"groups" has to be a table; write [groups]', ("groups",))
    groups: Groups = {}
    for name, members in section.items():
        key = ("groups", name)
        _check_name(source, key)
        if name in sites:
            raise source.error(f"[groups] {quoted(name)} is already the name of a site; name the group otherwise", key)
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise source.error(f'[groups] {quoted(name)} has to be a list of names, such as ["tokyo", "saopaulo"]', key)
        groups[name] = tuple(members)
    return groups


def _check_groups(shelf: Shelf, groups: Groups, sites: Mapping[str, object]) -> None:
    for name, names in groups.items():
        for member in names:
            if member not in sites and member not in groups:
                hint = did_you_mean(member, [*sites, *groups])
                words = f"[groups] {quoted(name)} names {quoted(member)}, which is no site or group{hint}"
                raise shelf.error(words, ("groups", name))
    _check_cycles(shelf, groups)


def _check_cycles(shelf: Shelf, groups: Mapping[str, tuple[str, ...]]) -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            cycle = " -> ".join((*way[way.index(name) :], name))
            raise shelf.error(f"[groups] {quoted(name)} contains itself: {cycle}", ("groups", name))
        if name in groups and name not in done:
            for member in groups[name]:
                visit(member, (*way, name))
            done.add(name)

    for group in groups:
        visit(group, ())


def _check_servers(shelf: Shelf, servers: Mapping[str, Table], defaults: SiteTable) -> None:
    for name, server in servers.items():
        if not (server.url or defaults.url):
            key = ("servers", name)
            raise shelf.error(f"{described(key)} has no url; put it there, as https://host/", key)


def _check_variables(shelf: Shelf, servers: Mapping[str, str | None], sites: Mapping[str, Site]) -> None:
    """One variable for two machines would give the password of one to the other."""
    owners: dict[str, tuple[str, str | None]] = {}
    named: list[tuple[KeyPath, str | None]] = [(("servers", name), url) for name, url in servers.items()]
    named += [(("sites", name), site.url) for name, site in sites.items()]
    for key, url in named:
        variable, label = password_variable(key[1]), f"{key[0][:-1]} {quoted(key[1])}"
        other, other_url = owners.setdefault(variable, (label, url))
        if url != other_url:
            raise shelf.error(
                f"{described(key)} the {label} and the {other} are different PMA.cores, but the password of both "
                f"would be {variable}; rename one",
                key,
            )
