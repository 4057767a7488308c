"""The site book: a TOML file that people read, compare and share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, UsageError
from .models import Site, SiteTable, Table
from .names import did_you_mean, quoted
from .source import BookText, KeyPath, described


def default_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the book is when nobody says otherwise: `PMAREP_CONFIG`, or the platform's folder for configuration."""
    if named := environ.get("PMAREP_CONFIG"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_config_path("pmarep", appauthor=False) / "sites.toml"


@dataclass(frozen=True)
class SiteBook:
    """All sites, servers and groups of one book, checked and resolved: every site has url, username and target."""

    source: BookText = field(repr=False)
    defaults: SiteTable
    servers: Mapping[str, Table]
    sites: Mapping[str, Site]
    groups: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, path: Path) -> SiteBook:
        """Raises ConfigError: one line with the path, the line of the file where it is known, and what is allowed."""
        return cls.parse(BookText.read(path))

    @classmethod
    def parse(cls, source: BookText) -> SiteBook:
        """A book of a text that need not be on disk yet. Raises ConfigError."""
        from .reader import read_tables

        return cls(source, *read_tables(source))

    @property
    def path(self) -> Path:
        return self.source.path

    def resolve(self, selection: Sequence[str]) -> list[Site]:
        """The sites to replicate to: see `select`; two that would write over each other are refused.

        Also what is needed on this machine has to be there: a certificate of a site that is not used may be missing.
        Raises ConfigError.
        """
        sites = self.select(selection)
        places: dict[str, Site] = {}
        for site in sites:
            other = places.setdefault(site.place, site)
            if other is not site:
                raise ConfigError(
                    f'{self.path}: the sites "{other.name}" and "{site.name}" are the same place '
                    f"({site.url} {site.target}) and would write over each other; leave one out"
                )
        for site in sites:
            self._check_files(site)
        return sites

    def select(self, selection: Sequence[str]) -> list[Site]:
        """The sites of these names of sites and groups, each once, in the order named.

        An item may hold several names with commas between them. Raises UsageError for none, ConfigError for unknown.
        """
        names = [name.strip() for item in selection for name in item.split(",") if name.strip()]
        chosen = dict.fromkeys(member for name in names for member in self._members(name))
        if not chosen:
            empty = f"the group {', '.join(names)} has no sites" if names else "no site is named"
            raise UsageError(f"{empty}; known in {self.path}: {', '.join([*self.sites, *self.groups]) or 'none'}")
        return [self.sites[name] for name in chosen]

    def groups_of(self, site: str) -> list[str]:
        """The groups that a site is in, also by way of another group."""
        return [group for group in self.groups if site in self._members(group)]

    def _members(self, name: str) -> list[str]:
        """The sites of one name. Groups have no cycles: `reader` has seen to that."""
        if name in self.sites:
            return [name]
        if name in self.groups:
            return [site for member in self.groups[name] for site in self._members(member)]
        known = [*self.sites, *self.groups]
        hint = did_you_mean(name, known) or f"; known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
        raise ConfigError(f"there is no site or group {quoted(name)} in {self.path}{hint}")

    def _check_files(self, site: Site) -> None:
        if site.ca_bundle is None or site.ca_bundle.is_file():
            return
        tables: list[KeyPath] = [("sites", site.name), ("defaults",)]
        if site.server:
            tables.insert(1, ("servers", site.server))
        raise self.source.error(
            f"{described(tables[0])} the ca_bundle {site.ca_bundle} is not there; name a PEM file",
            *((*table, "ca_bundle") for table in tables),
        )
