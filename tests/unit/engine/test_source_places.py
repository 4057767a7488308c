"""Which places may be copied to which sites."""

from __future__ import annotations

import pytest
from support.pulls import place

from pmarep.engine.options import Options
from pmarep.engine.places import check_sources
from pmarep.errors import UsageError
from pmarep.sites import Site


def check(path: str, target: str, to: str = "", url: str = "https://ghent.example/") -> None:
    site = Site(name="boston", url=url, username="u", target=target)
    check_sources(Options(sources=(place("https://ghent.example", path, "ghent"),), to=to), [site])


@pytest.mark.parametrize(
    ("path", "target", "to"),
    [
        ("R/a", "R/a", ""),
        ("R/a", "R/A/b", ""),
        ("R/a", "R", "a/b"),
        ("R/a/b", "R/a", ""),
        ("R/a/b", "R", "A"),
        ("", "R/a", ""),
        ("R/a/Cafe\u0301", "R/a/Caf\xe9", ""),
    ],
)
def test_a_place_and_a_target_that_overlap_at_one_server(path: str, target: str, to: str) -> None:
    with pytest.raises(UsageError, match="overlap at one server"):
        check(path, target, to)
    check(path, target, to, url="https://boston.example/")


@pytest.mark.parametrize(("path", "target", "to"), [("R/a", "R/ab", ""), ("R/a", "R", "b"), ("R/a/b", "R/a/c", "")])
def test_neighbours_at_one_server(path: str, target: str, to: str) -> None:
    check(path, target, to)
