"""What holds for every folder whatsoever."""

from __future__ import annotations

import tempfile
from pathlib import Path

from corpus import tree
from hypothesis import given, settings
from hypothesis import strategies as st
from looking import look, shuffled

from pmarep.slides import LeftOut, Slide, Why

# Few names, so that they meet: in other cases, as stems of folders, in indexes.
stems = st.sampled_from(["n", "N", "_n_", "_N_", "m", "m.mrxs", "ä", "Ä", "x y"])
data = st.sampled_from(["Slidedat.ini", "slidedat.ini", "Index.dat", "Data0.dat", "DATA0.DAT", "a.ets", "b.ETS"])
names = data | st.builds(
    "{}.{}".format, stems, st.sampled_from(["svs", "SVS", "ndpi", "mrxs", "MRXS", "vsi", "ndpis", "afi", "txt"])
)
folders = st.lists(stems, max_size=3)
paths = st.builds(lambda above, name: "/".join([*above, name]), folders, names)


@st.composite
def contents(draw: st.DrawFn, name: str) -> bytes:
    lower = name.lower()
    inside = draw(st.lists(names, max_size=3))
    count = draw(st.sampled_from([len(inside)] * 6 + [0, 1, 99]))
    if lower.endswith("slidedat.ini"):
        lines = ["[HIERARCHICAL]", "INDEXFILE=Index.dat", "[DATAFILE]", f"FILE_COUNT={count}"]
        lines += [f"FILE_{number}={name}" for number, name in enumerate(inside)]
    elif lower.endswith(".ndpis"):
        lines = ["[NanoZoomer Digital Pathology Image Set]", f"NoImages={count}"]
        lines += [f"Image{number}={name}" for number, name in enumerate(inside)]
    elif lower.endswith(".afi"):
        lines = ["<ImageList>", *(f"<Image><Path>{name}</Path></Image>" for name in inside), "</ImageList>"]
    else:
        lines = draw(st.sampled_from([["x"]] * 5 + [[]]))
    return "\n".join(lines).encode()


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    chosen = draw(st.sets(paths, max_size=14))
    # complete sets do not come about by chance
    if draw(st.booleans()):
        chosen |= {"n.mrxs", "n/Slidedat.ini", "n/Index.dat"}
    if draw(st.booleans()):
        chosen |= {"_n_/s/a.ets", "n.vsi"}
    above = {"/".join(path.split("/")[:depth]) for path in chosen for depth in range(1, path.count("/") + 1)}
    return {path: draw(contents(path)) for path in sorted(chosen - above)}


def companions(main: str) -> list[str]:
    """The folders that could be a main file's, in lower case."""
    above, _, name = main.lower().rpartition("/")
    stem = name.rpartition(".")[0]
    return [f"{above}/{folder}/".lstrip("/") for folder in (stem, f"_{stem}_")]


@settings(deadline=None, max_examples=300)
@given(trees(), st.lists(st.sampled_from(["*.svs", "n/**", "N.*", "*.ndpis", "**/_n_/*"]), max_size=2), st.integers())
def test_nothing_is_lost_or_sent_twice(files: dict[str, bytes], exclude: list[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        top = Path(made)
        for path, content in files.items():
            tree(top, path, content=content)
        found = look(top, exclude=exclude)  # which sees to it that no file belongs to two slides
        assert look(top, exclude=exclude, scandir=shuffled(seed)).things == found.things

        sent = {
            slide.local(file).relative_to(top).as_posix()
            for slide in found.things
            if isinstance(slide, Slide)
            for file in slide.files
        }
        left = {thing.path: thing for thing in found.things if isinstance(thing, LeftOut)}
        assert sent <= set(files)
        assert not sent & set(left), "sent and left out"
        # What an index of a slide that is left out names, or lies in its folder, is reported with that slide.
        named = {
            (path.rpartition("/")[0], line.lower())
            for path, content in files.items()
            if path in left
            for line in content.decode().replace("<", "=").replace(">", "=").replace("\n", "=").split("=")
        }
        for path in set(files) - sent - set(left):
            above, _, name = path.rpartition("/")
            assert (
                (above, name.lower()) in named
                or any(path.lower().startswith(folder) for main in left for folder in companions(main))
                or any(path.startswith(f"{folder}/") for folder in left)
            ), f"{path} is lost"


@settings(deadline=None, max_examples=100)
@given(trees())
def test_on_windows_all_that_is_sent_has_a_name_of_its_own(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as made:
        top = Path(made)
        for path, content in files.items():
            tree(top, path, content=content)
        found = look(top)
        mains = [slide.path.lower() for slide in found.things if isinstance(slide, Slide)]
        assert len(mains) == len(set(mains))
        for thing in found.things:
            if isinstance(thing, Slide):
                inside = [file.path.lower() for file in thing.files]
                assert len(inside) == len(set(inside))
                assert thing.main.size > 0
            else:
                assert thing.why is not Why.EXCLUDED
