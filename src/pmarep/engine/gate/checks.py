"""Check what a run is asked for against the gates of its sites."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import UsageError
from ...sites import Site
from ..options import Options


def check_gates(options: Options, sites: Sequence[Site]) -> None:
    """Raise UsageError for what cannot be done where sites have `require` or `prepare`."""
    for site in sites:
        keys = [key for key, words in (("require", site.require), ("prepare", site.prepare)) if words]
        if keys and options.places:
            raise UsageError(
                f"{site.name} has {' and '.join(keys)}, which need files of this machine; bring the slides here with "
                "pmarep pull, then push them"
            )
        if site.prepare and options.at_all_sites is not None:
            raise UsageError(
                f"--at-all-sites lists files that are at every site, and {site.name} gets what prepare makes of them; "
                "leave one of the two out"
            )
