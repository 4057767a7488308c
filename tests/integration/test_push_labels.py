"""Slides with label and macro images: refused by a site, counted before the first push, or taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree
from support.corpus_labels import APERIO_LABEL, GT450_MACRO, aperio, write_tiff
from support.push_cli import PushCli, Result, arrived

from pmacore_sandbox import Sandbox

RULE = 'has label_images = "refuse"'


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    folder = cli.source / "Müller"
    folder.mkdir(parents=True)
    write_tiff(folder / "label.svs", aperio(APERIO_LABEL))
    write_tiff(folder / "macro.svs", aperio(GT450_MACRO))
    write_tiff(cli.source / "none.svs", aperio())
    tree(cli.source, "what.svslide")
    return cli


def notes(result: Result) -> list[str]:
    return [event["text"] for event in result.events if event["event"] == "notice"]


def test_a_site_refuses_slides_with_labels_and_hears_nothing_of_them(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("strict", sandbox, label_images="refuse")
    cli.site("open", sandbox, "Slides/open", label_images="allow")
    planned = [event for event in cli.push("--dry-run").events if event["event"] == "slide_planned"]
    assert sorted((event["slide"], event["action"]) for event in planned if event["site"] == "strict") == [
        ("Müller/label.svs", "refuse"), ("Müller/macro.svs", "refuse"), ("none.svs", "send"),
        ("what.svslide", "refuse"),
    ]  # fmt: skip
    result = cli.push()
    assert result.code == 1
    finished = result.finished("strict")
    assert {name: event["status"] for name, event in finished.items()} == {
        "Müller/label.svs": "failed", "Müller/macro.svs": "failed", "none.svs": "sent", "what.svslide": "failed",
    }  # fmt: skip
    assert finished["Müller/label.svs"]["error"].startswith(f"it carries a label image, and strict {RULE}")
    assert finished["Müller/macro.svs"]["error"].startswith(f"it carries a macro image, and strict {RULE}")
    assert finished["what.svslide"]["error"].startswith("whether it carries a label or macro image is not known")
    assert all(finished[name]["needs_decision"] for name in finished if name != "none.svs")
    assert {event["status"] for event in result.finished("open").values()} == {"sent"}
    assert sorted(arrived(sandbox)) == ["none.svs"]
    assert not (sandbox.data / "Slides" / "in" / "Müller").exists()
    said = cli.verify("--json").finished("strict")["Müller/label.svs"]["error"]
    assert said.startswith(f"it is not there; it carries a label image, and strict {RULE}")


def test_they_are_counted_before_the_first_push_to_a_site(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox, label_images="warn")
    result = cli.push()
    assert result.code == 0
    [text] = notes(result)
    assert text.startswith("a: 2 of 4 slides to be sent carry a label or macro image, 1 more may, perhaps with a name")
    names = [event["event"] for event in result.events]
    assert names.index("notice") < names.index("slide_started")
    write_tiff(cli.source / "new.svs", aperio(APERIO_LABEL))
    assert notes(cli.push()) == []
    cli.site("b", sandbox, "Slides/b", label_images="warn", exclude=["label.svs", "macro.svs", "what*"])
    assert [text[:29] for text in notes(cli.push())] == ["b: 1 of 2 slides to be sent c"]


def test_nothing_is_said_where_no_slide_carries_one_or_all_are_taken(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox, label_images="warn")
    assert notes(cli.push("--include", "none.svs")) == []
    cli.site("b", sandbox, "Slides/b", label_images="allow")
    assert notes(cli.push("--sites", "b")) == []


def test_a_dry_run_counts_them_too(cli: PushCli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox, label_images="warn")
    [text] = notes(cli.push("--dry-run"))
    assert "2 of 4 slides" in text
