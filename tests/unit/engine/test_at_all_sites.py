"""The list of files at all sites: the last word about a slide counts, and files that have changed are not in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.corpus import tree
from support.slides import slide_at

from pmarep.engine import Options, replicate
from pmarep.engine.at_all_sites import VerifiedAtAllSites
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.errors import UsageError
from pmarep.events import Event, Notice
from pmarep.sites import Credentials
from pmarep.source import SharedReader
from pmarep.state.file_list import empty_list


async def listed(folder: Path, notes: list[tuple[str, int, bool]], change: str = "", other: str = "") -> list[str]:
    slide_list, reader = SlideList(), SharedReader()
    for name in ("0.svs", "1.svs"):
        (folder / name).write_bytes(b"x")
    slide_list.write([slide_at(folder / "0.svs"), slide_at(folder / "1.svs")])
    slide_list.admit(2, 2)
    verified = VerifiedAtAllSites(folder / "list", ["a", "b"])
    proofs = [await reader.check_slide(slide_list.found(number)) for number in range(2)]
    for site, number, whole in notes:
        verified.note(site, number, (other or proofs[number]) if whole else None)
    if change:
        (folder / change).write_bytes(b"yy")
    await verified.write(slide_list, reader)
    reader.close()
    slide_list.close()
    found = (folder / "list").read_bytes().split(b"\0")[:-1]
    assert verified.slides == len(found)
    assert all(os.path.isabs(path) for path in found)  # noqa: PTH117
    return [Path(os.fsdecode(path)).name for path in found]


BOTH = [("a", 1, True), ("a", 0, True), ("b", 0, True), ("b", 1, True)]


async def test_every_site_has_to_have_it(tmp_path: Path) -> None:
    assert await listed(tmp_path, []) == []
    assert await listed(tmp_path, BOTH[:3]) == ["0.svs"]
    assert await listed(tmp_path, BOTH) == ["0.svs", "1.svs"]


async def test_where_no_site_was_asked_for_nothing_is_verified(tmp_path: Path) -> None:
    """A program that has chosen no site by mistake must not be told that all of them have everything."""
    source, file = tmp_path / "cases", tmp_path / "list"
    tree(source, "1.svs")
    summary = await replicate(
        Options(sources=(source,), settle=0, at_all_sites=file),
        [],
        passwords=Credentials({}),
        state_dir=tmp_path / "state",
        listener=lambda _event: None,
    )
    assert summary.source.slides == 1
    assert file.read_bytes() == b""


async def test_the_last_word_counts(tmp_path: Path) -> None:
    assert await listed(tmp_path, [*BOTH, ("b", 0, False)]) == ["1.svs"]


async def test_a_slide_that_has_changed_since_it_was_sent_is_not_listed(tmp_path: Path) -> None:
    assert await listed(tmp_path, BOTH, change="0.svs") == ["1.svs"]


async def test_what_a_site_has_is_compared_with_what_is_here_at_the_end(tmp_path: Path) -> None:
    """The reader forgets the identities of files, if there are many, and would believe any."""
    assert await listed(tmp_path, BOTH, other="the identity of a file that was here before") == []


async def test_paths_lead_through_no_link_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "day1").mkdir()
    (tmp_path / "today").symlink_to(tmp_path / "day1", target_is_directory=True)
    await listed(tmp_path / "today", BOTH)
    assert os.fsencode(tmp_path / "day1" / "0.svs") in (tmp_path / "day1" / "list").read_bytes().split(b"\0")


@pytest.mark.parametrize("content", [b"II*\0 a slide", b"/a line\n", b"name\0", b"[sites.a]\n"])
def test_a_file_that_is_no_list_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """It may be a slide: `--at-all-sites *.svs` names the first one."""
    file = tmp_path / "1.svs"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="no list of an earlier run"):
        empty_list(file)
    assert file.read_bytes() == content


def test_a_list_is_emptied_where_no_other_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list"
    file.write_bytes(os.fsencode(tmp_path / "1.svs") + b"\0")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pmarep.state.file_list.replace_private_file", full)
    empty_list(file)
    assert file.read_bytes() == b""


async def test_a_list_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the list of --at-all-sites"):
        empty_list(tmp_path)
    options = Options(sources=(tmp_path,), at_all_sites=tmp_path / "none" / "list")
    with pytest.raises(UsageError, match="No such file"):
        await replicate(options, [], passwords=None, state_dir=tmp_path, listener=print)  # type: ignore[arg-type]


async def test_a_run_whose_list_cannot_be_written_says_so_and_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pmarep.engine.at_all_sites.replace_private_file", full)
    events: list[Event] = []
    summary = await replicate(
        Options(sources=(tmp_path,), allow_empty=True, at_all_sites=tmp_path / "list"),
        [],
        passwords=Credentials({}),
        state_dir=tmp_path / "state",
        listener=events.append,
    )
    assert summary.exit_code == 1
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert texts == [f"cannot write the list {tmp_path / 'list'}: No space left on device; it is empty"]
