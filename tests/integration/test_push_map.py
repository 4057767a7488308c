"""`--map`: slides under other names at each site, and nothing of their own names there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support import fault_proxy
from support.corpus import tiny_tiff, tree, write_afi, write_mirax, write_vsi
from support.corpus_zarr import write_zarr
from support.fault_proxy import FaultProxy
from support.in_process import Report, push
from support.network import Network
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmarep.engine import Verify
from pmarep.events import Notice, SlidePlanned
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.name_map import NameMap, NameMapError

NAMES = """slide,site,to
Smith/Anna.svs,ghent,case-001/a.svs
Smith/Anna.svs,tokyo,t/7.SVS
Smith/Müller & Söhne.mrxs,,case-002/mirax.mrxs
Jones.vsi,ghent,case-003.vsi
Jones.vsi,,vsi/case 3.vsi
Jones.zarr/.zattrs,,case-004.zarr/
"""
SECRETS = ("Smith", "Anna", "Müller", "Söhne", "Jones")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


class Course:
    """Slides with names of patients, two sites, and a map."""

    def __init__(self, folder: Path, **urls: str) -> None:
        self.folder = folder
        self.source = folder / "cases"
        self.state = folder / "state"
        tree(self.source, "Smith/Anna.svs", content=tiny_tiff(3000))
        write_mirax(self.source / "Smith/Müller & Söhne.mrxs")
        ini = self.source / "Smith/Müller & Söhne/Slidedat.ini"  # what is in files is nothing that a map changes
        ini.write_bytes(ini.read_bytes().replace("Müller & Söhne".encode(), b"x"))
        write_vsi(self.source / "Jones.vsi")
        write_zarr(self.source / "Jones.zarr")
        text = "".join(
            f'[sites.{n}]\nurl = "{u}"\nusername = "{USER}"\ntarget = "Slides/in"\n' for n, u in urls.items()
        )
        self.book = SiteBook.parse(BookText(folder / "sites.toml", text + '[groups]\nall = ["ghent", "tokyo"]\n'))

    def names(self, text: str = NAMES) -> NameMap:
        file = self.folder / "names.csv"
        file.write_text(text, encoding="utf-8")
        return NameMap.read(file, self.book)

    def run(self, text: str = NAMES, sites: tuple[str, ...] = ("ghent", "tokyo"), **options: Any) -> Report:
        chosen = self.book.resolve(sites)
        return asyncio.run(push(self.source, chosen, self.state, PASSWORD, names=self.names(text), **options))


@pytest.fixture
def course(tmp_path: Path, start_sandbox: StartSandbox) -> Course:
    return Course(tmp_path, ghent=start_sandbox("ghent").url, tokyo=start_sandbox("tokyo").url)


def expected(course: Course, site: str) -> dict[str, bytes]:
    """What is to lie at a site by NAMES."""
    of = contents(course.source)
    prefixes = {
        "Smith/Anna.svs": {"ghent": "case-001/a.svs", "tokyo": "t/7.SVS"}[site],
        "Smith/Müller & Söhne.mrxs": "case-002/mirax.mrxs",
        "Smith/Müller & Söhne/": "case-002/mirax/",
        "Jones.vsi": {"ghent": "case-003.vsi", "tokyo": "vsi/case 3.vsi"}[site],
        "_Jones_/": {"ghent": "_case-003_/", "tokyo": "vsi/_case 3_/"}[site],
        "Jones.zarr/": "case-004.zarr/",
    }
    return {
        after + name.removeprefix(before): content
        for name, content in of.items()
        for before, after in prefixes.items()
        if name == before or (before.endswith("/") and name.startswith(before))
    }


def test_each_site_has_the_slides_under_its_names_and_nothing_of_their_own(
    tmp_path: Path, start_sandbox: StartSandbox, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = bytearray()
    forward = fault_proxy._ProxiedConnection._forward

    async def recorded(self: Any, data: bytes) -> None:
        sent.extend(data)
        await forward(self, data)

    monkeypatch.setattr(fault_proxy._ProxiedConnection, "_forward", recorded)
    boxes = {name: start_sandbox(name) for name in ("ghent", "tokyo")}
    course = Course(tmp_path, **{name: FaultProxy(network, target=box.url).url for name, box in boxes.items()})
    report = course.run(verify=Verify.DEEP)
    assert report.code == 0
    for name, box in boxes.items():
        assert arrived(box) == expected(course, name)
        assert len(report.finished(name)) == 4
        assert set(report.finished(name)) == {
            "Smith/Anna.svs", "Smith/Müller & Söhne.mrxs", "Jones.vsi", "Jones.zarr/.zattrs",
        }  # fmt: skip
    again = course.run()
    assert {e.status.value for site in boxes for e in again.finished(site).values()} == {"skipped"}
    looked = course.run(verify_only=True)
    assert looked.code == 0
    assert {e.status.value for e in looked.finished("tokyo").values()} == {"verified"}
    # Names in URLs, announcements (JSON) and forms; slides' own bytes are random.
    for secret in SECRETS:
        for form in (secret.encode(), quote(secret).encode(), json.dumps(secret)[1:-1].encode()):
            assert form not in sent, form
    assert b"case-003" in sent


def test_a_dry_run_says_the_names_and_sends_nothing(course: Course, tmp_path: Path) -> None:
    planned = [e for e in course.run(dry_run=True).events if isinstance(e, SlidePlanned)]
    assert {(e.site, e.slide, e.to) for e in planned if e.slide.startswith("Smith")} == {
        ("ghent", "Smith/Anna.svs", "Slides/in/case-001/a.svs"),
        ("tokyo", "Smith/Anna.svs", "Slides/in/t/7.SVS"),
        ("ghent", "Smith/Müller & Söhne.mrxs", "Slides/in/case-002/mirax.mrxs"),
        ("tokyo", "Smith/Müller & Söhne.mrxs", "Slides/in/case-002/mirax.mrxs"),
    }
    assert not (tmp_path / "ghent" / "Slides" / "in").exists()


def test_a_slide_that_is_not_in_the_map_keeps_its_name_or_stays_here(course: Course, tmp_path: Path) -> None:
    text = "slide,site,to\nSmith/Anna.svs,ghent,a.svs\nJones.vsi,all,x/\n"
    only = course.run(text, only_named=True)
    assert only.code == 0
    assert {name: (of.sent, of.excluded) for name, of in only.summary.sites.items()} == {
        "ghent": (2, 2),
        "tokyo": (1, 3),
    }
    assert {"a.svs", "x/Jones.vsi"} < set(contents(tmp_path / "ghent/Slides/in"))
    assert not any("Smith" in name or "zarr" in name for name in contents(tmp_path / "ghent/Slides/in"))
    report = course.run(text)
    assert [e.text for e in report.events if isinstance(e, Notice) and "in the map" in e.text] == [
        "ghent: 2 of 4 slides are not in the map and keep their names; --map-only leaves such slides out",
        "tokyo: 3 of 4 slides are not in the map and keep their names; --map-only leaves such slides out",
    ]
    assert "Smith/Anna.svs" in contents(tmp_path / "tokyo/Slides/in")


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_sent(course: Course, tmp_path: Path) -> None:
    write_afi(course.source / "set.afi")
    tree(course.source, "notes.txt", "own.svs", content=tiny_tiff(10))
    text = (
        "slide;site;to;case\n"
        "Smith/Anna.svs;;x/1.svs;9\n"
        "Jones.vsi;;x/1.svs\n"  # another extension, and the place of line 2
        "set.afi;ghent;renamed.afi\n"
        "gone.svs;;g.svs\n"
        "notes.txt;;n.txt\n"
        "Smith/Müller & Söhne.mrxs;;own.svs\n"
        "own.svs;nowhere;../up.svs\n"
    )
    with pytest.raises(NameMapError) as caught:
        course.run(text)
    said = [problem.removeprefix(str(tmp_path / "names.csv, ")) for problem in caught.value.problems]
    assert [problem.partition(": ")[0] for problem in said] == [
        "line 1, column 4 (case)", "line 3, column 3 (to)", "line 4, column 3 (to)", "line 5, column 1 (slide)",
        "line 6, column 1 (slide)", "line 7, column 3 (to)", "line 8, column 2 (site)", "line 8, column 3 (to)",
    ]  # fmt: skip
    assert str(caught.value) == f"{tmp_path / 'names.csv'} has {len(said)} problems; nothing was sent"
    assert not (tmp_path / "ghent" / "Slides" / "in").exists()
