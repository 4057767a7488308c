"""What a mirror takes for slides that the source has not, and what it must leave."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from support.fake_core import FakeCore, file

from pmarep.engine.mirror.extra_slides import ExtraSlides, find_extra_slides
from pmarep.engine.mirror.site_mirror import refusal
from pmarep.engine.mirror.source_names import Had, SourceNames
from pmarep.pmacore import NotFound, PermissionDenied, PmaCore, Refused
from pmarep.remote.tree import RemoteTree
from pmarep.sites import Site
from pmarep.sites.site_choices import SiteChoices
from pmarep.slides import Slide, SlideFile
from pmarep.slides.selection import Selection

SITE = Site(name="t", url="https://tokyo.example/", username="u", target="R/in")


@pytest.fixture
def names() -> Iterator[SourceNames]:
    with closing(SourceNames()) as found:
        yield found


def slide(path: str, *companions: str) -> Slide:
    main = path.rpartition("/")[2]
    return Slide(path, "any", Path("/x"), tuple(SlideFile(name, 1, 1) for name in (*companions, main)))


def find(core: FakeCore, names: SourceNames, folder: str = "R/in", site: Site = SITE, **selection: Any) -> ExtraSlides:
    tree, choice = RemoteTree(cast(PmaCore, core)), SiteChoices([site], 0.0).of(site.name)
    return asyncio.run(find_extra_slides(tree, folder, names, Selection(**selection), site, choice))


def extra(found: ExtraSlides) -> list[str]:
    return [found.name(one.path) for one in found.extra]


class TestSourceNames:
    def test_every_file_of_a_slide_is_one(self, names: SourceNames) -> None:
        names.add_slides([slide("a/m.mrxs", "m/Data0000.dat")], {})
        assert names.has("A/M.MRXS") is names.has("a/m/data0000.DAT") is Had.SENT
        assert names.has("m.mrxs") is names.has("a/m") is Had.NOT

    @pytest.mark.parametrize("there", ["case 1/a.svs", "case 1. ./a.svs", "CASE 1./A.SVS.", 'case 1/a"?.svs'])
    def test_names_that_some_server_may_take_for_one_are_one(self, names: SourceNames, there: str) -> None:
        names.add_slides([slide("case 1./a.svs"), slide("case 1/a__.svs")], {})
        assert names.has(there) is Had.SENT

    def test_composed_and_decomposed_letters_are_the_same(self, names: SourceNames) -> None:
        names.add_slides([slide(unicodedata.normalize("NFD", "Mü.svs"))], {})
        assert names.has(unicodedata.normalize("NFC", "MÜ.svs")) is Had.SENT

    def test_what_is_left_out_is_had_with_all_that_is_in_it(self, names: SourceNames) -> None:
        names.add_left_out(["old", "b.svs", "tiles/", r"odd\u200b.svs"])
        for path in ("OLD/deep/x.svs", "old", "B.svs", "tiles/1.jpg", "odd\u200b.svs"):
            assert names.has(path) is Had.LEFT_OUT, path
        for path in ("older/x.svs", "b.svs2", "c/b.svs"):
            assert names.has(path) is Had.NOT, path


class TestExtraSlides:
    def test_slides_that_the_source_has_not_wherever_they_lie(self, names: SourceNames) -> None:
        names.add_slides([slide("a.svs"), slide("x/b.svs")], {})
        core = FakeCore(
            {
                "R": ["R/outside.svs"],
                "R/In": ["R/In/A.svs", "R/In/c.svs"],
                "R/In/x": ["R/In/x/b.svs", "R/In/x/a.svs"],
                "R/In/y": ["R/In/y/b.svs"],
                "R/other": ["R/other/z.svs"],
            }
        )
        found = find(core, names)
        assert extra(found) == ["c.svs", "x/a.svs", "y/b.svs"]
        assert (found.total, found.unsure, found.folder) == (5, [], "R/In")

    def test_a_folder_that_is_not_there_has_none(self, names: SourceNames) -> None:
        assert find(FakeCore({"R": []}), names).total == 0

    @pytest.mark.parametrize("error", [Refused("no"), PermissionDenied("no"), NotFound("gone")])
    def test_where_a_folder_is_not_told_nothing_is_extra(self, names: SourceNames, error: Exception) -> None:
        core = FakeCore({"R": [], "R/in": ["R/in/a.svs"], "R/in/x": error, "R/in/y": ["R/in/y/b.svs"]})
        with pytest.raises(Refused, match="the server does not tell what is in R/in/x"):
            find(core, names)

    def test_a_name_that_lies_elsewhere_ends_it(self, names: SourceNames) -> None:
        with pytest.raises(Refused, match="does not tell"):
            find(FakeCore({"R": [], "R/in": ["R/b.svs"]}), names)

    def test_a_target_that_is_a_slide_or_two_folders_ends_it(self, names: SourceNames) -> None:
        with pytest.raises(Refused, match="is a slide and no folder"):
            find(FakeCore({"R": ["R/in.svs"]}), names, "R/in.svs")
        with pytest.raises(NotFound, match="may be"):
            find(FakeCore({"R": [], "R/IN": ["R/IN/a.svs"], "R/In": []}), names)

    def test_patterns_are_about_names_at_the_site_too(self, names: SourceNames) -> None:
        core = FakeCore({"R": [], "R/in": ["R/in/a.svs", "R/in/b.ndpi"], "R/in/mine": ["R/in/mine/c.svs"]})
        assert extra(find(core, names, exclude=["mine/"])) == ["a.svs", "b.ndpi"]
        assert extra(find(core, names, include=["*.ndpi"])) == ["b.ndpi"]

    def test_a_file_of_a_slide_that_the_server_lists_as_one_of_its_own_stays(self, names: SourceNames) -> None:
        names.add_slides([slide("n.ndpis", "x.ndpi")], {})
        assert extra(find(FakeCore({"R": [], "R/in": ["R/in/n.ndpis", "R/in/X.ndpi"]}), names)) == []

    def test_a_slide_to_which_a_file_of_the_source_belongs_stays(self, names: SourceNames) -> None:
        names.add_slides([slide("x.ndpi")], {})
        files = {"R/in/n.ndpis": [file("R/in/X.ndpi"), file("R/in/n.ndpis")]}
        assert extra(find(FakeCore({"R": [], "R/in": ["R/in/x.ndpi", "R/in/n.ndpis"]}, files), names)) == []

    def test_a_file_of_a_slide_that_is_left_out_stays(self, names: SourceNames) -> None:
        names.add_left_out(["m.mrxs"])
        slides = {"R": [], "R/in": ["R/in/m.mrxs", "R/in/z.svs"], "R/in/m": ["R/in/m/preview.jpg"]}
        files = {"R/in/m.mrxs": [file("R/in/m/Preview.jpg"), file("R/in/m.mrxs")]}
        assert extra(find(FakeCore(slides, files), names)) == ["z.svs"]
        assert extra(find(FakeCore(slides, files), names, exclude=["*.mrxs"])) == ["z.svs"]

    def test_a_slide_that_may_belong_to_one_that_stays_is_not_sure(self, names: SourceNames) -> None:
        names.add_left_out(["m.mrxs"])
        slides = {"R": [], "R/in": ["R/in/m.mrxs"], "R/in/m": ["R/in/m/preview.jpg"]}
        found = find(FakeCore(slides, {"R/in/m.mrxs": Refused("broken")}), names)
        assert (extra(found), [one.path for one, _ in found.unsure]) == ([], ["R/in/m/preview.jpg"])

    def test_a_slide_whose_files_are_not_told_is_not_sure(self, names: SourceNames) -> None:
        found = find(FakeCore({"R": [], "R/in": ["R/in/a.svs"]}, {"R/in/a.svs": Refused("broken")}), names)
        ((candidate, reason),) = found.unsure
        assert (candidate.path, extra(found)) == ("R/in/a.svs", [])
        assert "does not tell its files: broken" in reason

    @pytest.mark.parametrize("keys", [{"require": ["may", "{slide}"]}, {"prepare": ["strip", "{slide}", "{out}"]}])
    def test_a_file_of_what_a_gate_lets_pass_or_makes_stays(self, names: SourceNames, keys: dict[str, Any]) -> None:
        names.add_slides([slide("n.ndpis", "x.ndpi")], {})
        core = FakeCore(
            {"R": [], "R/in": ["R/in/n.ndpis", "R/in/made.ndpi", "R/in/old.ndpi"]},
            {"R/in/n.ndpis": [file("R/in/made.ndpi"), file("R/in/n.ndpis")]},
        )
        assert extra(find(core, names, site=SITE.model_copy(update=keys))) == ["old.ndpi"]

    def test_a_file_of_what_the_site_does_not_take_stays(self, names: SourceNames) -> None:
        slides = [slide("n.ndpis", "x.ndpi"), *(slide(f"{number}.svs") for number in range(500))]
        names.add_slides(slides, {("t", "small"): [0], ("other", "small"): [*range(1, 501)]})
        assert names.has("N.ndpis", "t") is names.has("7.svs", "other") is Had.LEFT_OUT
        assert names.has("n.ndpis", "other") is names.has("7.svs", "t") is names.has("n.ndpis") is Had.SENT
        there = ["R/in/n.ndpis", "R/in/had.ndpi", "R/in/old.ndpi"]
        core = FakeCore(
            {"R": [], "R/in": [*there, *(f"R/in/{number}.svs" for number in range(500))]},
            {"R/in/n.ndpis": [file("R/in/had.ndpi"), file("R/in/n.ndpis")]},
        )
        assert extra(find(core, names, site=SITE.model_copy(update={"min_size": "1K"}))) == ["old.ndpi"]
        assert core.asked_for < 10  # none about what it takes

    def test_what_the_source_has_costs_no_question_each(self, names: SourceNames) -> None:
        names.add_slides([slide(f"{number}.svs") for number in range(500)], {})
        core = FakeCore({"R": [], "R/in": [f"R/in/{number}.svs" for number in range(500)]})
        assert extra(find(core, names)) == []
        assert core.asked_for < 10


@pytest.mark.parametrize(
    ("extra", "total", "most", "refused"),
    [
        (0, 0, None, False), (1, 2, None, False), (2, 3, None, True), (5, 10, None, False), (6, 10, None, True),
        (2, 3, 2, False), (3, 1000, 2, True), (0, 5, 0, False), (1, 5, 0, True),
    ],
)  # fmt: skip
def test_how_many_may_go(extra: int, total: int, most: int | None, refused: bool) -> None:
    words = refusal(extra, total, most)
    assert (words is not None) is refused
    if words is not None:
        assert "--max-delete" in words
