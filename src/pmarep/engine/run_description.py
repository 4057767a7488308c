"""Describe a run for its record: what was asked for, and of which sites."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..sites import Site
from ..version import __version__
from .options import Options


def describe(command: str, sites: Sequence[Site], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report has to know of a run beside its events, whatever its command; without secrets, for JSON.

    `options`: those that are not as they are by default.
    """
    return {
        "pmarep": __version__,
        "machine": platform.node(),
        "platform": sys.platform,
        "pid": os.getpid(),
        "command": command,
        "sources": [],
        "to": "",
        "sites": [{"name": site.name, "url": site.url, "target": site.target} for site in sites],
        "verify": "size",
        "existing": "fail",
        "mirror": False,
        "include": [],
        "exclude": [],
        "newer_than": None,
        "min_size": 0,
        "shard": None,
        "follow_links": False,
        "map": None,
        "map_only": False,
        "config": None,
        "arguments": [],
        **options,
    }


def describe_run(options: Options, sites: Sequence[Site]) -> dict[str, Any]:
    """Return what a report has to know of a push or verify."""
    return describe(
        "verify" if options.verify_only else "push",
        sites,
        {
            "sources": options.source_names,
            "to": options.to,
            "verify": options.verify.value,
            "existing": options.existing.value,
            "mirror": options.mirror,
            "include": list(options.include),
            "exclude": list(options.exclude),
            "newer_than": options.newer_than,
            "min_size": options.min_size,
            "shard": None if options.shard is None else str(options.shard),
            "follow_links": options.follow_links,
            "map": None if options.names is None else str(options.names.file.absolute()),
            "map_only": options.only_named,
            "config": None if options.config is None else str(options.config.absolute()),
            "arguments": list(options.arguments),
        },
    )
