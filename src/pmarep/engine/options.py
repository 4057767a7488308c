"""What a run is asked to do, checked: one frozen object that everyone reads."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from ..sites.name_map import NameMap
from ..sites.place import Place
from ..slides.shard import Shard
from ..timetable import Timetable


class Existing(StrEnum):
    """What to do with a slide that is at the site already and differs."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"


class Verify(StrEnum):
    """How sure to be after sending.

    `SIZE`: all files are there with their sizes, and the server can read the slide. `FINGERPRINT`: also the servers'
    own fingerprints of the slide agree at all sites that have it. `DEEP`: every file is read back and compared.
    """

    NONE = "none"
    SIZE = "size"
    FINGERPRINT = "fingerprint"
    DEEP = "deep"


PATIENCE = 600.0
"""Seconds: a server that installs its updates and starts again needs some minutes."""


RECHECK = 7 * 86400.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`to` is a sub-folder below every site's target. `connections`: None means as each site says.
    `max_duration` in seconds. `stop_at`: a time of the day, at which all is broken off; `hard`: at `max_duration` too.

    `verify_only`: nothing is sent; what is at the sites is looked at. `audit`: a file to append to, one line for each
    slide and site.

    `patience`: how long a site may stay away, in seconds, before it gets nothing more in this run; 0: not at all. A
    slide that fails at a site that is well gets a tenth of that.

    `recheck`: within so many seconds, the names and sizes of every slide that is known to be at a site are looked at
    again, a share of them in each run; None: of none.

    `settle`: how long files have to stand still, in seconds, before they count as finished; None: 10 seconds where they
    are younger than a minute; 0: they always do.

    `newer_than` (seconds since the epoch) is for the newest file of a slide, `min_size` (bytes) for all its files
    together. `ask_pma_start`: about files of unknown formats, if PMA.start runs on this machine
    and is this user's or the system's; `trust_pma_start`: whoever's it is.

    `at_all_sites`: a file for the list of source files that are verified at every site (at_all_sites.py); every slide
    that is there already is looked at for it.

    `config`: the site book, where commands have to name it that people are told to type. `arguments`: the words after
    `pmarep` that go on with this run; none where a program has started it.

    `annotations`: also bring the annotations of slides: from their side files, or from the places they lie at.

    `spool`: the folder of the spool for what comes from places; None: the state folder. `spool_size`: in bytes; None:
    2 GiB, or what there is room for.

    `gate_timeout`: seconds for each command `require` or `prepare` of a site and each slide. `gate_cache`: the folder
    in which what `prepare` makes is kept; None: in the state folder. `gate_cache_size`: in bytes; None: 20 GiB, or what
    there is room for.

    `shard`: only the slides that belong to it; it has a journal of its own in the state folder.

    `mirror`: slides below the target folder that the source has not are listed; `mirror_deletes`: and deleted, so many
    at a site at most (`max_delete`), or half of those that are there (None).

    `repeated`: the run is one of many rounds. A slide that is still being written is no problem: a later one sends it.

    `names`: other names that slides get at sites; `only_named`: slides without a row for a site do not go there.

    `allow_empty`: a source without any slide in it is no failure. `follow_links`: also those that lead out of a source.
    """

    sources: tuple[Path | Place, ...]
    to: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    existing: Existing = Existing.FAIL
    verify: Verify = Verify.SIZE
    verify_only: bool = False
    audit: Path | None = None
    connections: int | Literal["auto"] | None = None
    bwlimit: Timetable | None = None
    dry_run: bool = False
    repeated: bool = False
    fresh: bool = False
    mirror: bool = False
    mirror_deletes: bool = False
    max_delete: int | None = None
    annotations: bool = False
    max_duration: float | None = None
    stop_at: dt.time | None = None
    hard: bool = False
    patience: float = PATIENCE
    recheck: float | None = RECHECK
    settle: float | None = None
    newer_than: float | None = None
    min_size: int = 0
    shard: Shard | None = None
    ask_pma_start: bool = True
    trust_pma_start: bool = False
    allow_empty: bool = False
    follow_links: bool = False
    at_all_sites: Path | None = None
    spool: Path | None = None
    spool_size: int | None = None
    gate_timeout: float = 600.0
    gate_cache: Path | None = None
    gate_cache_size: int | None = None
    names: NameMap | None = None
    only_named: bool = False
    config: Path | None = None
    arguments: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The sources on this disk."""
        return tuple(source for source in self.sources if isinstance(source, Path))

    @property
    def places(self) -> tuple[Place, ...]:
        """The sources at PMA.cores, each once."""
        places = [source for source in self.sources if isinstance(source, Place)]
        return tuple({(place.site.name, place.path): place for place in places}.values())

    @property
    def source_names(self) -> list[str]:
        """The sources as they are written down: paths in full, places as they were typed."""
        return [source.text if isinstance(source, Place) else str(source.absolute()) for source in self.sources]
