"""Write the commands that send or pull what a report misses, quoted for the shell of the machine that made the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ..system.shell_words import option_words, shell_line
from .model import Line, Report, ReportSite, ReportSlide


def command_for_all(report: Report, state_dir: Path | None) -> str | None:
    """Return the push that sends what is missing, to the sites that miss something, or the pull; None where nothing is.

    Slides that need a decision do not count: it would be refused them again, and a person decides what is replaced.
    `state_dir`: the folder that the journal is in, where a command has to name it.
    """
    run = report.run.about
    mine = {site["name"] for site in run["sites"]}
    names = {site.name for _, site, cell in report.missing() if not cell.needs_decision}
    sites = [site.name for site in report.sites if site.name in names & mine]
    if not sites:
        return None
    if report.is_pull:
        return _command([*run["arguments"]] or ["pull", *run["sources"], run["folder"], *_how(run, state_dir)], run)
    words = ["push", *run["sources"], "--sites", ",".join(sites), *_option("--to", run["to"])]
    for option, values in (("--include", run["include"]), ("--exclude", run["exclude"])):
        words += [word for value in values for word in _option(option, value)]
    if run["newer_than"] is not None:
        moment = datetime.fromtimestamp(run["newer_than"]).astimezone().replace(tzinfo=None)
        words += ["--newer-than", moment.isoformat(timespec="seconds")]
    words += ["--min-size", str(run["min_size"])] if run["min_size"] else []
    words += ["--follow-links"] if run["follow_links"] else []
    words += _option("--shard", run.get("shard") or "")
    words += _map_options(run)
    return _command([*words, *_how(run, state_dir)], run)


def command_for_slide(report: Report, slide: ReportSlide, sites: Sequence[ReportSite], state_dir: Path | None) -> str:
    """Return the push that sends one slide to these sites, to where it belongs there, or the pull that gets it."""
    run = report.run.about
    if report.is_pull:
        where = "/".join(part for part in (run["folder"], slide.path.rpartition("/")[0]) if part)
        return _command(["pull", f"{sites[0].name}:/{slide.remote}", where, *_how(run, state_dir)], run)
    if run.get("map"):  # which names slides by their paths from the sources
        words = ["push", *run["sources"], "--sites", ",".join(site.name for site in sites), *_option("--to", run["to"])]
        words += [*_option("--include", f"/{_escaped(slide.path)}"), *_map_options(run)]
        words += ["--follow-links"] if run["follow_links"] else []
        return _command([*words, *_how(run, state_dir)], run)
    folder = slide.path.rpartition("/")[0]
    to = "/".join(part for part in (run["to"], folder) if part)
    words = ["push", slide.local, "--sites", ",".join(site.name for site in sites), *_option("--to", to)]
    words += ["--follow-links"] if run["follow_links"] else []
    return _command([*words, *_how(run, state_dir)], run)


def _map_options(run: Line) -> list[str]:
    return [*_option("--map", run.get("map") or ""), *(["--map-only"] if run.get("map_only") else [])]


def _escaped(path: str) -> str:
    """Return a pattern that matches a path and no other."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def _how(run: Line, state_dir: Path | None) -> list[str]:
    words = [] if run["existing"] == "fail" else ["--existing", run["existing"]]
    words += [] if run["verify"] == "size" else ["--verify", run["verify"]]
    words += _option("--config", run["config"] or "")
    return [*words, *_option("--state-dir", "" if state_dir is None else str(state_dir.absolute()))]


def _option(name: str, value: str) -> list[str]:
    return option_words(name, value) if value else []


def _command(words: Sequence[str], run: Line) -> str:
    return shell_line(["pmarep", *words], run.get("platform", ""))
