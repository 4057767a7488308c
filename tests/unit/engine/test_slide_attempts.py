"""One attempt at a slide for one site: what is done by which decision, what is counted, and when there is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine.gate.site_gate import SiteGate
from pmarep.engine.options import Options, Verify
from pmarep.engine.slide import attempt
from pmarep.engine.slide.action import Action
from pmarep.engine.slide.attempt import SlideAttempts
from pmarep.engine.slide.decide import Decision
from pmarep.engine.slide.job import SlideJob
from pmarep.errors import PmarepError, SourceAway, SourceError
from pmarep.events import Event, SlidePlanned, SlideStarted, SlideStatus, VerifiedBy
from pmarep.pmacore import NotArrived, Overtaken, Refused, Unreachable
from pmarep.sites import Site
from pmarep.source.prepared import NotPrepared
from pmarep.state.records import SEEN, SENT, Entry
from pmarep.uploaders import TransferCounts

SLIDE = make_slide("x.svs", 1000)
SITE = Site(name="a", url="http://pma.example/", username="u", target="S")
SEND, SAME = Decision(Action.SEND, "not there"), Decision(Action.SKIP, "there", same=True)
CONFLICT = Decision(Action.CONFLICT, "another slide is there")


class Bench:
    """Attempts whose decisions, uploads and probes are what the test says; `done` is what was asked for, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *decisions: Decision, **options: Any) -> None:
        self.decisions = list(decisions)
        self.done: list[str] = []
        self.events: list[Event] = []
        self.uncounted: list[int] = []
        self.uploads: list[Callable[[SlideJob], None]] = []
        self.away = False
        self.refused: str | None = None
        self.clock = FakeClock()
        self.context = SimpleNamespace(
            options=Options(sources=(Path("/cases"),), **options),
            listener=self.events.append,
            clock=self.clock,
            deadline=None,
            journal=None,
        )
        source = SimpleNamespace(check_content=self.note("check content"), check=self.note("check source"))
        scheduler = SimpleNamespace(uncount=self.uncounted.append)
        core = SimpleNamespace(probe=self.note("probe"))
        uploading = SimpleNamespace(core=core, source=source, scheduler=scheduler)
        self.breaker = SimpleNamespace(handle_failure=self.handle_failure, exhausted=False)
        self.verifier = SimpleNamespace(inspect=self.note("inspect"), compare=self.note("compare"))
        listings = SimpleNamespace(make=self.note("make folder"), slide_in=self.note("look"))
        self.attempts = SlideAttempts(
            SITE,
            cast(Any, self.context),
            cast(Any, self.breaker),
            cast(Any, listings),
            cast(Any, self.verifier),
            cast(Any, SimpleNamespace(context=uploading, upload=self.upload)),
            cast(Any, SimpleNamespace(slide_waits=lambda slide: self.done.append("wait"))),
            (),
            cast(Any, SimpleNamespace(refuses=False, refusal=self.refusal)),
            SiteGate(SITE, None),
        )
        monkeypatch.setattr(attempt, "decide", self.decide)
        self.job = SlideJob(SLIDE, 0.0)

    def note(self, what: str) -> Callable[..., Any]:
        async def noted(*_: object, **__: object) -> None:
            self.done.append(what)

        return noted

    async def refusal(self, _slide: object) -> str | None:
        return self.refused

    async def decide(self, *_: object, **__: object) -> Decision:
        return self.decisions.pop(0) if len(self.decisions) > 1 else self.decisions[0]

    async def upload(self, job: SlideJob, _at: object, _decision: Decision, *, again: bool) -> None:
        self.done.append("upload again" if again else "upload")
        if self.uploads:
            self.uploads.pop(0)(job)

    async def handle_failure(self, error: PmarepError, probe: Callable[[], Any], *_: object, **__: object) -> bool:
        await probe()
        return self.away

    @property
    def started(self) -> int:
        return sum(isinstance(event, SlideStarted) for event in self.events)


def sends(count: int, error: PmarepError | None = None, **more: Any) -> Callable[[SlideJob], None]:
    """An upload that sends so many bytes, and fails or not."""

    def send(job: SlideJob) -> None:
        job.attempt.bytes += count
        for name, value in more.items():
            setattr(job.attempt, name, value)
        if error is not None:
            raise error

    return send


async def test_a_slide_that_the_site_refuses_makes_no_folder_there(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SEND)
    bench.refused = "it carries a label image"
    outcome = await bench.attempts.run(bench.job)
    assert outcome == (SlideStatus.FAILED, bench.refused, None, None, True)
    assert bench.done == []


async def test_a_slide_that_is_there_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Decision(Action.SKIP, "already there", same=True))
    bench.refused = "it carries a label image"
    assert (await bench.attempts.run(bench.job)).status is SlideStatus.SKIPPED


async def test_a_slide_that_is_not_there_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SEND)
    bench.uploads = [sends(1000)]
    assert (await bench.attempts.run(bench.job)).status is SlideStatus.SENT
    assert bench.done == ["make folder", "look", "check content", "upload"]
    assert (bench.started, bench.job.counts.bytes, bench.job.sending) == (1, 1000, True)


@pytest.mark.parametrize(
    ("decision", "status", "error"),
    [
        (SAME, SlideStatus.SKIPPED, None),
        (Decision(Action.SKIP, "another is there", left=True), SlideStatus.SKIPPED, None),
        (CONFLICT, SlideStatus.FAILED, CONFLICT.reason),
    ],
)
async def test_an_attempt_ends_without_sending_where_the_decision_says_so(
    monkeypatch: pytest.MonkeyPatch, decision: Decision, status: SlideStatus, error: str | None
) -> None:
    bench = Bench(monkeypatch, decision)
    outcome = await bench.attempts.run(bench.job)
    assert (outcome.status, outcome.error, bench.done, bench.started) == (status, error, [], 0)
    assert (bench.attempts.left, outcome.needs_decision) == (decision.left, decision is CONFLICT)
    assert (outcome.verified_by is not None) is decision.same  # another slide that stays is no verified one


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SEND, dry_run=True)
    await bench.attempts.run(bench.job)
    (planned,) = bench.events
    assert isinstance(planned, SlidePlanned)
    assert (planned.action, planned.bytes) == ("send", 1000)
    assert not {"upload", "make folder"} & set(bench.done)


async def test_a_slide_is_said_to_begin_once_in_all_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SEND)
    bench.uploads = [sends(300, Unreachable("gone")), sends(700, resumed=300)]
    with pytest.raises(Unreachable):
        await bench.attempts.run(bench.job)
    await bench.attempts.run(bench.job)
    assert [one for one in bench.done if one.startswith("upload")] == ["upload", "upload again"]
    assert (bench.started, bench.job.counts.bytes, bench.job.counts.resumed) == (1, 1000, 0)
    assert bench.done.count("check content") == 1


async def test_what_is_announced_again_makes_the_bytes_before_it_worthless(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SEND)
    bench.uploads = [sends(300, Unreachable("gone")), sends(1000, reannounced=True)]
    with pytest.raises(Unreachable):
        await bench.attempts.run(bench.job)
    await bench.attempts.run(bench.job)
    assert (bench.uncounted, bench.job.counts.bytes) == ([300], 1000)


@pytest.mark.parametrize(
    ("then", "status", "uploads", "counted"),
    [(SEND, SlideStatus.SENT, 2, 1000), (SAME, SlideStatus.SENT, 1, 400), (CONFLICT, SlideStatus.FAILED, 1, 400)],
    ids=["ours, torn", "the same", "another"],
)
async def test_an_overtaken_slide_is_decided_about_once_more(
    monkeypatch: pytest.MonkeyPatch, then: Decision, status: SlideStatus, uploads: int, counted: int
) -> None:
    bench = Bench(monkeypatch, SEND, then)
    bench.uploads = [sends(400, Overtaken("another came")), sends(1000)]
    assert (await bench.attempts.run(bench.job)).status is status
    assert sum(one.startswith("upload") for one in bench.done) == uploads
    assert bench.job.counts.bytes == counted
    assert bench.uncounted == ([400] if uploads == 2 else [])


@pytest.mark.parametrize(
    ("then", "status"), [(SAME, SlideStatus.FAILED), (SEND, SlideStatus.SENT)], ids=["stays", "can be mended"]
)
async def test_a_slide_there_that_is_not_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch, then: Decision, status: SlideStatus
) -> None:
    bench = Bench(monkeypatch, SAME, then, verify=Verify.DEEP)

    async def wrong(*_: object, **__: object) -> None:
        raise NotArrived("one byte differs")

    async def found(error: NotArrived, *_: object, **__: object) -> str:
        return str(error)

    bench.verifier.inspect = wrong
    monkeypatch.setattr(attempt, "diagnose", found)
    outcome = await bench.attempts.run(bench.job)
    assert (outcome.status, outcome.error) == (status, "one byte differs" if then is SAME else None)


@pytest.mark.parametrize(
    ("error", "probed"),
    [
        (Unreachable("gone"), "probe"),
        (SourceAway("the share is away"), "check source"),
        (Refused("no"), None),
        (SourceError("x.svs has changed"), None),
    ],
)
async def test_which_failures_are_repeated(
    monkeypatch: pytest.MonkeyPatch, error: PmarepError, probed: str | None
) -> None:
    bench = Bench(monkeypatch, SEND)
    bench.job.attempt = TransferCounts(bytes=1)
    assert await bench.attempts.may_be_repeated(bench.job, error) is (probed is not None)
    assert bench.done == ([] if probed is None else ["wait", probed])
    assert bench.job.error == (None if probed is None else str(error))


async def test_no_attempt_begins_after_the_deadline_or_while_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, error = Bench(monkeypatch, SEND), Unreachable("gone")
    bench.breaker.exhausted = True
    assert not await bench.attempts.may_be_repeated(bench.job, error)
    bench.away = True
    assert await bench.attempts.may_be_repeated(bench.job, error)
    bench.context.deadline = 0.0
    assert not await bench.attempts.may_be_repeated(bench.job, error)


THERE = Decision(Action.SKIP, "there", same=True, compared=True, stamp="stamp")
ENTRY = Entry(SENT, "here", False, None, frozenset(), {}, source="these files", stamp="stamp")


def listing(
    monkeypatch: pytest.MonkeyPatch, *decisions: Decision, entry: Entry | None = ENTRY, verify: Verify = Verify.SIZE
) -> Bench:
    """Attempts of a run with --at-all-sites, where the files here are "these files" and the journal has this entry."""
    bench = Bench(monkeypatch, *decisions, at_all_sites=Path("/list"), verify=verify)

    async def found(_place: object) -> Entry | None:
        return entry

    async def source_now(_slide: object) -> str:
        return "these files"

    bench.context.journal = SimpleNamespace(entry=found, signature=lambda _slide: "here")
    bench.verifier.source_now = source_now
    return bench


async def test_files_that_we_sent_and_nobody_has_touched_are_proved_by_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = listing(monkeypatch, THERE)
    outcome = await bench.attempts.run(bench.job)
    assert (outcome.verified_by, outcome.proof, bench.done) == (VerifiedBy.SIZE, "these files", ["inspect"])


@pytest.mark.parametrize(
    ("decision", "entry"),
    [
        (THERE, None),
        (THERE, replace(ENTRY, state=SEEN)),
        (THERE, replace(ENTRY, signature="other files")),
        (THERE, replace(ENTRY, stamp="another")),
        (THERE, replace(ENTRY, source="other files")),
        (THERE, replace(ENTRY, source=None)),
        (replace(THERE, stamp=None), replace(ENTRY, stamp=None)),
        (replace(THERE, compared=False), ENTRY),
    ],
)
async def test_a_look_proves_nothing_about_files_that_may_be_others(
    monkeypatch: pytest.MonkeyPatch, decision: Decision, entry: Entry | None
) -> None:
    bench = listing(monkeypatch, decision, entry=entry)
    assert (await bench.attempts.run(bench.job)).proof is None


async def test_what_is_read_back_is_proved_whoever_has_sent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = listing(monkeypatch, THERE, entry=None, verify=Verify.DEEP)
    assert (await bench.attempts.run(bench.job)).proof == "these files"

    async def gone(_slide: object) -> str:
        raise SourceError("x.svs has changed")

    bench.verifier.source_now = gone
    assert (await bench.attempts.run(bench.job)).proof is None


@pytest.mark.parametrize(
    ("entry", "proof"),
    [(replace(ENTRY, source="what was sent"), "what was sent"), (replace(ENTRY, source=None), None), (None, None)],
)
async def test_what_was_sent_is_proved_by_what_it_was_then(
    monkeypatch: pytest.MonkeyPatch, entry: Entry | None, proof: str | None
) -> None:
    bench = listing(monkeypatch, SEND, entry=entry)
    assert (await bench.attempts.run(bench.job)).proof == proof


async def test_what_has_overtaken_a_slide_was_not_opened_and_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = listing(monkeypatch, SEND, THERE)
    bench.uploads = [sends(400, Overtaken("another came"))]
    outcome = await bench.attempts.run(bench.job)
    assert (outcome.verified_by, outcome.proof) == (VerifiedBy.FILES, None)


async def test_nothing_is_sent_to_a_site_with_prepare_but_what_that_has_made(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Decision(Action.SEND, "not there"))
    bench.attempts._gate = SiteGate(SITE.model_copy(update={"prepare": ("anonymise", "{out}")}), None)
    with pytest.raises(NotPrepared):
        await bench.attempts.run(bench.job)
    assert not bench.job.begun
