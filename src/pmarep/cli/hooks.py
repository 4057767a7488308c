"""Run the commands of the site book's `[hooks]` before and after a run. They change nothing about it."""

from __future__ import annotations

import json
import logging
import platform
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Self

from ..events import Event, SlideFinished, SlideRetracted, SlideStatus, SourceProblem, Summary
from ..system.commands import (
    Command,
    command_words,
    end_process_group,
    executable_command,
    last_line,
    without_passwords,
)
from ..text import printable
from ..version import __version__
from .output_streams import echo
from .run_observers import RunObserver
from .signal_handlers import termination_signals

if TYPE_CHECKING:
    from types import FrameType

    from ..sites.models import HooksTable

log = logging.getLogger(__name__)

HIDDEN = "hidden (slide_names = true shows it)"
"""What stands for a text that may hold the name of a slide, a folder or a file."""

MOST_PROBLEMS = 1000
"""Failures that a hook is told by name, at most: nobody reads more, and a site that is down fails every slide."""

ENDING_SECONDS = 60.0
"""What a hook may take beyond its time limit: to be started, and to be ended with all that it has started."""

_EXIT_CODES = {
    2: "nothing was sent",
    3: "other runs hold all targets",
    4: "require leaves slides out",
    130: "interrupted",
}
_EXIT_CODES_OF_PULL = {2: "nothing was pulled", 3: "another pull goes into the folder", 130: "interrupted"}


class HooksObserver(RunObserver):
    """Runs the hooks of one run. `environ` is given to them, without passwords."""

    def __init__(self, hooks: HooksTable, command: str, sites: Sequence[str], environ: Mapping[str, str]) -> None:
        self._hooks = hooks
        self.longest = hooks.timeout + ENDING_SECONDS
        self._command = command
        self._sites = list(sites)
        self._environ = without_passwords(environ)
        self._problems: list[dict[str, str]] = []

    def before(self) -> None:
        if self._hooks.on_start is not None:
            said = f"begins, {'from' if self._command == 'pull' else 'to'} {', '.join(self._sites)}"
            self._run("on_start", self._hooks.on_start, {"sites": self._sites}, said, {})

    def handle(self, event: Event) -> None:
        if not self._hooks.slide_names or len(self._problems) >= MOST_PROBLEMS:
            return
        match event:
            case SlideFinished(status=SlideStatus.FAILED) | SlideRetracted():
                self._problems.append({"site": event.site, "slide": event.slide, "error": event.error or ""})
            case SourceProblem():
                self._problems.append({"slide": event.path, "error": f"{event.detail} ({event.why})"})

    def after(self, summary: Summary) -> bool:
        name = "on_success" if summary.exit_code == 0 else "on_failure"
        command = self._hooks.on_success if summary.exit_code == 0 else self._hooks.on_failure
        if command is not None:
            known = summary if self._hooks.slide_names else without_names(summary)
            told = known.to_dict() | ({"problems": self._problems} if self._hooks.slide_names else {})
            variables = {"PMAREP_EXIT_CODE": str(summary.exit_code)}
            self._run(name, command, told, describe_end(summary, pull=self._command == "pull"), variables)
        return True

    def _run(self, name: str, command: Command, told: dict[str, Any], said: str, variables: Mapping[str, str]) -> None:
        text = f"pmarep {self._command} on {platform.node()}: {said}"
        told = told | {
            "hook": name,
            "command": self._command,
            "machine": platform.node(),
            "pmarep": __version__,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "text": text,
        }
        environ = {**self._environ, "PMAREP_HOOK": name, "PMAREP_TEXT": text, **variables}
        failure = run_hook(command, json.dumps(told).encode() + b"\n", environ, self._hooks.timeout)
        if failure:
            echo(f"pmarep: note: the hook {name} {failure}; the run is not affected", err=True)
        log.info("the hook %s %s", name, failure or "has run")


def without_names(summary: Summary) -> Summary:
    """Return a summary with counts only: every text and path of it is replaced, but for names of sites."""
    sites = {
        name: replace(
            site,
            error=None if site.error is None else HIDDEN,
            mirror_error=None if site.mirror_error is None else HIDDEN,
        )
        for name, site in summary.sites.items()
    }
    source = replace(
        summary.source,
        empty=[HIDDEN] * len(summary.source.empty),
        filtered=[HIDDEN] * len(summary.source.filtered),
    )
    error = None if summary.error is None else HIDDEN
    shard = summary.shard if summary.shard is None or re.fullmatch(r"\d+/\d+", summary.shard) else HIDDEN
    return replace(summary, sites=sites, source=source, error=error, shard=shard)


def describe_end(summary: Summary, *, pull: bool = False) -> str:
    """Return how a run ended, in one line with counts and names of sites only."""
    kind = (_EXIT_CODES_OF_PULL if pull else _EXIT_CODES).get(summary.exit_code)
    parts = [f"exit code {summary.exit_code}{f' ({kind})' if kind else ''}"]
    for name, site in summary.sites.items():
        counts = {"sent": site.sent, "skipped": site.skipped, "verified": site.verified, "pulled": site.pulled}
        said = [f"{number} {what}" for what, number in counts.items() if number]
        said += [f"{site.failed} failed"] if site.failed or not said else []
        said += [f"{site.left_out} left out"] if site.left_out else []
        said += [f"{site.not_begun} not begun"] if site.not_begun else []
        said += [f"{site.deleted} deleted"] if site.deleted else []
        said += [f"{site.extra} not in the source"] if site.extra else []
        parts.append(f"{name} {', '.join(said)}{' (stopped)' if site.error else ''}")
    if summary.source_problems:
        parts.append(
            f"{summary.source_problems} {'could not be looked at' if pull else 'at the source cannot be sent'}"
        )
    if summary.source.empty:
        parts.append(f"{len(summary.source.empty)} SRC without a slide")
    return "; ".join(parts)


def run_hook(command: Command, told: bytes, environ: Mapping[str, str], timeout: float) -> str:
    """Run one hook with `told` on its stdin, and end what is left of it. Return why it failed, or nothing.

    It has a session and a process group of its own. Its output is kept for the last line of a failure only.
    """
    try:
        words = command_words(command)
    except ValueError:
        return "was not run: the quotes in it do not match"
    name = printable(words[0][:200])
    # Files, no pipes: whoever inherits a pipe and stays would be waited for, and a hook need not read what it is told.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
        stdin.write(told)
        stdin.seek(0)
        with _EndedWithUs() as ended_with_us:
            try:
                process = subprocess.Popen(
                    executable_command(command, environ.get("PATH")),
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    env=dict(environ),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
                return f"({name}) could not be started ({reason})"
            try:
                ended_with_us.watch(process)
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                return f"({name}) was not done in {timeout:g} s and was ended{_last_line(output, words)}"
            finally:
                end_process_group(process)
        return f"({name}) ended with exit code {code}{_last_line(output, words)}" if code else ""


class _EndedWithUs:
    """While inside, a signal that ends this process ends the hook too: in its own session it hears of no Ctrl-C."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._heard: list[int] = []  # while the hook was being started
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in termination_signals()}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """End this process of a hook too, at once where a signal has come already."""
        self._process = process
        for number in self._heard:
            self._on_signal(number, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            self._heard.append(number)
            return
        end_process_group(self._process)
        handler = self._before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


def _last_line(output: IO[bytes], words: Sequence[str]) -> str:
    """Return the last line of what a hook printed, such as `: curl: (7) Failed to connect`, or nothing."""
    if not (said := last_line(output)):
        return ""
    from ..pmacore.redact import redact_output

    return f": {redact_output(said, words)}"
