"""Describe a run for its record: what was asked for, and of which sites."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

from ..sites import Site
from ..version import __version__
from .options import Options


def describe_run(options: Options, sites: Sequence[Site]) -> dict[str, Any]:
    """Return what a report has to know of a run beside its events; without secrets, fit for JSON."""
    return {
        "pmarep": __version__,
        "machine": platform.node(),
        "platform": sys.platform,
        "pid": os.getpid(),
        "command": "verify" if options.verify_only else "push",
        "sources": options.source_names,
        "to": options.to,
        "sites": [{"name": site.name, "url": site.url, "target": site.target} for site in sites],
        "verify": options.verify.value,
        "existing": options.existing.value,
        "mirror": options.mirror,
        "include": list(options.include),
        "exclude": list(options.exclude),
        "newer_than": options.newer_than,
        "min_size": options.min_size,
        "shard": None if options.shard is None else str(options.shard),
        "follow_links": options.follow_links,
        "config": None if options.config is None else str(options.config.absolute()),
        "arguments": list(options.arguments),
    }
