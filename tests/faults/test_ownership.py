"""Whose is what lies at a site? Damage of ours is mended unasked, and nobody's whole slide is written over."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from support.cloud import StartCloud
from support.corpus import tiny_tiff, tree, write_mirax
from support.in_process import Report, push
from support.model_sites import ModelSite, journal_of, put_back
from support.push_cli import contents
from support.refusals import EXISTS, NAME, OTHERWISE
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, SMALLEST_PART, StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox
from pmarep.cli.render.base import summary_lines
from pmarep.engine import Existing, Options, Verify
from pmarep.events import SlidePlanned, SlideStatus

from .test_two_machines import Machine, TwoMachines

CONTENT = tiny_tiff(50_000)
OTHER_BYTE = bytes([CONTENT[20_000] % 255 + 1])  # neither what stands there nor a zero
FLIPPED = CONTENT[:1000] + bytes([CONTENT[1000] ^ 1]) + CONTENT[1001:]
MENDS: list[dict[str, Any]] = [
    {},
    {"fresh": True},
    {"existing": Existing.OVERWRITE},
    {"existing": Existing.SKIP},
    {"verify": Verify.DEEP},
    {"verify": Verify.FINGERPRINT},
]


class Case:
    """One machine, one file-system site, one slide: x.svs."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.machine = Machine("A", folder)
        self.model_site = ModelSite("a", sandbox, "Slides")
        self.site = self.model_site.site("in")
        self.file = sandbox.data / "Slides" / "in" / "x.svs"
        self.sandbox = sandbox
        tree(self.machine.source, "x.svs", content=CONTENT)

    def push(self, machine: Machine | None = None, **options: Any) -> Report:
        machine = machine or self.machine
        return asyncio.run(push(machine.source, [self.site], machine.state, PASSWORD, **options))

    def verify(self, level: Verify = Verify.SIZE) -> str:
        """What is found wrong; empty if nothing is."""
        report = self.push(verify_only=True, verify=level)
        assert (report.code == 0) is (not report.error("a"))
        return report.error("a")

    def status(self, **options: Any) -> SlideStatus:
        return self.push(**options).finished("a")["x.svs"].status

    def planned(self, **options: Any) -> str:
        (plan,) = [event for event in self.push(dry_run=True, **options).events if isinstance(event, SlidePlanned)]
        return plan.action

    def put(self, content: bytes, *, noticed: bool = True) -> None:
        """On the server's disk; `noticed`: with another time than before."""
        self.file.parent.mkdir(exist_ok=True)
        before = self.file.stat() if self.file.exists() else None
        self.file.write_bytes(content)
        if before is not None:
            shift = 5_000_000_000 if noticed else 0
            os.utime(self.file, ns=(before.st_atime_ns, (before.st_mtime_ns + shift) ^ 1))

    @property
    def there(self) -> bytes:
        return self.file.read_bytes()


@pytest.fixture
def case(folder: Path, sandbox: Sandbox) -> Case:
    return Case(folder, sandbox)


def refuses(case: Case, *methods: str) -> None:
    for method in methods or ("GetImageInfo",):
        case.sandbox.faults.add(CannedResponse.refusal("Unable to read the image"), path=method)


# Damage of ours


@pytest.mark.parametrize(
    ("how", "verified"), [*((how, verified) for how in MENDS for verified in (0, 1)), (MENDS[0], 2)], ids=str
)
def test_a_slide_that_is_cut_off_at_the_server_is_mended(case: Case, how: dict[str, Any], verified: int) -> None:
    assert case.status() is SlideStatus.SENT
    case.put(CONTENT[:100])
    for _ in range(verified):
        error = case.verify()
        assert "x.svs has 100 bytes there" in error
        assert "the next run sends it again" in error
    if not verified and how.get("existing", Existing.SKIP) is Existing.SKIP and set(how) <= {"existing"}:
        assert case.status(**how) is SlideStatus.SKIPPED  # what nobody has looked at is believed
        return
    assert case.status(**how) is SlideStatus.SENT
    assert case.there == CONTENT
    assert case.verify(Verify.DEEP) == ""


@pytest.mark.parametrize("methods", [("GetImageInfo",), ("GetImageInfo", "GetFilenames")], ids=str)
def test_a_cut_off_slide_that_the_server_does_not_understand_is_mended(case: Case, methods: tuple[str, ...]) -> None:
    case.push()
    case.put(CONTENT[:100])
    refuses(case, *methods)
    assert "the next run sends it again" in case.verify()
    case.sandbox.faults.clear()
    assert case.status() is SlideStatus.SENT
    assert case.there == CONTENT


@pytest.mark.parametrize("verifications", [1, 2])
def test_bits_that_the_servers_disk_has_lost_are_ours_to_mend(case: Case, verifications: int) -> None:
    case.push()
    case.put(FLIPPED, noticed=False)
    for _ in range(verifications):
        assert "the next run sends it again" in case.verify(Verify.DEEP)
    assert "the next run sends it again" in case.verify()  # a look at sizes alone forgets nothing
    assert case.planned() == "send"
    assert case.status() is SlideStatus.SENT
    assert case.there == CONTENT


def test_and_those_that_push_finds_it_mends_at_once(case: Case) -> None:
    case.push()
    case.put(FLIPPED, noticed=False)
    assert case.status(verify=Verify.DEEP) is SlideStatus.SENT
    assert case.there == CONTENT


@pytest.mark.parametrize("verify_first", [True, False])
def test_a_source_that_was_replaced_unseen_is_not_sent_over_the_slide_that_was_sent(
    case: Case, verify_first: bool
) -> None:
    """Size and time are the same: a closer look finds a difference, and cannot know that it is the site's fault."""
    case.push()
    file, new = case.machine.source / "x.svs", case.machine.source / "new"
    before = file.stat()
    new.write_bytes(FLIPPED)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(file)
    if verify_first:
        assert "pmarep push --existing overwrite replaces it" in case.verify(Verify.DEEP)
    assert case.status(verify=Verify.DEEP) is SlideStatus.FAILED
    assert case.there == CONTENT
    assert case.status(existing=Existing.OVERWRITE, verify=Verify.DEEP) is SlideStatus.SENT
    assert case.there == FLIPPED


@pytest.mark.parametrize(
    ("theirs", "times"),
    [(FLIPPED, 2), (CONTENT[::-1], 1), (CONTENT + b"more", 1), (b"?" * 9, 1)],
    ids=["flipped", "reversed", "longer", "short"],
)
def test_a_slide_that_somebody_has_overwritten_since_is_a_conflict(case: Case, theirs: bytes, times: int) -> None:
    """Whole or not, nobody can know: perhaps it is ours, made anonymous by its owner."""
    case.push()
    case.put(theirs)
    for _ in range(times):
        assert "pmarep push --existing overwrite replaces it" in case.verify(Verify.DEEP)
    for _ in range(times):
        assert case.planned() == "conflict"
        assert case.status() is SlideStatus.FAILED
        assert case.status(fresh=True) is SlideStatus.FAILED
        assert case.status(existing=Existing.SKIP) is SlideStatus.SKIPPED
        assert case.there == theirs
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.SENT
    assert case.there == CONTENT


def test_what_was_broken_and_has_been_replaced_since_is_not_ours(case: Case) -> None:
    case.push()
    case.put(CONTENT[:100])
    assert "sends it again" in case.verify()
    case.put(CONTENT[::-1])
    assert case.status() is SlideStatus.FAILED
    assert case.there == CONTENT[::-1]
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.SENT


def test_what_was_broken_and_has_been_mended_by_somebody_is_right(case: Case) -> None:
    case.push()
    case.put(CONTENT[:100])
    assert "sends it again" in case.verify()
    case.put(CONTENT)
    case.sandbox.clear_requests()
    assert case.status() is SlideStatus.SKIPPED
    assert not [r for r in case.sandbox.requests if r.method == "POST" and r.path.startswith("transfer/")]
    case.sandbox.clear_requests()
    assert case.status() is SlideStatus.SKIPPED  # and known from then on
    assert not [r for r in case.sandbox.requests if "Download" in r.path]


def test_what_differs_is_looked_at_again_when_it_has_changed(case: Case) -> None:
    case.put(CONTENT[::-1])
    assert "replaces it" in case.verify(Verify.DEEP)
    assert case.status() is SlideStatus.FAILED
    case.put(CONTENT)
    assert case.status() is SlideStatus.SKIPPED
    assert case.verify(Verify.DEEP) == ""


def test_a_slide_that_the_server_cannot_open_is_reported_each_night_and_sent_once(case: Case) -> None:
    refuses(case)
    for _ in range(3):
        report = case.push()
        assert "its bytes are there" in report.error("a")
        assert "--fresh" in report.error("a")
    sent = [r for r in case.sandbox.requests if "?path=" in r.path and r.method == "POST"]
    assert len(sent) == 1
    assert "its bytes are there" in case.verify()
    assert case.planned() == "conflict"
    assert case.planned(fresh=True) == "send"
    case.sandbox.faults.clear()
    assert case.status() is SlideStatus.SKIPPED


def test_verify_does_not_take_an_unfinished_upload_away(case: Case) -> None:
    """A server that writes in place shows the beginning of it."""
    begun(case, CONTENT[:20_000])
    before = journal_of(case.machine.state)
    assert "unfinished" in case.verify(Verify.DEEP)
    assert case.verify()
    assert journal_of(case.machine.state).count(b"sending") == before.count(b"sending")
    assert case.status() is SlideStatus.SENT
    assert case.there == CONTENT


def begun(case: Case, left: bytes) -> None:
    """A push killed while x.svs is on its way, to a server that writes in place: `left` is what has come of it."""
    night = TwoMachines(case.machine.source.parent.parent, case.model_site)
    night.site = case.site
    options = Options(sources=(case.machine.source,), patience=0.0, settle=0.0)
    asyncio.run(night.killed(case.machine, 3, False, options))  # login, folder and announcement pass
    case.sandbox.stop()
    (case.sandbox.data / ".sandbox" / "state.jsonl").unlink()
    case.sandbox.start()
    case.put(left)


# Torn copies


@pytest.mark.parametrize("left", [CONTENT[:20_000], CONTENT[:20_000] + bytes(10_000)], ids=["cut", "with room"])
@pytest.mark.parametrize("kept", [True, False], ids=["", "the journal is lost"])
def test_a_torn_copy_is_finished_whoever_has_left_it(case: Case, left: bytes, kept: bool) -> None:
    begun(case, left)
    if not kept:
        put_back(case.machine.state, b"")
        refuses(case)
        assert case.planned() == "send"
        case.sandbox.faults.clear()
        assert case.status() is SlideStatus.FAILED  # the server can open it: perhaps a slide after all
        case.sandbox.faults.add(CannedResponse.refusal("Unable to read the image"), path="GetImageInfo", times=2)
    assert case.status() is SlideStatus.SENT
    assert case.there == CONTENT


@pytest.mark.parametrize(
    "theirs",
    [CONTENT[:4000], bytes(20_000), CONTENT[:20_000] + OTHER_BYTE, CONTENT[20_000:]],
    ids=len,
)
def test_what_the_server_cannot_open_may_be_a_slide_of_others_all_the_same(case: Case, theirs: bytes) -> None:
    """Not even when a header is the same, as it is for slides of one scanner."""
    case.put(theirs)
    refuses(case)
    assert case.status() is SlideStatus.FAILED
    assert case.there == theirs


def test_a_source_that_changed_after_the_kill_says_what_helps(case: Case) -> None:
    """What lies there is a beginning of bytes that nobody has any more: it may be anything."""
    begun(case, CONTENT[:20_000])
    new = tiny_tiff(60_000)
    tree(case.machine.source, "x.svs", content=new)
    assert "--existing overwrite" in case.push().error("a")
    assert case.there == CONTENT[:20_000]
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.SENT
    assert case.there == new


# An upload of ours that was broken off, and somebody else's slide


def place_of(root: str, start_sandbox: StartSandbox, request: pytest.FixtureRequest) -> ModelSite:
    if root == "Slides":
        return ModelSite("a", start_sandbox("a"), root)
    start: StartCloud = request.getfixturevalue("cloud_sandbox")
    cloud = start("c", azure=root == "Blobs", s3_options={"part_size": SMALLEST_PART})
    return ModelSite("c", cloud.sandbox, root, cloud)


CLOUDS = [pytest.param(root, marks=pytest.mark.slow) for root in ("Cloud", "Blobs")]


@pytest.mark.parametrize("root", ["Slides", *CLOUDS])
def test_no_resume_goes_over_what_has_come_meanwhile(
    folder: Path, start_sandbox: StartSandbox, request: pytest.FixtureRequest, root: str
) -> None:
    """Killed at every request (in a cloud, within parts and at whole files), single and multi-file, of equal sizes."""
    model_site = place_of(root, start_sandbox, request)
    size = 6000 if root == "Slides" else 2 * SMALLEST_PART + 9
    for after in range(2, 10) if root == "Slides" else (2, 5):  # a login and a folder come first
        two = TwoMachines(folder, model_site, size)
        two.kill(0, after, after % 2 == 0, Existing.FAIL, False, False)
        two.push(1, Existing.FAIL, False, False)
        there = two.there()
        if after % 2:
            two.ask_first(0, Existing.FAIL)
        else:
            two.push(0, Existing.FAIL, False, True)
        assert two.there() == there
    two.teardown()


# What is said


def test_with_existing_skip_a_differing_slide_is_left_and_counted(case: Case) -> None:
    case.put(b"theirs")
    report = case.push(existing=Existing.SKIP)
    assert (report.code, report.summary.sites["a"].differing) == (0, 1)
    verdict = summary_lines(report.summary)[-1]
    assert "1 slide at a site differs and was left as it is (--existing skip)" in verdict
    assert case.push(existing=Existing.OVERWRITE).summary.sites["a"].differing == 0
    assert summary_lines(case.push().summary)[-1] == "every slide is at every site"


def test_what_a_closer_look_finds_to_be_another_is_left_and_counted(case: Case) -> None:
    case.put(CONTENT[::-1])
    assert case.push().summary.sites["a"].differing == 0  # of the same size, so it counts as the same
    for verify in Verify.DEEP, Verify.SIZE:
        report = case.push(existing=Existing.SKIP, verify=verify)
        assert (report.code, report.summary.sites["a"].differing) == (0, 1)
    assert case.there == CONTENT[::-1]


def test_a_slide_that_changed_here_is_counted(case: Case) -> None:
    case.push()
    tree(case.machine.source, "x.svs", content=CONTENT[::-1])
    os.utime(case.machine.source / "x.svs", (1_700_000_000, 1_700_000_000))
    for verify_only, compares in ((False, "--verify deep"), (True, "--level deep")):
        report = case.push(verify_only=verify_only)
        assert (report.code, report.summary.sites["a"].changed) == (0, 1)
        verdict = summary_lines(report.summary)[-1]
        assert "1 slide has changed here since and kept names and sizes" in verdict
        assert compares in verdict
    assert "replaces it" in case.verify(Verify.DEEP)
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.SENT


# --existing overwrite deletes only what is in its way


def test_the_first_deletion_that_helped_nothing_is_the_last(case: Case) -> None:
    for number in range(6):
        tree(case.machine.source, f"{number}.svs", content=b"old" * 100)
    case.push()
    for number in range(6):
        tree(case.machine.source, f"{number}.svs", content=b"newer" * 100)
    says = CannedResponse.refusal("A slide with this name already exists")
    case.sandbox.faults.add(says, method="POST", path="transfer/Upload$")
    report = case.push(existing=Existing.OVERWRITE, connections=4)
    assert report.summary.sites["a"].failed == 6
    assert len([r for r in case.sandbox.requests if "DeleteSlide" in r.path]) == 1
    assert len(case.model_site.has("in")) == 6  # of 7


def test_nothing_is_deleted_for_a_slide_of_ours(case: Case) -> None:
    case.push()
    case.put(CONTENT[:100])
    case.verify()
    case.sandbox.faults.add(
        CannedResponse.refusal("A slide with this name already exists"), path="transfer/Upload$", times=2
    )
    error = case.push().error("a")
    assert "--existing overwrite deletes what is there first" in error
    assert case.there == CONTENT[:100]
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.SENT
    assert case.there == CONTENT


def test_nothing_is_deleted_while_the_source_cannot_be_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from pmarep.errors import SourceError
    from pmarep.uploaders import Digests

    case.put(b"theirs")

    async def unreadable(*_: object) -> bytes:
        raise SourceError("x.svs cannot be read: a bad sector")

    monkeypatch.setattr(Digests, "sha256", unreadable)
    case.sandbox.faults.add(CannedResponse.refusal("A slide with this name already exists"), path="transfer/Upload$")
    assert "bad sector" in case.push(existing=Existing.OVERWRITE).error("a")
    assert case.there == b"theirs"


def test_a_deletion_is_for_the_slide_that_is_in_the_way(case: Case) -> None:
    with Client(case.sandbox) as somebody:
        somebody.post("CreateDirectory", path="Slides/in")
        somebody.push("Slides/in", {"other.svs": b"other", "x.svs": b"theirs"})
    case.sandbox.faults.add(CannedResponse.refusal("The file 'other.svs' already exists"), path="transfer/Upload$")
    assert case.status(existing=Existing.OVERWRITE) is SlideStatus.FAILED
    assert case.model_site.has("in") == {"other.svs": b"other", "x.svs": b"theirs"}


def whole_slides(case: Case, size: int) -> dict[str, bytes]:
    slides = {f"{number}.svs": b"%05d" % number * size for number in range(2)} | {"x.svs": b"%05d" % 9 * size}
    for name, content in slides.items():
        tree(case.machine.source, name, content=content)
    return slides


@pytest.mark.parametrize("status", [200, 400])
def test_no_refusal_costs_a_slide_that_was_whole(case: Case, status: int) -> None:
    """Whatever the server says of announcements, now and then or always: an old or a new whole slide is there."""
    rng = random.Random(status)
    old = whole_slides(case, 20)
    case.push()
    for words in rng.sample(OTHERWISE, 3) + rng.sample(EXISTS, 1):
        new = whole_slides(case, 20 + rng.randrange(1, 99))
        body = json.dumps({"Code": 1, "Message": words.replace(NAME, "x.svs")})
        times = None if words in OTHERWISE else 1
        rule = case.sandbox.faults.add(
            CannedResponse(status, body), method="POST", path="transfer/Upload$", times=times
        )
        before = case.model_site.has("in")
        deleted = [r for r in case.sandbox.requests if "DeleteSlide" in r.path]
        for existing in Existing.FAIL, Existing.OVERWRITE:
            case.push(existing=existing)
        after = case.model_site.has("in")
        case.sandbox.faults.remove(rule)
        assert after.keys() == old.keys()
        for name, content in after.items():
            assert content in (before[name], new[name])
        if words in OTHERWISE:
            assert [r for r in case.sandbox.requests if "DeleteSlide" in r.path] == deleted, words


# Slides of several files


@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("m.mrxs", "gone"),
        ("m.mrxs", "cut"),
        ("m.mrxs", "zeros"),
        ("m/Data0001.dat", "gone"),
        ("m/Data0001.dat", "empty"),
        ("m/Data0001.dat", "zeros"),
    ],
)
def test_a_slide_of_several_files_is_mended(case: Case, file: str, how: str) -> None:
    (case.machine.source / "x.svs").unlink()
    write_mirax(case.machine.source / "m.mrxs", data_files=2, data_size=9000)
    case.push()
    path = case.sandbox.data / "Slides" / "in" / file
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:10], "empty": b"", "zeros": content[:10] + bytes(len(content) - 10)}[how])
    level = Verify.DEEP if how == "zeros" else Verify.SIZE
    error = case.verify(level)
    assert "pmarep push sends it" in error or "the next run sends it again" in error
    assert case.push().finished("a")["m.mrxs"].status is SlideStatus.SENT
    assert case.model_site.has("in") == contents(case.machine.source)
    assert case.verify(Verify.DEEP) == ""


@pytest.mark.parametrize("root", ["Slides", CLOUDS[0]])
def test_two_that_were_broken_off_in_the_same_slide_make_no_mixture(
    folder: Path, start_sandbox: StartSandbox, request: pytest.FixtureRequest, root: str
) -> None:
    """Files of equal sizes: the second one's lie in place of those of the first, which the first has acknowledged."""
    model_site = place_of(root, start_sandbox, request)
    two = TwoMachines(folder, model_site, 900)
    for machine, after in zip(two.machines, (7, 6) if root == "Slides" else (4, 4), strict=True):
        (machine.source / "x.svs").unlink()
        two.kill(two.machines.index(machine), after, False, Existing.FAIL, False, False)  # all but the main file
    first, second = (contents(machine.source) for machine in two.machines)
    assert two.there() == {name: content for name, content in second.items() if name != "m.mrxs"}
    for _ in range(2):  # the first finds it out
        two.push(0, Existing.FAIL, False, False)
    assert two.there() == first


def test_nor_where_the_first_attempt_to_resume_fails(folder: Path, start_sandbox: StartSandbox) -> None:
    """What an earlier run has sent stays that, however often this one has to begin."""
    model_site = ModelSite("a", start_sandbox("a"), "Slides")
    two = TwoMachines(folder, model_site, 900)
    for who, after in ((0, 7), (1, 6)):  # the second finds the folder
        (two.machines[who].source / "x.svs").unlink()
        two.kill(who, after, False, Existing.FAIL, False, False)
    assert two.there().keys() == contents(two.machines[0].source).keys() - {"m.mrxs"}
    failing = model_site.sandbox.faults.add(
        CannedResponse.iis(503), path=r"transfer/Upload/[0-9]+$", method="GET", times=5
    )
    report = two.pushed(two.machines[0], patience=60.0)
    model_site.sandbox.faults.remove(failing)
    there, here = two.there(), contents(two.machines[0].source)
    assert report.finished("a")["m.mrxs"].status is SlideStatus.FAILED or there == here
    assert two.pushed(two.machines[0]).code == 0
    assert two.there() == here
