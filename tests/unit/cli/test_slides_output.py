"""`pmarep slides` on a terminal, and what it advises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from support.corpus import tree, wild_names, write_mirax, write_ndpis

from pmarep.cli.slides.advice import advice
from pmarep.cli.slides.output import JsonSlideOutput, PlainSlideOutput, SlideOutput, TerminalSlideOutput
from pmarep.slides import Kind, LeftOut, Slide, SlideFile, Why, find_slides
from pmarep.slides.labels import Carries, LabelImages


def slide(name: str, size: int = 3_000_000) -> Slide:
    return Slide(name, "3DHISTECH MIRAX", Path("/cases"), (SlideFile(name.rpartition("/")[2], size, 0),))


def show(output: SlideOutput, *things: Slide | LeftOut) -> None:
    for thing in things:
        output.add(thing)
    output.finish()


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_and_keeps_every_name(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    names = [f"Größe & more/{name}.mrxs" for name in wild_names()]
    bad = [LeftOut(f"not/{name}.mrxs", Why.INCOMPLETE, f"its folder {name}/ is missing") for name in wild_names()]
    for name, thing in zip(names, bad, strict=True):
        show(TerminalSlideOutput(), slide(name), thing)
        shown = capsys.readouterr().out
        assert max(map(cell_len, shown.splitlines())) <= columns, shown
        table, _, below = shown.partition("\nincomplete (1): ")
        rows = [line for line in table.splitlines()[1:] if line.strip()]
        assert table.splitlines()[0].split() == ["Slide", "Format", "Files", "Size", "State"]
        assert [row.split()[-1] for row in rows if "3DHISTECH MIRAX" in row] == ["complete", "incomplete"]
        assert squeezed(name) in squeezed(re.sub("3DHISTECH MIRAX +(1 +2.9 MiB +)?(in)?complete", "", table))
        for words in (bad[names.index(name)].path, bad[names.index(name)].detail):
            assert squeezed(words) in squeezed(below)


def test_advice_is_shown_once_for_slides_left_out_for_one_reason(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        TerminalSlideOutput(),
        *(LeftOut(f"{number}.mrxs", Why.INCOMPLETE, f"missing: {number}") for number in range(3)),
        LeftOut("x.svs", Why.UNREADABLE, "Permission denied"),
        LeftOut("3.mrxs", Why.INCOMPLETE, "missing: 3"),
        slide("a.mrxs"),
    )
    shown = capsys.readouterr().out
    assert shown.count("wait if it is still being copied") == 1
    assert "incomplete (4): " in shown
    assert "unreadable (1): " in shown
    assert shown.index("  2.mrxs\n      missing: 2\n  3.mrxs\n      missing: 3\n") < shown.index("unreadable (1)")
    assert shown.splitlines()[-1] == "1 slide, 1 file, 2.9 MiB; 5 problems"


def test_a_great_many_come_as_they_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    output = TerminalSlideOutput()
    for number in range(600):
        output.add(slide(f"{number}.mrxs"))
    output.add(LeftOut("late.mrxs", Why.INCOMPLETE, "missing: x"))
    assert len(capsys.readouterr().out.splitlines()) == 600
    output.finish()
    shown = capsys.readouterr().out
    assert "Slide " not in shown
    assert "late.mrxs" in shown


def test_excluded_slides_are_rows_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    things: list[Slide | LeftOut] = [slide("a.mrxs"), LeftOut("b.mrxs", Why.EXCLUDED, "matches an --exclude")]
    show(TerminalSlideOutput(), *things)
    assert "b.mrxs" not in capsys.readouterr().out
    show(TerminalSlideOutput(verbose=True), *things)
    table = capsys.readouterr().out.partition("\n\n")[0]
    assert table.splitlines()[2].split() == ["b.mrxs", "3DHISTECH", "MIRAX", "excluded"]


def test_only_problems(capsys: pytest.CaptureFixture[str]) -> None:
    output = TerminalSlideOutput(only_problems=True)
    show(output, slide("a.mrxs"), LeftOut("t.txt", Why.NOT_A_SLIDE, "no slide's main file: .txt", kind=Kind.OTHER))
    assert capsys.readouterr().out == "1 slide, 1 file, 2.9 MiB; 0 problems\n"
    show(output, LeftOut("b.mrxs", Why.INCOMPLETE, "missing: x"))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("incomplete (1): ")
    assert "a.mrxs" not in shown
    assert shown[-1] == "1 slide, 1 file, 2.9 MiB; 1 problem"


@pytest.mark.parametrize("why", Why)
def test_there_is_advice_for_every_kind_of_problem(why: Why) -> None:
    assert bool(advice(LeftOut("a.svs", why, "for some reason"))) == why.is_problem


def test_advice_for_what_is_found_in_folders(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs").unlink()
    tree(tmp_path, "n.mrxs", "empty.svs", "A.svs", "a.svs", "b\\c.svs")
    (tmp_path / "empty.svs").write_bytes(b"")
    (tmp_path / "link.svs").symlink_to("nowhere")
    write_ndpis(tmp_path / "1.ndpis", names=["x.ndpi"])
    write_ndpis(tmp_path / "2.ndpis", names=["x.ndpi"])
    index = (tmp_path / "1.ndpis").read_bytes()
    (tmp_path / "3.ndpis").write_bytes(index.replace(b"x.ndpi", b"1.ndpis"))
    (tmp_path / "4.ndpis").write_bytes(index.replace(b"x.ndpi", b"../x.ndpi"))
    expected = {
        "n.mrxs": "move or rename it as said",
        "empty.svs": "if it is empty there too",
        "a.svs": "rename one of the two",
        "b\\c.svs": "rename it; ",
        "link.svs": "mend the link",
        "2.ndpis": "two slides claim the same files",
        "3.ndpis": "names another index",
        "4.ndpis": "into its own folder",
    }
    found = {
        thing.path: thing for thing in find_slides(tmp_path) if isinstance(thing, LeftOut) and thing.why.is_problem
    }
    assert found.keys() == expected.keys()
    for path, words in expected.items():
        assert words in advice(found[path]), found[path]


def test_the_folder_of_a_slide_as_source(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    found = [thing for thing in find_slides(tmp_path / "m") if isinstance(thing, LeftOut) and thing.why.is_problem]
    assert [advice(thing) for thing in found] == ["name the main file, or the folder that it lies in"]


def test_label_and_macro_images(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {
        "a.mrxs": LabelImages(Carries.YES, Carries.NO),
        "b.mrxs": LabelImages(Carries.UNKNOWN, Carries.YES),
        "c.mrxs": LabelImages(Carries.NO, Carries.NO),
    }
    things: list[Slide | LeftOut] = [*map(slide, answers), LeftOut("d.mrxs", Why.INCOMPLETE, "missing: x")]

    def look(one: Slide) -> LabelImages:
        return answers[one.path]

    show(TerminalSlideOutput(look=look), *things)
    shown = capsys.readouterr().out.splitlines()
    assert [row.split()[-3:] for row in shown[:4]] == [
        ["State", "Label", "Macro"],
        ["complete", "yes", "no"],
        ["complete", "unknown", "yes"],
        ["complete", "no", "no"],
    ]
    assert shown[-1] == "label images: 1 yes, 1 no, 1 unknown; macro images: 1 yes, 2 no, 0 unknown"
    show(PlainSlideOutput(look=look), *things)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split("\t")[-3:] == ["complete", "label: yes", "macro: no"]
    assert shown[-1] == "label images: 1 yes, 1 no, 1 unknown; macro images: 1 yes, 2 no, 0 unknown"
    show(JsonSlideOutput(False, look=look), *things)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line.get("label_image"), line.get("macro_image")) for line in lines] == [
        ("yes", "no"), ("unknown", "yes"), ("no", "no"), (None, None),
    ]  # fmt: skip


def test_a_great_many_slides_have_their_labels_too(capsys: pytest.CaptureFixture[str]) -> None:
    output = TerminalSlideOutput(look=lambda _slide: LabelImages(Carries.YES, Carries.NO))
    for number in range(600):
        output.add(slide(f"{number}.mrxs"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 600
    assert all(line.endswith("macro: no") for line in lines)


def test_only_problems_of_slides_with_labels(capsys: pytest.CaptureFixture[str]) -> None:
    output = PlainSlideOutput(only_problems=True, look=lambda _slide: LabelImages(Carries.YES, Carries.NO))
    show(output, slide("a.mrxs"))
    assert capsys.readouterr().out == ""
