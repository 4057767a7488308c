"""Pipes, sockets and devices where files are expected: said at once, not waited for, and not read without end."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.corpus import tree

from pmarep.errors import ConfigError, UsageError
from pmarep.sites import SiteBook, book_text
from pmarep.slides import LeftOut, Slide, Why, find_slides

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files in folders")

SITE = '[sites.a]\nurl = "https://a.example/"\nusername = "u"\ntarget = "Slides/in"\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path: a socket's has 108 characters at most."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def left_in(folder: Path) -> dict[str, Why]:
    return {thing.path: thing.why for thing in find_slides(folder) if isinstance(thing, LeftOut)}


def test_in_a_folder(folder: Path) -> None:
    """What is called like a slide is a problem; somebody expects it to arrive."""
    tree(folder, "a.svs")
    os.mkfifo(folder / "p.svs")
    os.mkfifo(folder / "control")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "q.ndpi"))
        assert left_in(folder) == {
            "p.svs": Why.UNREADABLE,
            "q.ndpi": Why.UNREADABLE,
            "control": Why.NOT_A_SLIDE,
        }
    assert [thing.path for thing in find_slides(folder) if isinstance(thing, Slide)] == ["a.svs"]


def test_as_a_source(folder: Path) -> None:
    os.mkfifo(folder / "p.svs")
    with pytest.raises(UsageError, match=r"cannot use .*/p\.svs: it is neither a file nor a folder"):
        find_slides(folder / "p.svs")


def test_as_a_list_of_what_is_ignored(folder: Path) -> None:
    os.mkfifo(folder / ".pmarepignore")
    tree(folder, "a.svs")
    (left,) = find_slides(folder)
    assert isinstance(left, LeftOut)
    assert (left.path, left.why) == (".pmarepignore", Why.BAD_RULES)
    assert left.detail.startswith("it is no file; nothing is sent from its folder")


@pytest.mark.parametrize("name", ["pipe.toml", "/dev/zero", "/dev/tty"])
def test_as_an_included_book(folder: Path, name: str) -> None:
    os.mkfifo(folder / "pipe.toml")
    (folder / "sites.toml").write_text(f'include = ["{name}"]\n{SITE}')
    with pytest.raises(ConfigError, match=r"line 1: include .* is no file; name a site book"):
        SiteBook.load(folder / "sites.toml")


def test_a_book_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_text, "LARGEST", 2 * 1024**2)
    with pytest.raises(ConfigError, match="/dev/zero is larger than 2 MiB"):
        SiteBook.load(Path("/dev/zero"))
    (folder / "large.toml").write_bytes(b"#" * (2 * 1024**2 + 1))
    (folder / "sites.toml").write_text(f'include = ["large.toml"]\n{SITE}')
    with pytest.raises(ConfigError, match=r"large\.toml is larger than 2 MiB"):
        SiteBook.load(folder / "sites.toml")


def test_a_book_from_a_pipe_is_read(folder: Path) -> None:
    """`--config <(generate)`"""
    reading, writing = os.pipe()
    os.write(writing, SITE.encode())
    os.close(writing)
    try:
        assert [site.name for site in SiteBook.load(Path(f"/dev/fd/{reading}")).resolve(["a"])] == ["a"]
    finally:
        os.close(reading)
