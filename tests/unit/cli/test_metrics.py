"""`--metrics`: what node_exporter's textfile collector reads, and what it must not overwrite."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pmarep.cli.metrics import MetricsObserver, is_complete, parse_labels
from pmarep.cli.observer_options import metrics_observers
from pmarep.errors import UsageError
from pmarep.events import SiteSummary, SourceSummary, Summary

GOOD = Summary(
    exit_code=0,
    seconds=1.0,
    sites={"tokyo": SiteSummary(sent=3, skipped=2, bytes_sent=1000), "box-anna": SiteSummary(verified=1)},
)
HALF = replace(GOOD, exit_code=1, sites=GOOD.sites | {"box-anna": SiteSummary(failed=1)})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as one may set it."""
    moment = [1000.0]
    monkeypatch.setattr("time.time", lambda: moment[0])
    return moment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pmarep.prom"


def observer(file: Path, **labels: str) -> MetricsObserver:
    return MetricsObserver(file, labels, ["tokyo", "box-anna"])


def values(file: Path) -> dict[str, float]:
    """The samples, as they are written."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_all_values(file: Path, now: list[float]) -> None:
    assert observer(file).after(GOOD)
    assert values(file) == {
        "pmarep_last_run_timestamp_seconds": 1000.0,
        "pmarep_exit_code": 0.0,
        'pmarep_last_success_timestamp_seconds{site="tokyo"}': 1000.0,
        'pmarep_last_success_timestamp_seconds{site="box-anna"}': 1000.0,
        'pmarep_slides{site="tokyo",status="sent"}': 3.0,
        'pmarep_slides{site="tokyo",status="skipped"}': 2.0,
        'pmarep_slides{site="tokyo",status="verified"}': 0.0,
        'pmarep_slides{site="tokyo",status="failed"}': 0.0,
        'pmarep_slides{site="tokyo",status="left_out"}': 0.0,
        'pmarep_slides{site="tokyo",status="not_begun"}': 0.0,
        'pmarep_slides{site="box-anna",status="sent"}': 0.0,
        'pmarep_slides{site="box-anna",status="skipped"}': 0.0,
        'pmarep_slides{site="box-anna",status="verified"}': 1.0,
        'pmarep_slides{site="box-anna",status="failed"}': 0.0,
        'pmarep_slides{site="box-anna",status="left_out"}': 0.0,
        'pmarep_slides{site="box-anna",status="not_begun"}': 0.0,
        'pmarep_bytes_sent{site="tokyo"}': 1000.0,
        'pmarep_bytes_sent{site="box-anna"}': 0.0,
    }
    assert {f.type for f in text_string_to_metric_families(file.read_text())} == {"gauge"}


def test_the_last_success_stays_until_there_is_another(file: Path, now: list[float]) -> None:
    observer(file).after(GOOD)
    now[0] = 2000.0
    observer(file).after(HALF)
    success = 'pmarep_last_success_timestamp_seconds{site="%s"}'
    assert (values(file)[success % "tokyo"], values(file)[success % "box-anna"]) == (2000.0, 1000.0)
    now[0] = 3000.0
    observer(file).after(Summary(exit_code=3, seconds=0.0, sites={}, error="busy"))
    assert values(file) == {
        "pmarep_last_run_timestamp_seconds": 3000.0,
        "pmarep_exit_code": 3.0,
        success % "tokyo": 2000.0,
        success % "box-anna": 1000.0,
    }
    MetricsObserver(file, {}, ["tokyo"]).after(Summary(exit_code=3, seconds=0.0, sites={}))
    assert success % "box-anna" not in values(file)  # no site of this job any more


def test_labels_tell_jobs_apart(file: Path, now: list[float]) -> None:
    value = 'a "b" \\ c'
    observer(file, job=value).after(GOOD)
    now[0] = 2000.0
    observer(file, job=value).after(HALF)
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    assert all(sample.labels["job"] == value for family in families.values() for sample in family.samples)
    times = {s.labels["site"]: s.value for s in families["pmarep_last_success_timestamp_seconds"].samples}
    assert times == {"tokyo": 2000.0, "box-anna": 1000.0}


@pytest.mark.parametrize("text", ["job", "=x", "1a=x", "__name__=x", "a-b=x", "site=x", "status=x"])
def test_labels_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError, match="--metrics-label"):
        parse_labels([text])


@pytest.mark.parametrize(
    ("summary", "complete"),
    [
        (GOOD, True),
        (replace(GOOD, error="interrupted"), False),
        (replace(GOOD, source_problems=1), False),
        (replace(GOOD, source=SourceSummary(empty=["/mnt"])), False),
        (replace(GOOD, source=SourceSummary(empty=["/mnt"], may_be_empty=True)), True),
        (replace(GOOD, sites={"tokyo": SiteSummary(failed=1)}), False),
        (replace(GOOD, sites={"tokyo": SiteSummary(not_begun=1)}), False),
        (replace(GOOD, sites={"tokyo": SiteSummary(error="stopped")}), False),
    ],
)
def test_when_every_slide_is_there(summary: Summary, complete: bool) -> None:
    assert is_complete(summary, "tokyo") == complete


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_others_can_read_it_whatever_the_umask(file: Path) -> None:
    before = os.umask(0o077)
    try:
        observer(file).after(GOOD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_nobody_ever_sees_half_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer(file).after(GOOD)
    before = file.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert not observer(file).after(HALF)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_that_somebody_has_laid_is_not_followed(file: Path) -> None:
    """The folder may be one that others write to, and they can guess a name."""
    other = file.with_name("other")
    other.write_bytes(b"theirs")
    file.with_name(f".{file.name}.{os.getpid()}.new").symlink_to(other)
    observer(file).before()
    assert observer(file).after(GOOD)
    assert other.read_bytes() == b"theirs"


def test_what_stands_in_the_way_is_reported_before_the_run(file: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write the metrics file .*No such file or directory"):
        observer(file.parent / "not" / "there.prom").before()
    with pytest.raises(UsageError, match="has no metrics of pmarep; name another file"):
        observer(file.parent).before()
    for content in (b"II*\0\xff\xfe slide", b"hello\n", b"other_metric 1\n"):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="has no metrics of pmarep; name another file"):
            observer(file).before()
        assert not observer(file).after(GOOD)
        assert file.read_bytes() == content
    file.write_bytes(b"")
    observer(file).before()
    assert file.read_bytes() == b""


def test_a_dry_run_has_none(file: Path) -> None:
    assert metrics_observers(file, (), ["tokyo"], dry_run=True) == []
    assert metrics_observers(None, (), ["tokyo"]) == []
    assert len(metrics_observers(file, ["job=a"], ["tokyo"])) == 1
