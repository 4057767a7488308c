"""The commands in a report are what a shell takes, whatever the names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.records import ABOUT

from pmarep.report.model import Report, build_report
from pmarep.report.resend import command_for_all, command_for_slide
from pmarep.slides.patterns import GitPattern

TIME = "2026-11-27T20:00:00.000+00:00"


def report(*missing: str, **about: Any) -> Report:
    """A report of one slide, which is not at these sites."""
    lines: list[dict[str, Any]] = [
        {"event": "run", "time": TIME, "record": 1, "number": 1, **ABOUT, **about},
        {"event": "slides", "first": 0, "below": "a/", "folder": "/data/a", "slides": [["x.svs", "SVS", 5, 1]]},
    ]
    for site in ABOUT["sites"]:
        status = "failed" if site["name"] in missing else "sent"
        lines.append(
            {"event": "slide_finished", "time": TIME, "site": site["name"], "slide": "a/x.svs", "status": status}
        )
    return build_report(lines, False)


def test_the_command_names_what_the_run_was_told() -> None:
    found = report(
        "tokyo", "ghent", sources=["/data", "/more"], to="2026", include=["*.svs", "-x"], existing="skip",
        verify="deep", min_size=10, follow_links=True, config="/my sites.toml", newer_than=1764201600.0,
    )  # fmt: skip
    command = command_for_all(found, Path("/s"))
    assert command is not None
    before, _, after = command.partition(" --newer-than ")
    assert before == "pmarep push /data /more --sites tokyo,ghent --to 2026 --include '*.svs' --include=-x"
    assert after.partition(" ")[2] == (
        "--min-size 10 --follow-links --existing skip --verify deep --config '/my sites.toml' --state-dir /s"
    )
    assert command_for_slide(found, found.slides[0], found.sites[:1], None) == (
        "pmarep push /data/a/x.svs --sites tokyo --to 2026/a --follow-links --existing skip --verify deep "
        "--config '/my sites.toml'"
    )


def test_names_of_a_map_are_not_lost() -> None:
    """A slide that is sent alone, by its own path, would go there under its own name."""
    found = report("tokyo", sources=["/data"], to="2026", include=["*.svs"], map="/my map.csv", map_only=True)
    assert command_for_all(found, None) == (
        "pmarep push /data --sites tokyo --to 2026 --include '*.svs' --map '/my map.csv' --map-only"
    )
    slide = found.slides[0]._replace(path="a/x [1] *?.svs")
    assert command_for_slide(found, slide, found.sites[:1], None) == (
        "pmarep push /data --sites tokyo --to 2026 --include '/a/x \\[1\\] \\*\\?.svs' --map '/my map.csv' --map-only"
    )
    assert GitPattern(r"/a/x \[1\] \*\?.svs").matches(["A", "X [1] *?.SVS"], folder=False)


def test_there_is_no_command_where_nothing_is_missing() -> None:
    assert command_for_all(report(), None) is None


def test_a_slide_that_needs_a_decision_is_in_no_command() -> None:
    found = report("tokyo", "ghent")
    found.sites[0].cells[0] = found.cell(0, found.sites[0])._replace(needs_decision=True)
    assert command_for_all(found, None) == "pmarep push '/data/cases 2026' --sites ghent"
    found.sites[2].cells[0] = found.cell(0, found.sites[2])._replace(needs_decision=True)
    assert command_for_all(found, None) is None


def test_a_windows_command_is_quoted_as_windows_does() -> None:
    command = command_for_all(report("tokyo", platform="win32", sources=["D:\\my cases"]), None)
    assert command == 'pmarep push "D:\\my cases" --sites tokyo'
