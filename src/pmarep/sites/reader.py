"""From the text of a book to its sites: checks every table, then puts defaults, server and site together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ..errors import ConfigError
from .fields import looks_secret
from .models import Site, SiteTable, Table
from .names import check_name, did_you_mean, password_variable, quoted
from .source import BookText, KeyPath, described

_TABLES = ("defaults", "servers", "sites", "groups")
_NEEDED = ("url", "username", "target")
T = TypeVar("T", bound=Table)

Tables = tuple[SiteTable, dict[str, Table], dict[str, Site], dict[str, tuple[str, ...]]]


def read_tables(source: BookText) -> Tables:
    """Defaults; servers, sites and groups by name. Raises ConfigError."""
    data = source.data
    for key in data:
        if key not in _TABLES:
            raise _unknown_key(source, (), key, data[key], _TABLES)
    defaults = _table(source, ("defaults",), data.get("defaults", {}), SiteTable)
    servers = _tables(source, "servers", data, Table)
    said = _tables(source, "sites", data, SiteTable)
    groups = _groups(source, data, said)
    sites = {name: _site(source, name, table, servers, defaults) for name, table in said.items()}
    _check_servers(source, servers, defaults)
    _check_variables(source, {name: server.url or defaults.url for name, server in servers.items()}, sites)
    return defaults, servers, sites, groups


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
    return source.error(
        f"{where}{quoted(key)} looks like a password, which has no place in this file; "
        f"keep it in the keyring (`pmarep sites login {login}`), in the variable "
        f"{password_variable(name)}, or let password_command print it",
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


def _site(source: BookText, name: str, said: SiteTable, servers: Mapping[str, Table], defaults: SiteTable) -> Site:
    key = ("sites", name)
    server = server_of(said, defaults)
    if server is not None and server not in servers:
        hint = did_you_mean(server, servers) or f"; known: {', '.join(servers) or 'none'}"
        raise source.error(
            f"{described(key)} there is no server {quoted(server)}{hint}", (*key, "server"), ("defaults", "server"), key
        )
    merged = merge(said, servers[server] if server else None, defaults)
    if missing := [needed for needed in _NEEDED if needed not in merged]:
        places = [described(key), f"[servers.{server}]" if server else "", "[defaults]"]
        raise source.error(
            f"{described(key)} has no {' and no '.join(missing)}; put it into {' or '.join(filter(None, places))}", key
        )
    return Site.model_validate(merged | {"name": name, "server": server})


def _groups(source: BookText, data: Mapping[str, Any], sites: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    section = data.get("groups", {})
    if not isinstance(section, dict):
        raise source.error('"groups" has to be a table; write [groups]', ("groups",))
    groups: dict[str, tuple[str, ...]] = {}
    for name, members in section.items():
        key = ("groups", name)
        _check_name(source, key)
        if name in sites:
            raise source.error(f"[groups] {quoted(name)} is already the name of a site; name the group otherwise", key)
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise source.error(f'[groups] {quoted(name)} has to be a list of names, such as ["tokyo", "saopaulo"]', key)
        groups[name] = tuple(members)
    for name, names in groups.items():
        for member in names:
            if member not in sites and member not in groups:
                hint = did_you_mean(member, [*sites, *groups])
                words = f"[groups] {quoted(name)} names {quoted(member)}, which is no site or group{hint}"
                raise source.error(words, ("groups", name))
    _check_cycles(source, groups)
    return groups


def _check_cycles(source: BookText, groups: Mapping[str, tuple[str, ...]]) -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            cycle = " -> ".join((*way[way.index(name) :], name))
            raise source.error(f"[groups] {quoted(name)} contains itself: {cycle}", ("groups", name))
        if name in groups and name not in done:
            for member in groups[name]:
                visit(member, (*way, name))
            done.add(name)

    for group in groups:
        visit(group, ())


def _check_servers(source: BookText, servers: Mapping[str, Table], defaults: SiteTable) -> None:
    for name, server in servers.items():
        if not (server.url or defaults.url):
            key = ("servers", name)
            raise source.error(f"{described(key)} has no url; put it there, as https://host/", key)


def _check_variables(source: BookText, servers: Mapping[str, str | None], sites: Mapping[str, Site]) -> None:
    """One variable for two machines would give the password of one to the other."""
    owners: dict[str, tuple[str, str | None]] = {}
    named: list[tuple[KeyPath, str | None]] = [(("servers", name), url) for name, url in servers.items()]
    named += [(("sites", name), site.url) for name, site in sites.items()]
    for key, url in named:
        variable, label = password_variable(key[1]), f"{key[0][:-1]} {quoted(key[1])}"
        other, other_url = owners.setdefault(variable, (label, url))
        if url != other_url:
            raise source.error(
                f"{described(key)} the {label} and the {other} are different PMA.cores, but the password of both "
                f"would be {variable}; rename one",
                key,
            )
