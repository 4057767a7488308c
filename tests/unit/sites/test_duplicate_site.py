"""What the server is called that two sites come to move."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.duplicate_site import plan_server_move


@pytest.mark.parametrize(
    ("url", "more", "name", "is_new"),
    [
        ("https://pma.campus.example/core/", "", "campus", True),
        ("https://10.0.0.7:8443/", "", "10-0-0-7", True),
        ("https://www/", "", "www", True),
        ("https://tokyo.example/", "", "tokyo", True),
        ("https://geo.example/", "", "geo-2", True),
        ("https://pma.campus.example/", '[servers.campus]\nurl = "https://other/"\n', "campus-2", True),
        ("https://a/", '[servers.mine]\nurl = "https://a/"\nusername = "u"\n', "mine", False),
    ],
)
def test_the_servers_name(url: str, more: str, name: str, is_new: bool) -> None:
    own = 'target = "T"\nbwlimit = "2M"\nmin_size = 5\n'
    text = f'{more}[sites.tokyo]\nurl = "{url}"\nusername = "u"\n{own}[groups]\ngeo = []\n'
    move = plan_server_move(SiteBook.parse(BookText(Path("sites.toml"), text)), "tokyo")
    assert move is not None
    assert (move.server, move.is_new, move.keys) == (name, is_new, ("url", "username"))


def test_a_site_at_a_server_has_nothing_to_move() -> None:
    text = '[servers.s]\nurl = "https://a/"\nusername = "u"\n[sites.a]\nserver = "s"\ntarget = "A"\n'
    assert plan_server_move(SiteBook.parse(BookText(Path("sites.toml"), text)), "a") is None
