"""Any sequence of pushes, kills and mishaps: reports tell the truth at each step, and one calm push mends everything.

PMAREP_MODEL_EXAMPLES=500 pytest --timeout 0 tests/faults/test_model.py  # hours of it; else a fixed, short night
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from support.cloud import StartCloud
from support.corpus import write_mirax
from support.in_process import Report, push
from support.model_sites import ModelSite, killed, push_options
from support.push_cli import contents
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, SMALLEST_PART, StartSandbox

from pmarep.engine import Existing
from pmarep.events import Event, SlideFinished, SlideStatus

EXAMPLES = int(os.environ.get("PMAREP_MODEL_EXAMPLES", "0"))
LAST = 12
"""Requests with something to lose, at most, that pass before a kill."""

numbers = itertools.count(1)


class Replication(RuleBasedStateMachine):
    """A night: one source folder, one state folder, some sites."""

    def __init__(self, folder: Path, model_sites: list[ModelSite], size: int = 900) -> None:
        """`size`: bytes of the slides at the beginning."""
        super().__init__()
        self.name = f"run{next(numbers)}"
        self.source = folder / self.name / "cases"
        self.state = folder / self.name / "state"
        self.model_sites = model_sites
        self.ticks = itertools.count(1)
        self.source.mkdir(parents=True)
        for number in range(2):
            self.write(self.source / f"{number}.svs", size)
        write_mirax(self.source / "m.mrxs", data_files=2, data_size=700)
        self.sites = [model_site.site(self.name) for model_site in model_sites]

    # What happens

    @rule(existing=st.sampled_from([Existing.FAIL, Existing.OVERWRITE]), connections=st.integers(1, 3))
    def push(self, existing: Existing, connections: int) -> None:
        self.check(self.pushed(existing, connections).events, existing)

    @rule(
        at=st.integers(0, 9),
        after=st.integers(0, LAST),
        handled=st.booleans(),
        existing=st.sampled_from([Existing.FAIL, Existing.OVERWRITE]),
        fresh=st.booleans(),
    )
    def kill(self, at: int, after: int, handled: bool, existing: Existing, fresh: bool) -> None:
        """`kill -9` while a server has a request; `handled`: it does what was asked, and nobody learns of it."""
        model_site = self.model_sites[at % len(self.model_sites)]
        options = push_options(self.source, existing=existing, fresh=fresh, connections=2)
        events = asyncio.run(
            killed(
                self.model_sites,
                model_site,
                self.sites,
                self.state,
                options,
                after=after,
                handled=handled,
                password=PASSWORD,
            )
        )
        self.check(events, existing)

    @rule(which=st.integers(0, 9), larger=st.integers(0, 2))
    def change(self, which: int, larger: int) -> None:
        """A file of the source is written again, perhaps with as many bytes as before."""
        files = sorted(path for path in self.source.rglob("*") if path.suffix in (".svs", ".dat"))
        file = files[which % len(files)]
        self.write(file, file.stat().st_size + larger)

    @rule()
    def new_slide(self) -> None:
        self.write(self.source / f"new{next(self.ticks)}.svs", 500)

    @rule(at=st.integers(0, 9), which=st.integers(0, 9))
    def delete(self, at: int, which: int) -> None:
        """Somebody deletes a slide at a site."""
        model_site = self.model_sites[at % len(self.model_sites)]
        with Client(model_site.sandbox) as client:
            slides = client.get("GetFiles", path=f"{model_site.root}/{self.name}")
            if isinstance(slides, list) and slides:
                client.post("DeleteSlide", path=slides[which % len(slides)])

    @rule(at=st.integers(0, 9), forget=st.booleans())
    def restart(self, at: int, forget: bool) -> None:
        """Sessions end; `forget`: announced uploads are gone as well."""
        self.model_sites[at % len(self.model_sites)].sandbox.restart(forget_uploads=forget)

    @rule(at=st.integers(0, 9))
    def forget_uploads(self, at: int) -> None:
        self.model_sites[at % len(self.model_sites)].sandbox.forget_uploads()

    @precondition(lambda self: any(model_site.cloud for model_site in self.model_sites))
    @rule()
    def expire_urls(self) -> None:
        for model_site in self.model_sites:
            if model_site.cloud is not None:
                model_site.cloud.expire_urls()

    # What has to hold

    def check(self, events: list[Event], existing: Existing) -> None:
        """Whatever is said to be at a site is there, byte for byte.

        But for what is documented: without `--existing overwrite`, files of the same names and sizes count as the same.
        """
        here = contents(self.source)
        for model_site in self.model_sites:
            there = model_site.has(self.name)
            for event in events:
                if isinstance(event, SlideFinished) and event.site == model_site.name:
                    if event.status in (SlideStatus.SENT, SlideStatus.SKIPPED):
                        for file in files_of(event.slide, here):
                            if event.status is SlideStatus.SKIPPED and existing is Existing.FAIL:
                                assert len(there.get(file, b"")) == len(here[file])
                                continue
                            assert there.get(file) == here[file], f"{event.slide} was said to be {event.status.value}"
                    else:
                        assert event.error

    def teardown(self) -> None:
        report = self.pushed(Existing.OVERWRITE, 3)
        self.check(report.events, Existing.OVERWRITE)
        assert report.code == 0, [report.error(model_site.name) for model_site in self.model_sites]
        for model_site in self.model_sites:
            assert model_site.has(self.name) == contents(self.source)
            assert len(report.finished(model_site.name)) == len(list(self.source.glob("*.svs"))) + 1

    # How

    def write(self, file: Path, size: int) -> None:
        """Every write has another time, however coarse the disk's clock is."""
        tick = next(self.ticks)
        file.write_bytes(b"%06d" % tick + os.urandom(size - 6))
        os.utime(file, (1_700_000_000 + tick, 1_700_000_000 + tick))

    def pushed(self, existing: Existing, connections: int) -> Report:
        work = push(self.source, self.sites, self.state, PASSWORD, existing=existing, connections=connections)
        return asyncio.run(work)


def files_of(slide: str, here: Iterable[str]) -> list[str]:
    stem = slide.rpartition(".")[0]
    return [name for name in here if name == slide or name.startswith(f"{stem}/")]


def profile(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=EXAMPLES or examples,
        stateful_step_count=12,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],  # explaining traces every line, and is slow
    )


def night_after_night(begin: Callable[[], Replication], examples: int) -> None:
    run_state_machine_as_test(begin, settings=profile(examples))  # type: ignore[arg-type]  # any factory will do


@pytest.fixture
def two_file_systems(start_sandbox: StartSandbox) -> list[ModelSite]:
    return [ModelSite(name, start_sandbox(name), "Slides") for name in ("a", "b")]


@pytest.fixture(params=["Cloud", "Blobs"], ids=["s3", "azure"])
def a_cloud(request: pytest.FixtureRequest, cloud_sandbox: StartCloud) -> list[ModelSite]:
    s3_options = {"part_size": SMALLEST_PART}
    cloud = cloud_sandbox("c", azure=request.param == "Blobs", s3_options=s3_options)
    return [ModelSite("c", cloud.sandbox, request.param, cloud)]


@pytest.mark.slow
def test_any_night_at_file_systems(folder: Path, two_file_systems: list[ModelSite]) -> None:
    night_after_night(lambda: Replication(folder, two_file_systems), 6)


@pytest.mark.slow
def test_any_night_in_a_cloud(folder: Path, a_cloud: list[ModelSite]) -> None:
    night_after_night(lambda: Replication(folder, a_cloud, 2 * SMALLEST_PART + 9), 2)


# Sequences that were found, and are kept


def test_a_slide_that_arrived_unnoticed_and_then_changed_is_sent_again(
    folder: Path, two_file_systems: list[ModelSite]
) -> None:
    """The answer that says "it is there" comes too late; then the slide changes, and keeps its size."""
    for after in range(6):
        night = Replication(folder, two_file_systems[:1])
        night.kill(0, after, True, Existing.OVERWRITE, False)
        for file in night.source.rglob("*.svs"):
            night.write(file, file.stat().st_size)
        night.teardown()
