"""What people see of the end of a run, and of what is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmarep.cli.render.base import summary_lines
from pmarep.cli.render.lines import LinesOutput, round_line
from pmarep.events import RoundReason, RoundStarted, SiteState, SiteSummary, State, Summary

WAITING = "waiting for https://a.example/ to answer the log-in, for 10s now"


def test_slides_that_were_not_begun_have_not_failed() -> None:
    site = SiteSummary(sent=2, not_begun=7, error="stopped at --max-duration; the next run sends the rest")
    line, verdict = summary_lines(Summary(exit_code=1, seconds=1.0, sites={"a": site}))
    assert line.startswith("a  2 sent, 0 skipped, 0 failed, 7 not begun; ")
    assert verdict == "7 slides not begun; the next run sends the rest"


@pytest.mark.parametrize(
    ("site", "verdict"),
    [
        (
            SiteSummary(failed=6, not_looked_at=6, error="wrong password"),
            "6 slides could not be looked at or sent at a; see above, then run it again",
        ),
        (
            SiteSummary(failed=2, needs_decision=2),
            "2 slides need a decision: see above, such as --existing overwrite or skip",
        ),
        (
            SiteSummary(failed=6, not_looked_at=3, needs_decision=1, not_begun=4),
            "2 slides did not arrive; see above, then run it again to send the rest; 3 slides could not be looked at "
            "or sent at a; see above, then run it again; 1 slide needs a decision: see above, such as --existing "
            "overwrite or skip; 4 slides not begun; the next run sends the rest",
        ),
    ],
)
def test_what_did_not_arrive_is_counted_by_what_helps(site: SiteSummary, verdict: str) -> None:
    assert summary_lines(Summary(exit_code=1, seconds=1.0, sites={"a": site, "b": SiteSummary()}))[-1] == verdict


@pytest.mark.parametrize(
    ("slides", "words"),
    [
        (1, "1 slide is still being written; a later round sends it"),
        (2, "2 slides are still being written; a later round sends them"),
    ],
)
def test_slides_that_are_still_being_written_come_with_a_later_round(slides: int, words: str) -> None:
    summary = Summary(exit_code=1, seconds=1.0, sites={"a": SiteSummary(failed=1)}, unfinished=slides)
    assert summary_lines(summary)[-1].endswith(f"; {words}")
    done = replace(summary, exit_code=0, sites={"a": SiteSummary(skipped=3)})
    line = round_line(RoundStarted(round=7, reason=RoundReason.CHANGE), done)
    assert line == f"round 7 (change): a 0 sent, 3 skipped; {words.partition(';')[0]}"


def test_a_verification_that_could_not_look_says_so() -> None:
    site = SiteSummary(failed=6, not_looked_at=6, error="wrong password")
    verdict = summary_lines(Summary(exit_code=1, seconds=1.0, sites={"a": site}, verify_only=True))[-1]
    assert verdict == "6 slides could not be verified at a; see above, then run it again"


@pytest.mark.parametrize(
    ("failed", "error", "expected"),
    [
        (0, None, ""),
        (1, None, "1 slide did not arrive; see above, then run it again to send the rest; "),
        (1, "interrupted; no slide was left half sent", "interrupted; no slide was left half sent; "),
    ],
)
def test_slides_that_stay_different_are_counted_whatever_else_failed(
    failed: int, error: str | None, expected: str
) -> None:
    site = SiteSummary(sent=2, skipped=3, failed=failed, differing=1, changed=2)
    verdict = summary_lines(Summary(exit_code=failed, seconds=1.0, sites={"a": site}, error=error))[-1]
    differing = "1 slide at a site differs and was left as it is (--existing skip); "
    changed = "2 slides have changed here since and kept names and sizes, so a site may have another"
    assert verdict.startswith(f"{expected}{differing}{changed}")
    assert verdict.endswith("every other slide is at every site") is not bool(failed)


@pytest.mark.parametrize("state", [State.CONNECTING, State.RUNNING])
def test_the_reason_of_a_wait_is_one_line(capsys: pytest.CaptureFixture[str], state: State) -> None:
    output = LinesOutput(quiet=False, verbose=False)
    output.handle(SiteState(site="a", state=state, reason=WAITING))
    output.handle(SiteState(site="a", state=State.RUNNING))
    assert capsys.readouterr().out[21:] == f"a: {WAITING}\n"


@pytest.mark.parametrize(
    ("site", "dry_run", "line", "verdict"),
    [
        (SiteSummary(sent=1, deleted=2), False, "2 deleted", "every slide is at every site, and no other one"),
        (
            SiteSummary(extra=2), False, "0 deleted, 2 not in the source",
            "2 slides at sites are not in the source; see above, --yes deletes what may go",
        ),
        (SiteSummary(extra=2), True, "2 to delete", "dry run: nothing was sent or deleted"),
        (
            SiteSummary(extra=2, mirror_error="no"), True, "nothing deleted, 2 not in the source",
            "not every slide that the source has not was deleted at a; see above; dry run: nothing was sent or deleted",
        ),
        (
            SiteSummary(deleted=1, extra=1, mirror_error="away"), False, "1 deleted, 1 not in the source",
            "not every slide that the source has not was deleted at a; see above",
        ),
        (
            SiteSummary(failed=1, mirror_error="not all"), False, "nothing deleted",
            "1 slide did not arrive; see above, then run it again to send the rest; "
            "not every slide that the source has not was deleted at a; see above",
        ),
    ],
)  # fmt: skip
def test_the_summary_counts_what_a_mirror_has_deleted_and_left(
    site: SiteSummary, dry_run: bool, line: str, verdict: str
) -> None:
    code = 0 if verdict.startswith("every") else 1
    summary = Summary(exit_code=code, seconds=1.0, sites={"a": site}, dry_run=dry_run, mirror=True)
    first, last = summary_lines(summary)
    assert first.endswith(f"; {line}")
    assert last == verdict
