"""What a run on several nodes cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from pmarep.engine import Options
from pmarep.errors import UsageError
from pmarep.nodes.run import check_options
from pmarep.sites import Site


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"require": ["may", "{slide}"]}, "tokyo has require or prepare"),
        ({"prepare": ["strip", "{slide}", "{out}"]}, "tokyo has require or prepare"),
        ({"min_size": "1M"}, "tokyo takes some slides only"),
        ({"newer_than": "7d"}, "tokyo takes some slides only"),
    ],
)
def test_sites_with_rules_of_their_own_are_refused(keys: dict[str, Any], words: str) -> None:
    def site(name: str, **keys: Any) -> Site:
        return Site(name=name, url="https://tokyo.example/", username="u", target="T", **keys)

    plain = site("plain", min_size="0", include=[], require=[], newer_than="off")
    check_options(Options(sources=()), [plain])
    with pytest.raises(UsageError, match=words):
        check_options(Options(sources=()), [plain, site("tokyo", **keys)])
