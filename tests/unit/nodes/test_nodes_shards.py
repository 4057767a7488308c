"""Dividing slides into shards, and choosing the next one."""

from __future__ import annotations

from pathlib import Path

from pmarep.nodes.shards import MOST_SLIDES, PER_NODE, Shard, divide, take_next
from pmarep.slides import Slide, SlideFile

SITES = frozenset({"tokyo", "ghent"})


def slides(*folders: tuple[str, int], size: int = 10) -> list[Slide]:
    return [
        Slide(f"{folder}/{number}.svs", "Aperio", Path("/src", folder), (SlideFile(f"{number}.svs", size, 0),))
        for folder, count in folders
        for number in range(count)
    ]


def divided(found: list[Slide], nodes: int) -> list[Shard]:
    size = sum(slide.size for slide in found)
    return divide(range(len(found)), found.__getitem__, SITES, nodes, slides=len(found), size=size)


def test_every_slide_is_in_one_shard() -> None:
    found = slides(*((f"case{number}", 7) for number in range(50)))
    shards = divided(found, 2)
    assert [number for shard in shards for number in shard.numbers] == list(range(350))
    assert sum(shard.bytes for shard in shards) == 3500
    assert PER_NODE <= len(shards) <= 3 * PER_NODE


def test_folders_stay_whole_where_they_are_not_large() -> None:
    found = slides(*((f"case{number}", 3) for number in range(40)))
    folders = [{found[number].path.partition("/")[0] for number in shard.numbers} for shard in divided(found, 1)]
    assert sum(map(len, folders)) == 40


def test_a_large_folder_is_divided() -> None:
    shards = divided(slides(("all", 10 * MOST_SLIDES)), 1)
    assert len(shards) >= 10
    assert max(len(shard.numbers) for shard in shards) <= MOST_SLIDES


def test_a_large_slide_has_a_shard_of_its_own() -> None:
    found = [*slides(("a", 1), size=1000), *slides(("b", 2), size=1)]
    assert [shard.numbers for shard in divided(found, 1)] == [(0,), (1, 2)]


def test_no_slides_are_no_shards() -> None:
    assert divide([], slides().__getitem__, SITES, 3, slides=0, size=0) == []


def test_a_node_gets_its_own_shards_first_and_the_largest_of_them() -> None:
    pending = [Shard((number,), number, f"case{number}", SITES) for number in range(1, 21)]
    nodes = ["n1", "n2", "n3"]
    own = [shard.bytes for shard in pending if shard.preferred(frozenset(nodes)) == "n2"]
    assert 0 < len(own) < 20
    taken = [take_next(pending, "n2", nodes, SITES, SITES) for _ in range(20)]
    assert [shard.bytes for shard in taken if shard] == [
        *sorted(own, reverse=True),
        *sorted(set(range(1, 21)) - set(own), reverse=True),
    ]
    assert take_next(pending, "n2", nodes, SITES, SITES) is None


def test_shards_mostly_stay_with_their_nodes_when_one_goes() -> None:
    shards = [Shard((number,), 1, f"case{number}", SITES) for number in range(50)]
    before = [shard.preferred(frozenset({"a", "b", "c"})) for shard in shards]
    after = [shard.preferred(frozenset({"a", "b"})) for shard in shards]
    assert all(one == other for one, other in zip(before, after, strict=True) if one != "c")


def test_a_node_gets_shards_for_the_sites_it_can_serve_and_the_rest_stays() -> None:
    pending = [Shard((1,), 5, "a", SITES), Shard((2,), 9, "b", frozenset({"tokyo"}))]
    taken = take_next(pending, "n", ["n"], {"ghent"}, {"ghent"})
    assert taken is not None
    assert (taken.numbers, *taken.sites) == ((1,), "ghent")
    assert sorted((shard.numbers, *shard.sites) for shard in pending) == [((1,), "tokyo"), ((2,), "tokyo")]
    assert take_next(pending, "n", ["n"], {"ghent"}, {"ghent"}) is None


def test_a_shard_that_is_wanted_for_one_site_comes_for_all_that_are_possible() -> None:
    pending = [Shard((1,), 5, "a", SITES)]
    taken = take_next(pending, "n", ["n"], {"ghent"}, SITES)
    assert taken is not None
    assert (taken.sites, pending) == (SITES, [])
