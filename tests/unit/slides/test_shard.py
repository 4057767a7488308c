"""Every slide belongs to exactly one shard, on every machine, however its name is stored."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.corpus import tree
from support.discovery import discover

from pmarep.errors import UsageError
from pmarep.slides.shard import MOST, Shard, shard_hash

paths = st.text(st.characters(exclude_characters="/\0"), min_size=1)


@given(path=paths, count=st.integers(1, 40))
@example(path="日本/ü &+#%'<script>.svs", count=7)
@example(path="a\udce9.svs", count=3)
def test_a_path_belongs_to_exactly_one_shard(path: str, count: int) -> None:
    assert [Shard(number, count).has(path) for number in range(1, count + 1)].count(True) == 1


@given(path=paths)
@example(path="ΟΔΟΣ.svs")
@example(path="İstanbul.svs")
@example(path="Å/A\u030a/\u212b")
def test_neither_composition_nor_case_change_the_shard(path: str) -> None:
    hashes = {shard_hash(unicodedata.normalize(form, path)) for form in ("NFC", "NFD")}
    hashes |= {shard_hash("".join(map(str.lower, unicodedata.normalize(form, path)))) for form in ("NFC", "NFD")}
    assert len(hashes) == 1


@given(path=st.text("aäöéσЖжñÑÉZ0/ .", min_size=1))
def test_upper_case_is_the_same_shard(path: str) -> None:
    assert shard_hash(path.upper()) == shard_hash(path)


def test_the_hash_is_the_one_that_other_programs_compute() -> None:
    """`printf 'case 1/kidney.mrxs' | sha256sum`, and of `münchen.svs` in composed letters: nobody may change it."""
    kidney, muenchen = (f"{shard_hash(path):064x}" for path in ("Case 1/Kidney.mrxs", "Mu\u0308nchen.svs"))
    assert kidney.startswith("88b24c1bec85bfe2")
    assert muenchen.startswith("e06c8d46c4b40a01")


def test_shards_are_about_equal() -> None:
    names = [f"case {number:05}/slide.svs" for number in range(8000)]
    sizes = [sum(map(Shard(number, 8).has, names)) for number in range(1, 9)]
    assert sum(sizes) == 8000
    assert 850 < min(sizes) < max(sizes) < 1150


@pytest.mark.parametrize(
    ("text", "shard"),
    [("1/8", Shard(1, 8)), ("8/8", Shard(8, 8)), ("0/8", Shard(8, 8)), ("0/1", Shard(1, 1)), (" 3/ 8 ", None),
     (f"{MOST}/{MOST}", Shard(MOST, MOST)), ("07/08", Shard(7, 8))],
)  # fmt: skip
def test_shards_as_people_and_schedulers_write_them(text: str, shard: Shard | None) -> None:
    if shard is None:
        with pytest.raises(UsageError):
            Shard.parse(text)
    else:
        assert Shard.parse(text) == shard
        assert Shard.of_folder(shard.folder) == shard


@pytest.mark.parametrize("tasks", [range(8), range(1, 9)], ids=["--array=0-7", "--array=1-8"])
def test_both_ways_to_count_tasks_give_all_shards(tasks: range) -> None:
    assert {Shard.parse(f"{task}/8") for task in tasks} == {Shard(number, 8) for number in range(1, 9)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/", "are they set"),
        ("3", "not K/N"),
        ("-1/8", "not K/N"),
        ("1/8/2", "not K/N"),
        ("²/8", "not K/N"),
        ("9/8", r"no shard 9 of 8; the tasks of an array have to be 0-7 or 1-8"),
        ("0/0", "N is from 1"),
        ("1/0", "N is from 1"),
        ("1/1000001", "N is from 1"),
        ("1/" + "9" * 5000, "not K/N"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Shard.parse(text)


@pytest.mark.parametrize("name", ["locks", "shard-9-of-8", "shard-0-of-8", "shard-1-of-8.old", "shard-٣-of-8"])
def test_other_folders_are_no_shards(name: str) -> None:
    assert Shard.of_folder(name) is None


def test_the_spelling_of_the_source_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "cases", *(f"b {number}/{number}.svs" for number in range(20)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "cases", target_is_directory=True)
    shard = Shard(2, 3)
    wanted = [path for path in discover(tmp_path / "cases").slides if shard.has(path)]
    assert 0 < len(wanted) < 20
    for spelled in ("cases", "./cases/", "cases/../cases", "link"):
        assert [path for path in discover(Path(spelled)).slides if shard.has(path)] == wanted
