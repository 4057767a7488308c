"""The CSV file of `--map`: as spreadsheets write it, which row counts where, and what is wrong with it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from support.slides import make_slide

from pmarep.errors import ConfigError
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.name_map import NameMap, NameMapError

BOOK = "".join(
    f'[sites.{name}]\nurl = "https://x/"\nusername = "u"\ntarget = "T/{name}"\n' for name in ("box-a", "box-b", "tokyo")
)
GROUPS = '[groups]\nclass = ["box-a", "box-b"]\nall = ["class", "tokyo"]\n'


def read(folder: Path, content: str | bytes) -> NameMap:
    file = folder / "names.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return NameMap.read(file, SiteBook.parse(BookText(folder / "sites.toml", BOOK + GROUPS)))


def names(found: NameMap, path: str) -> list[str]:
    """What a slide is called at the three sites."""
    assert found.problems.problems == []
    return [found.of(site).named(make_slide(path)).target_path for site in ("box-a", "box-b", "tokyo")]


ROWS = "slide,site,to\n2026/Müller.svs,,case-1/x.svs\n\na.svs,box-a,b/\n"


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        b"\xef\xbb\xbf" + ROWS.replace("\n", "\r\n").replace(",", ";").encode(),
        ROWS.replace(",", "\t").encode("utf-16"),
        '"To","SLIDE","Site"\n"case-1/x.svs"," 2026/Müller.svs ",\nb/,./a.svs,"box-a"\n',
        unicodedata.normalize("NFD", ROWS),
    ],
)
def test_the_file_as_spreadsheets_write_it(tmp_path: Path, content: str | bytes) -> None:
    found = read(tmp_path, content)
    for path in ("2026/Müller.svs", unicodedata.normalize("NFD", "2026/müller.SVS")):
        assert names(found, path) == ["case-1/x.svs"] * 3
    assert names(found, "a.svs") == ["b/a.svs", "a.svs", "a.svs"]


def test_a_row_for_a_site_counts_before_one_for_a_group_and_that_before_one_for_all(tmp_path: Path) -> None:
    rows = ("x.svs,,all.svs", "x.svs,class,class.svs", "x.svs,box-a,a.svs")
    for order in (rows, rows[::-1]):
        assert names(read(tmp_path, "\n".join(("slide,site,to", *order))), "x.svs") == ["a.svs", "class.svs", "all.svs"]
    assert (
        names(read(tmp_path, 'slide,site,to\nx.svs,box-*,1.svs\nx.svs,"tokyo,box-a",1.svs'), "x.svs") == ["1.svs"] * 3
    )
    assert names(read(tmp_path, "slide,to\nx.svs,1.svs\nx.svs,1.svs\n"), "x.svs") == ["1.svs"] * 3


def test_a_renamed_slide_is_named_by_its_own_name_again(tmp_path: Path) -> None:
    found = read(tmp_path, "slide,site,to\nx.svs,box-a,1.svs\nx.svs,tokyo,2.svs\nz.svs,,3.svs\n")
    slide = make_slide("x.svs")
    first = found.of("box-a").named(slide)
    second = found.of("tokyo").named(first)
    assert (first.main.path, second.main.path, second.main.source_name) == ("1.svs", "2.svs", "x.svs")
    assert second.original is slide
    assert found.of("box-b").named(second) is slide


ELSE = "gives this slide another name"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("slide,site,to\n", ["line 1: there are no slides below the header"]),
        ("slide,site,too\nx.svs,,y.svs\n", ['line 1, column 3 (too): there is no such column; did you mean "to"?',
                                            'line 1: there is no column "to"']),
        ("slide,to,to,Fall\nx.svs,y.svs,,\n", ["line 1, column 3 (to): this column is there twice",
                                               "line 1, column 4 (Fall): there is no such column; known: slide, "]),
        ("slide,site,to\n,,y.svs\nx.svs,,\n", ["line 2, column 1 (slide): the slide is empty",
                                               "line 3, column 3 (to): to is empty"]),
        ("slide,site,to\nx.svs,tokio,../y.svs\n", ['line 2, column 2 (site): there is no site or group "tokio"',
                                                   'line 2, column 3 (to): "../y.svs" cannot be a slide\'s path: it']),
        ("slide,site,to\nx.svs,,a.svs\nx.svs,,b.svs\n", [f"line 3, column 1 (slide): line 2 {ELSE}; leave"]),
        ("slide,site,to\nx.svs,all,a.svs\nX.svs,class,b.svs\n", [f"line 3, column 1 (slide): line 2 {ELSE} at class"]),
        ("slide,site,to\nx.svs,,y.svs,z\n", ["line 2: column 4 has no name in the first line"]),
        ('slide,site,to\nx.svs,,"y.svs\n', ["line 2: this is not CSV: "]),
    ],
)  # fmt: skip
def test_every_problem_has_its_line_and_column(tmp_path: Path, content: str, expected: list[str]) -> None:
    try:
        found = read(tmp_path, content).problems.problems
    except NameMapError as error:
        found = list(error.problems)
    said = [problem.removeprefix(f"{tmp_path / 'names.csv'}, ") for problem in found]
    assert len(said) == len(expected), said
    for problem, words in zip(said, expected, strict=True):
        assert problem.startswith(words)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'names.csv, line 3: the file is not UTF-8; save it as "CSV UTF-8"'):
        read(tmp_path, "slide;site;to\na.svs;;b.svs\nMüller.svs;;x.svs".encode("cp1252"))
    with pytest.raises(ConfigError, match="name a CSV file with the columns slide,site,to"):
        NameMap.read(tmp_path / "none.csv", SiteBook.parse(BookText(tmp_path / "sites.toml", BOOK)))
