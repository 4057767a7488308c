"""Whatever fails at the source costs that slide or folder a line, and never the run."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from support.clocks import JumpingClock
from support.corpus import tree
from support.fake_core import FakeCore
from support.pulls import place

from pmarep.engine.discovery.producer import DiscoveryListener, SlideProducer
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.engine.options import Options
from pmarep.pmacore import PmaCore, Refused, Unreachable
from pmarep.sites.place import Place
from pmarep.slides import LeftOut, Why
from pmarep.slides.walk import Walk
from pmarep.source.scanner import SourceScanner

POSIX = pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX systems")


@dataclass
class Found:
    slides: list[str] = field(default_factory=list)
    problems: list[LeftOut] = field(default_factory=list)
    error: str | None = None


def gather(source: Path | Place, core: FakeCore | None = None, **options: Any) -> Found:
    """A whole producer: everything is recent, so there is a second look. `core`: where the source is a place."""
    found = Found()

    async def go() -> None:
        slide_list = SlideList()
        listener = DiscoveryListener(found.problems.append, lambda *_: None)
        producer = SlideProducer(
            Options(sources=(source,), **options), slide_list, JumpingClock(), listener, lambda _: cast(PmaCore, core)
        )
        await producer.walk()
        await asyncio.sleep(0)
        await producer.watch_unstable(lambda: True, None)
        assert slide_list.complete.is_set()
        found.slides = [slide_list.found(index).path for index in range(slide_list.admitted)]
        found.error = producer.error
        producer.close()
        slide_list.close()

    asyncio.run(go())
    return found


@POSIX
def test_a_path_longer_than_the_system_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder before the limit can be listed; what is in it cannot be looked at."""
    tree(tmp_path, "a.svs", "z.svs")
    monkeypatch.chdir(tmp_path)
    part = "d" * 200
    for _ in range(21):
        Path(part).mkdir()
        os.chdir(part)
    tree(Path(), "deep.svs")
    os.chdir(tmp_path)
    found = gather(tmp_path)
    assert found.slides == ["a.svs", "z.svs"]
    assert [(one.why, one.detail) for one in found.problems] == [(Why.UNREADABLE, os.strerror(errno.ENAMETOOLONG))]
    assert found.error is None


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_may_be_listed_and_not_entered(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "closed/b.svs", "closed/c/d.svs", "z.svs")
    (tmp_path / "closed").chmod(0o444)
    try:
        found = gather(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert found.slides == ["a.svs", "z.svs"]
    assert {one.path for one in found.problems} == {"closed/b.svs", "closed/c"}
    assert {one.detail for one in found.problems} == {os.strerror(errno.EACCES)}


def test_looks_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the folder above, for whoever is root: every look at something in it is refused."""
    tree(tmp_path, "a.svs", "closed/b.mrxs", "z.svs")
    closed, stat = str(tmp_path / "closed") + os.sep, os.stat

    def refuse(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if not isinstance(path, int) and os.fspath(path).startswith(closed):
            raise PermissionError(13, os.strerror(13), path)
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    found = gather(tmp_path)
    assert found.slides == ["a.svs", "z.svs"]
    assert [one.path for one in found.problems] == ["closed/b.mrxs"]


def test_a_bug_in_one_folder_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.svs", "b/c.svs", "b/d/e.svs", "f/g.svs")
    resolve = Walk._resolve_claims

    def broken(walk: Walk, place: Any, **kwargs: Any) -> Any:
        if place.prefix == "b/":
            raise RecursionError("c.svs")
        return resolve(walk, place, **kwargs)

    monkeypatch.setattr(Walk, "_resolve_claims", broken)
    found = gather(tmp_path)
    assert found.slides == ["a.svs", "f/g.svs"]
    assert [(one.path, one.why) for one in found.problems] == [("b", Why.UNREADABLE)]
    assert "internal error (RecursionError)" in found.problems[0].detail


def test_a_bug_at_the_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before is sent, and the run says that it is not all."""
    tree(tmp_path, "a.svs", "lost.mrxs")

    def broken(*_: object) -> LeftOut:
        raise ZeroDivisionError

    monkeypatch.setattr(SourceScanner, "again", broken)
    found = gather(tmp_path)
    assert found.error is not None
    assert "not every folder was looked through: internal error (ZeroDivisionError)" in found.error


def test_a_bug_in_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.svs")
    find = SourceScanner.find

    def broken(scanner: SourceScanner) -> Iterator[Any]:
        yield from find(scanner)
        raise ZeroDivisionError

    monkeypatch.setattr(SourceScanner, "find", broken)
    found = gather(tmp_path, settle=0)
    assert found.error is not None
    assert "internal error (ZeroDivisionError)" in found.error


def test_what_a_server_had_listed_before_it_was_away_is_sent() -> None:
    away = Unreachable("ghent does not answer")
    refused = Refused("not yours")
    core = FakeCore({"R": ["R/a.svs", "R/b.svs"], "R/c": away}, {"R/b.svs": refused})
    found = gather(place("https://ghent.example/", "R", "ghent"), core)
    assert found.slides == ["a.svs"]
    assert [problem.path for problem in found.problems] == ["b.svs"]
    assert found.error == "not every folder was looked through: ghent does not answer"
