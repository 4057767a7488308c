"""The site book: a TOML file that people read, compare and share."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import ConfigError, UsageError
from ..system.windows_names import collision_key, lies_within
from .book_stack import BookStack
from .book_text import BookText, KeyPath, table_header
from .models import GateTable, HooksTable, Site, SiteTable, SlidesTable, Table
from .site_names import did_you_mean, is_pattern, quoted


def default_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the default path of the book: `PMAREP_CONFIG`, or the platform's folder for configuration."""
    if named := environ.get("PMAREP_CONFIG"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_config_path("pmarep", appauthor=False) / "sites.toml"


def slides_settings(path: Path, *, needed: bool) -> SlidesTable:
    """Read the `[slides]` table of a book; where there is no such file and it is not `needed`, return the defaults.

    For those who use no site: whether the rest of the book is right does not matter. Raises ConfigError.
    """
    from .book_parser import read_slides

    if not needed:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return SlidesTable()
        except OSError:
            pass  # it may be there: reading it says what is wrong
    return read_slides(BookStack.collect(BookText.read(path)))


@dataclass(frozen=True)
class SiteBook:
    """All sites, servers and groups of a book and those it includes, checked and resolved.

    Every site has url, username and target.
    """

    stack: BookStack = field(repr=False)
    defaults: SiteTable
    servers: Mapping[str, Table]
    sites: Mapping[str, Site]
    groups: Mapping[str, tuple[str, ...]]
    slides: SlidesTable
    hooks: HooksTable
    gate: GateTable

    @classmethod
    def load(cls, path: Path) -> SiteBook:
        """Read and check a book and all that it includes.

        Raises ConfigError: one line with the path, the line of the file where it is known, and what is allowed.
        """
        return cls.parse(BookText.read(path))

    @classmethod
    def parse(cls, source: BookText) -> SiteBook:
        """Check a text that need not be on disk yet, with all that it includes. Raises ConfigError."""
        from .book_parser import read_tables

        stack = BookStack.collect(source)
        return cls(stack, *read_tables(stack))

    @property
    def path(self) -> Path:
        """The person's own book, the only one that is ever edited."""
        return self.stack.own.path

    def resolve(self, selection: Sequence[str]) -> list[Site]:
        """Return the sites to replicate to: as `select`, but two that would write over each other are refused.

        Also what is needed on this machine has to be there: a certificate of a site that is not used may be missing.
        Raises ConfigError.
        """
        sites = self.select(selection)
        places: dict[str, Site] = {}
        for site in sites:
            other = places.setdefault(site.destination_key, site)
            if other is not site:
                raise ConfigError(
                    f'{self.path}: the sites "{other.name}" and "{site.name}" are the same place '
                    f"({site.url} {site.target}) and would write over each other; leave one out"
                )
        # In this order, one that others lie within is next to one of them.
        in_order = sorted(places.items(), key=lambda item: f"{item[0]}/")
        for (other_place, other), (place, site) in itertools.pairwise(in_order):
            if lies_within(place, other_place):
                raise ConfigError(
                    f'{self.path}: the site "{site.name}" ({site.target}) lies within "{other.name}" ({other.target}), '
                    "so a slide of one could be written over by the other; push to them one after the other"
                )
        for site in sites:
            self._check_files(site)
        return sites

    def select(self, selection: Sequence[str]) -> list[Site]:
        """Return the sites that these names, patterns and groups stand for, each once, in the order named.

        An item may hold several with commas between them. A pattern (`box-*`, `?`, `[ab]`) is matched with sites only:
        a group may hold others than its name promises. Raises UsageError for none, ConfigError for unknown.
        """
        names = [name.strip() for item in selection for name in item.split(",") if name.strip()]
        chosen = dict.fromkeys(member for name in names for member in self._members(name))
        if not chosen:
            empty = f"the group {', '.join(names)} has no sites" if names else "no site is named"
            raise UsageError(f"{empty}; known in {self.path}: {', '.join([*self.sites, *self.groups]) or 'none'}")
        return [self.sites[name] for name in chosen]

    def sites_below(self, site: Site, folder: str) -> list[Site]:
        """Return the other sites at the same server whose targets lie below a folder, as any server may take names."""
        key = collision_key(folder)
        return [
            other
            for other in self.sites.values()
            if other.url == site.url
            and collision_key(other.target) != key
            and lies_within(collision_key(other.target), key)
        ]

    def groups_of(self, site: str) -> list[str]:
        """Return the groups that a site is in, also by way of another group."""
        return [group for group in self.groups if site in self._members(group)]

    def _members(self, name: str) -> list[str]:
        """Return the sites of one name. Groups have no cycles: `book_parser` has checked that."""
        if name in self.sites:
            return [name]
        if name in self.groups:
            return [site for member in self.groups[name] for site in self._members(member)]
        if is_pattern(name) and (matching := [site for site in self.sites if fnmatchcase(site, name)]):
            return matching
        raise ConfigError(self.unknown(name))

    def unknown(self, name: str) -> str:
        """Return the error text for a name or pattern that is no site and no group, with the nearest names."""
        known = [*self.sites, *self.groups]
        hint = did_you_mean(re.sub(r"[*?\[\]]", "", name), known)
        hint = hint or f"; known: {', '.join(known[:12]) or 'none'}{', ...' if len(known) > 12 else ''}"
        if not is_pattern(name):
            return f"there is no site or group {quoted(name)} in {self.path}{hint}"
        groups = [group for group in self.groups if fnmatchcase(group, name)]
        if groups:
            hint = f"; patterns are for sites, so name the group: {', '.join(groups)}"
        return f"no site matches {quoted(name)} in {self.path}{hint}"

    def tables_of(self, site: Site) -> list[KeyPath]:
        """Return the tables that a site's values come from; an earlier one overrides a later one."""
        server: list[KeyPath] = [("servers", site.server)] if site.server else []
        return [("sites", site.name), *server, ("defaults",)]

    def _check_files(self, site: Site) -> None:
        needed = [("ca_bundle", site.ca_bundle), *(("client_cert", file) for file in site.client_cert or ())]
        for key, file in needed:
            if file is not None and not file.is_file():
                tables = self.tables_of(site)
                raise self.stack.error(
                    f"{table_header(tables[0])} the {key} {file} is not there; name a PEM file",
                    *((*table, key) for table in tables),
                )
