"""Index files that are broken, or mean it: a slide or a reason comes out, soon, and nothing outside is ever touched."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.corpus import tree
from support.examples import FEW

from pmarep.slides import LeftOut, Slide, find_slides

SECRET = "what nobody is to send"
INDEXES = ["n/Slidedat.ini", "n.ndpis", "n.afi", "n.vms", "n.vmu", "SlideScan.ini"]
"""Each with the files beside it that it may name."""

_SECTIONS = {
    "n/Slidedat.ini": ["[HIERARCHICAL]", "[DATAFILE]", "INDEXFILE=", "FILE_COUNT=", "FILE_0=", "FILE_1="],
    "n.ndpis": ["[NanoZoomer Digital Pathology Image Set]", "NoImages=", "Image0=", "Image1="],
    "n.afi": ["<ImageList>", "</ImageList>", "<Image>", "</Image>", "<Path>", "</Path>", "<ID>", "<?xml?>"],
    "n.vms": ["[Virtual Microscope Specimen]", "NoLayers=", "NoJpegColumns=", "NoJpegRows=", "ImageFile=", "MapFile=",
              "MacroImage=", "OptimisationFile=", "ImageFile(1,0)="],
    "n.vmu": ["[Uncompressed Virtual Microscope Specimen]", "NoLayers=", "ImageFile=", "MapFile=", "MacroImage="],
    "SlideScan.ini": ["[General]", "[Picture]", "Name=", "FILE_0="],
}  # fmt: skip
_VALUES = ["a.svs", "b.ndpi", "Index.dat", "Data0.dat", "1", "2", "0", "9" * 30,"../secret.svs", "..\\secret.svs",
           "/etc/passwd", "C:\\secret.svs", "secret", "\0", "a" * 5000, "ä", "n.mrxs", "n.afi", ".", "..", "CON",
           "&xxe;", "&#0;", "<![CDATA[", "a.svs\n", "%s%n", "[", "]", "=", ";"]  # fmt: skip


def index_texts(name: str) -> st.SearchStrategy[bytes]:
    """Words of the format and odd values in any order, in any encoding; or just any bytes."""
    words = (
        st.sampled_from(_SECTIONS[name]) | st.sampled_from(_VALUES) | st.sampled_from(["\r\n"]) | st.text(max_size=5)
    )
    encoded = st.builds(
        lambda parts, encoding: "".join(parts).encode(encoding, "replace"),
        st.lists(words, max_size=30),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    )
    return encoded | st.binary(max_size=300)


@dataclass(frozen=True)
class Found:
    """Files of each slide, and what was left out."""

    slides: dict[str, list[str]]
    left: list[str]


@contextmanager
def looked_at(name: str, content: bytes) -> Iterator[Found]:
    """A folder with this index and files that it may name, and a secret beside it."""
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        tree(top, "secret.svs", content=SECRET.encode())
        source = tree(top / "cases", "n.mrxs", "a.svs", "b.ndpi", "n/Index.dat", "n/Data0.dat", "m/Data0.dat")
        (source / name).write_bytes(content)
        things = list(find_slides(source))
        yield Found(
            {thing.path: [file.path for file in thing.files] for thing in things if isinstance(thing, Slide)},
            [thing.path for thing in things if isinstance(thing, LeftOut)],
        )


@pytest.mark.parametrize("name", INDEXES)
def test_any_index(name: str) -> None:
    @settings(max_examples=FEW)
    @given(index_texts(name))
    @example(b"")
    @example(b"\xff\xfe\x00")
    @example(b"\0" * 1000)
    def check(content: bytes) -> None:
        with looked_at(name, content) as found:
            for files in found.slides.values():
                assert not any(".." in file.split("/") or "secret" in file or "\\" in file for file in files)
            assert all(path.isprintable() for path in found.left)

    check()


_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (level, b"&lol%s;" % (b"" if level == 1 else b"%d" % (level - 1)) * 10)
        for level in range(1, 10)
    )
    + b"]><ImageList><Image><Path>&lol9;</Path></Image></ImageList>"
)


@pytest.mark.parametrize(
    "content",
    [
        _LAUGHS,
        _LAUGHS.decode().encode("utf-16"),
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><ImageList><Image><Path>' + b"&a;" * 50_000
        + b"</Path></Image></ImageList>",
        b'<!DOCTYPE x [<!ENTITY xxe SYSTEM "../secret.svs">]><ImageList><Image><Path>&xxe;</Path></Image></ImageList>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><ImageList><Image><Path>a.svs</Path></Image></ImageList>',
        b'<?xml version="1.0" encoding="utf-7"?>+ADw-!DOCTYPE x SYSTEM +ACI-x+ACI-+AD4-<ImageList/>',
        b"<a>" * 30_000,
        b"<ImageList>" + b"<Image><Path>a.svs</Path></Image>" * 10_000 + b"</ImageList>",
    ],
    ids=["laughs", "laughs in utf-16", "quadratic", "a file", "a server", "utf-7", "deep", "many"],
)  # fmt: skip
def test_an_afi_that_means_it(content: bytes) -> None:
    """No entities, no files, no servers; little time and memory."""
    tracemalloc.start()
    try:
        with looked_at("n.afi", content) as found:
            assert "n.afi" in found.left or found.slides.get("n.afi") == ["a.svs", "n.afi"]
            assert SECRET not in str(found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6, "an index took more memory than any real one"


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_of_very_many_lines(name: str) -> None:
    """Of 30,000 keys, sections and others, with which any work for each pair of lines would take minutes."""
    with looked_at(name, b"[DATAFILE]\r\n" + b"FILE_0=a.svs\r\n[x]\r\n=\r\n\r\n" * 30_000) as found:
        assert name not in found.slides
