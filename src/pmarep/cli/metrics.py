"""`--metrics`: write a file of Prometheus metrics at the end of a run, for node_exporter's textfile collector."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..events import Summary
from ..system.private_file import written_beside
from .output_streams import echo
from .run_observers import RunObserver

LAST_SUCCESS = "pmarep_last_success_timestamp_seconds"
STATUSES = ("sent", "skipped", "verified", "failed", "left_out", "not_begun")

LARGEST = 1024**2
"""Bytes of a metrics file that is read: of some thousand sites."""

_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("site", "status")


def parse_labels(given: Sequence[str]) -> dict[str, str]:
    """Parse `NAME=VALUE` of `--metrics-label`. Raises UsageError."""
    labels: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not _LABEL.fullmatch(name):
            raise UsageError(f"--metrics-label {text!r} cannot be used; write it as NAME=VALUE, such as job=scanner-2")
        if name in _OURS:
            raise UsageError(f"--metrics-label {name} is pmarep's own; take another name")
        labels[name] = value
    return labels


class MetricsObserver(RunObserver):
    """Writes the metrics of one run. Other users can read the file: nothing in it but numbers and names of sites.

    Its values are those of the last run, but the time of a site's last success stays until there is another.
    """

    def __init__(self, path: Path, labels: dict[str, str], sites: Sequence[str]) -> None:
        self._path = path
        self._labels = labels
        self._sites = list(sites)

    def before(self) -> None:
        """Raise UsageError where the file cannot be written, or is something else: a slide is not overwritten."""
        self._successes()
        try:
            self._write(b"", replace=False)
        except OSError as error:
            raise UsageError(
                f"cannot write the metrics file {self._path}: {_reason(error)}; name another with --metrics"
            ) from None

    def after(self, summary: Summary) -> bool:
        try:
            self._write(self._exposition(summary, time.time()))
        except (OSError, UsageError) as error:
            reason = _reason(error) if isinstance(error, OSError) else str(error)
            echo(f"pmarep: cannot write the metrics file {self._path}: {reason}", err=True)
            return False
        return True

    def _exposition(self, summary: Summary, now: float) -> bytes:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        registry = CollectorRegistry()

        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(name, words, [*self._labels, *labels], registry=registry)

        def set_value(metric: Gauge, value: float, **labels: str) -> None:
            every = self._labels | labels
            (metric.labels(**every) if every else metric).set(value)

        set_value(gauge("pmarep_last_run_timestamp_seconds", "When the last run ended."), now)
        set_value(gauge("pmarep_exit_code", "Exit code of the last run."), summary.exit_code)
        success = gauge(LAST_SUCCESS, "When every slide was last found to be at the site, or here by a pull.", "site")
        slides = gauge("pmarep_slides", "Slides of the last run.", "site", "status")
        sent = gauge(
            "pmarep_bytes_sent", "Bytes that the site acknowledged in the last run, or that came from it.", "site"
        )
        for name, moment in self._successes().items():
            if name in self._sites:
                set_value(success, moment, site=name)
        for name, site in summary.sites.items():
            for status in (*STATUSES, "pulled") if summary.pull else STATUSES:
                set_value(slides, getattr(site, status), site=name, status=status)
            set_value(sent, site.bytes_sent, site=name)
            if is_complete(summary, name):
                set_value(success, now, site=name)
        return generate_latest(registry)

    def _successes(self) -> dict[str, float]:
        """Read the last successes by site from the file of the run before. Raises UsageError where it is none."""
        from prometheus_client.parser import text_string_to_metric_families

        wrong = UsageError(f"--metrics {self._path} is there and has no metrics of pmarep; name another file")
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise wrong
            with self._path.open("rb") as file:
                text = file.read(LARGEST).decode("utf-8")
            families = list(text_string_to_metric_families(text))
        except OSError:  # not there, or it may not be read: writing it says what is wrong
            return {}
        except ValueError:
            raise wrong from None
        if text and not any(family.name.startswith("pmarep_") for family in families):
            raise wrong
        samples = [sample for family in families for sample in family.samples if sample.name == LAST_SUCCESS]
        return {sample.labels["site"]: sample.value for sample in samples if "site" in sample.labels}

    def _write(self, content: bytes, *, replace: bool = True) -> None:
        """Write a new file beside the old one and put it in its place, so that nobody reads half of it.

        Raises OSError. The name of the new one does not end as the collector expects.
        """
        with written_beside(self._path, content) as new:
            new.chmod(0o644)  # node_exporter is another user
            if replace:
                new.replace(self._path)


def is_complete(summary: Summary, name: str) -> bool:
    """Return whether a run has found every slide of its sources to be at a site, or has brought it there."""
    site = summary.sites[name]
    return (
        summary.error is None
        and not summary.source_problems
        and (summary.source.may_be_empty or not summary.source.empty)
        and site.error is None
        and not site.failed
        and not site.not_begun
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
