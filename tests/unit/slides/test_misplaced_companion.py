"""Slides whose files are all there, in the wrong place: what to move where is said, and nothing is sent or lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_vsi
from support.discovery import discover
from test_every_file_counts import check, counts_of

from pmarep.cli.slides.advice import advice
from pmarep.slides import Cause, LeftOut, Why


def only_problem(top: Path) -> LeftOut:
    found = discover(top)
    check(top, found)
    problems = [thing for thing in found.things if isinstance(thing, LeftOut) and thing.why.is_problem]
    (problem,) = problems
    assert problem.why is Why.INCOMPLETE
    assert counts_of(found).unknown == 0
    return problem


@pytest.mark.parametrize(("name", "other", "wanted"), [("n.mrxs", "n_data", "n"), ("n.vsi", "_n (1)_", "_n_")])
def test_a_folder_that_was_renamed(tmp_path: Path, name: str, other: str, wanted: str) -> None:
    (write_mirax if name == "n.mrxs" else write_vsi)(tmp_path / name)
    (tmp_path / wanted).rename(tmp_path / other)
    tree(tmp_path, "notes/a.txt")
    problem = only_problem(tmp_path)
    words = f"its folder {wanted}/ is missing, and {other}/ looks like it: rename {other}/ to {wanted}/"
    assert (problem.path, problem.detail, problem.cause) == (name, words, Cause.MISPLACED)
    assert "move or rename it as said" in advice(problem)
    (tmp_path / other).rename(tmp_path / wanted)
    assert name in discover(tmp_path).slides


@pytest.mark.parametrize(("name", "folder"), [("n.mrxs", "n"), ("n.vsi", "_n_")])
@pytest.mark.parametrize("source", ["", "inside"])
def test_a_main_file_in_its_own_folder(tmp_path: Path, name: str, folder: str, source: str) -> None:
    (write_mirax if name == "n.mrxs" else write_vsi)(tmp_path / name)
    (tmp_path / name).rename(tmp_path / folder / name)
    problem = only_problem(tmp_path / folder if source else tmp_path)
    assert problem.path == (name if source else f"{folder}/{name}")
    assert problem.detail == f"it lies among the files of its own folder: move {name} one folder up, beside {folder}/"


def test_files_beside_the_main_file(tmp_path: Path) -> None:
    write_mirax(tmp_path / "n.mrxs")
    for file in (tmp_path / "n").iterdir():
        file.rename(tmp_path / file.name)
    (tmp_path / "n").rmdir()
    words = "its files lie beside it: make a folder n/ here, and move them into it, all but n.mrxs"
    assert only_problem(tmp_path).detail == words


def test_nothing_is_guessed(tmp_path: Path) -> None:
    """Two folders, or two main files: who knows which is whose."""
    for stem in ("a", "b"):
        write_mirax(tmp_path / f"{stem}.mrxs")
        (tmp_path / stem).rename(tmp_path / f"{stem}_data")
    found = discover(tmp_path)
    check(tmp_path, found)
    assert found.detail("a.mrxs") == "its folder a/ is missing"
    (tmp_path / "b.mrxs").unlink()
    assert discover(tmp_path).detail("a.mrxs") == "its folder a/ is missing"


def test_another_slides_folder_is_not_taken(tmp_path: Path) -> None:
    write_mirax(tmp_path / "whole.mrxs")
    tree(tmp_path, "lost.mrxs")
    found = discover(tmp_path)
    assert set(found.slides) == {"whole.mrxs"}
    assert found.detail("lost.mrxs") == "its folder lost/ is missing"
