"""Which slides of a run each site is to have: `include`, `exclude`, `newer_than` and `min_size` of the site book.

They come on top of the options of the command, which are for all sites; and so does a map with `--map-only`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..slides import Slide
from ..slides.selection import Selection
from ..units import parse_moment, parse_size
from .models import Site
from .name_map import NameMap, SiteNames

_NAMES = ("include of the site", "exclude of the site", "newer_than of the site", "min_size of the site")


NOT_MAPPED = "not in the map"


class SiteChoice:
    """What one site takes. `now`, in seconds since the epoch: what an age in `newer_than` counts from.

    `names`: it takes those slides only that have a row in them.
    """

    def __init__(self, site: Site, now: float, names: SiteNames | None = None) -> None:
        self._names = names
        since = None if site.newer_than in (None, "off") else parse_moment(site.newer_than or "", now)
        self._by_date = since is not None
        self.commands = [key for key, words in (("require", site.require), ("prepare", site.prepare)) if words]
        """The keys of the commands that are run for each slide that would be sent."""
        least = parse_size(site.min_size or "0")
        self.is_any = not (site.include or site.exclude or least or names) and since is None
        """True where the site takes every slide."""
        self._selection = Selection(site.include or (), site.exclude or (), since, least, names=_NAMES)

    def refusal(self, slide: Slide) -> str | None:
        """Return why the site does not take a slide, or None. One without a date (below 0) is new: too many are better.

        The reason never names the slide.
        """
        reason = self._selection.refusal(slide.path)
        if reason is None and self._by_date and all(file.mtime_ns >= 0 for file in slide.files):
            reason = self._selection.too_old(slide.files)
        reason = reason or self._selection.too_small(slide.files)
        if reason is None and self._names is not None and self._names.row(slide.path) is None:
            reason = NOT_MAPPED
        return reason

    def refuses_name(self, path: str) -> bool:
        """Return whether the site takes no slide of this path from the source."""
        return self._selection.refusal(path) is not None


class SiteChoices:
    """The choices of all sites of a run; most have none, and those with the same keys share one, and its bit.

    `only`: a map; slides that have no row for a site in it do not go there.
    """

    def __init__(self, sites: Sequence[Site], now: float, only: NameMap | None = None) -> None:
        shared: dict[object, SiteChoice] = {}
        self._choices: dict[str, SiteChoice] = {}
        self._bits: dict[str, int] = {}
        for site in sites:
            names = None if only is None else only.of(site.name)
            keys = (*_keys(site), names)
            choice = shared.setdefault(keys, SiteChoice(site, now, names))
            if not choice.is_any:
                self._choices[site.name] = choice
                self._bits[site.name] = 1 << list(shared).index(keys)
        self._by_bit = {self._bits[name]: choice for name, choice in self._choices.items()}

    def __bool__(self) -> bool:
        return bool(self._choices)

    def of(self, site: str) -> SiteChoice | None:
        """Return the choice of a site; None where it takes every slide."""
        return self._choices.get(site)

    def bit(self, site: str) -> int:
        """Return the bit of a site in `mask`; 0 where it takes every slide."""
        return self._bits.get(site, 0)

    def mask(self, slide: Slide) -> int:
        """Return the bits of the sites that do not take a slide."""
        return sum(bit for bit, choice in self._by_bit.items() if choice.refusal(slide) is not None)

    def excluded(self, slides: Sequence[Slide], masks: Sequence[int]) -> Mapping[tuple[str, str], Sequence[int]]:
        """Return the indices of slides that sites do not take, by site and reason. `masks`: those of the slides."""
        found: dict[tuple[str, str], list[int]] = {}
        for index, (slide, mask) in enumerate(zip(slides, masks, strict=True)):
            reasons = {bit: choice.refusal(slide) for bit, choice in self._by_bit.items() if mask & bit}
            for name, bit in self._bits.items():
                if (reason := reasons.get(bit)) is not None:
                    found.setdefault((name, reason), []).append(index)
        return found


def _keys(site: Site) -> tuple[object, ...]:
    return site.include, site.exclude, site.newer_than, site.min_size
