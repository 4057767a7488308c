"""`--at-all-sites`: whoever deletes by the list has no copy here any more, so nothing is in it that is in doubt."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import NO_PAUSES, PushCli, Result
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox


class Two:
    """A push to two sites with a list, and what is in it."""

    def __init__(self, folder: Path, start: StartSandbox) -> None:
        self.cli = PushCli(folder / "cli")
        self.sandboxes = [start("a"), start("b")]
        for name, sandbox in zip(("a", "b"), self.sandboxes, strict=True):
            self.cli.site(name, sandbox)
        self.file = folder / "list"

    def run(self, *extra: str, command: str = "push") -> Result:
        return self.cli.run("--json", "--at-all-sites", str(self.file), *extra, command=command, patch=NO_PAUSES)

    @property
    def listed(self) -> list[str]:
        """The files in the list, relative to the source."""
        content = self.file.read_bytes()
        assert content == b"" or content.endswith(b"\0")
        paths = [Path(os.fsdecode(path)) for path in content.split(b"\0")[:-1]]
        assert all(path.is_file() for path in paths)
        return sorted(path.relative_to(self.cli.source).as_posix() for path in paths)


@pytest.fixture
def two(tmp_path: Path, start_sandbox: StartSandbox) -> Two:
    return Two(tmp_path, start_sandbox)


def test_only_what_is_at_every_site_is_listed(two: Two) -> None:
    tree(two.cli.source, "a b/1.svs", "a b/ü\n2.svs", content=os.urandom(100))
    tree(two.cli.source, "3.svs", content=os.urandom(101))
    refusal = CannedResponse(500, '{"Message": "no"}')
    two.sandboxes[1].faults.add(refusal, path=".*3.svs")
    assert two.run().code == 1
    assert two.listed == ["a b/1.svs"]  # no server takes a line break
    if sys.platform != "win32":
        assert stat.S_IMODE(two.file.stat().st_mode) == 0o600
    two.sandboxes[1].faults.clear()
    two.run()
    assert two.listed == ["3.svs", "a b/1.svs"]  # at one site it has been there already
    two.run(command="verify")
    assert two.listed == ["3.svs", "a b/1.svs"]


def test_slides_of_earlier_runs_are_looked_at_before_they_are_listed(two: Two) -> None:
    """Of another run it is not believed, and less of what somebody else has put there."""
    tree(two.cli.source, "1.svs", "2.svs", "3.svs", "4.svs", content=os.urandom(100))
    for name in ("3.svs", "4.svs"):
        other = two.sandboxes[0].data / "Slides" / "in" / name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes((two.cli.source / name).read_bytes() if name == "3.svs" else os.urandom(100))
    assert two.cli.push().code == 0
    (two.sandboxes[0].data / "Slides" / "in" / "1.svs").write_bytes(b"x")
    os.utime(two.cli.source / "2.svs", ns=(1, 1))  # another file, for all we know
    assert two.run("--sites", "b").code == 0
    assert two.listed == ["1.svs", "3.svs", "4.svs"]
    two.run(command="verify")
    assert two.listed == []
    two.run("--level", "deep", command="verify")
    assert two.listed == ["2.svs", "3.svs"]


def test_slides_sent_without_verification_are_not_listed(two: Two) -> None:
    """Of a slide that was sent without a look afterwards nobody knows what the site said of it."""
    tree(two.cli.source, "1.svs", content=os.urandom(100))
    assert two.cli.push("--verify", "none").code == 0
    assert two.run().code == 0
    assert two.listed == []
    assert two.run("--verify", "deep").code == 0
    assert two.listed == ["1.svs"]


def test_a_slide_that_was_read_back_is_known_by_its_files_here(two: Two) -> None:
    """Also one that somebody else has put there: another file here, of the same size and time, is not that one."""
    tree(two.cli.source, "1.svs", content=os.urandom(100))
    for sandbox in two.sandboxes:
        other = sandbox.data / "Slides" / "in" / "1.svs"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes((two.cli.source / "1.svs").read_bytes())
    assert two.cli.run("--level", "deep", command="verify").code == 0
    assert two.run().code == 0
    assert two.listed == ["1.svs"]
    file = two.cli.source / "1.svs"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    (two.cli.source / "new").write_bytes(os.urandom(100))
    os.utime(two.cli.source / "new", ns=times)
    (two.cli.source / "new").replace(file)
    assert two.run().code == 0
    assert two.listed == []


def test_a_slide_that_another_one_shares_a_file_with_is_not_listed(two: Two) -> None:
    tree(two.cli.source, "x/1.svs", content=os.urandom(100))
    (two.cli.source / "y").mkdir()
    (two.cli.source / "y" / "2.svs").symlink_to(two.cli.source / "x" / "1.svs")
    two.sandboxes[1].faults.add(CannedResponse(500, '{"Message": "no"}'), path=".*2.svs")
    assert two.run().code == 1
    assert two.listed == []
    two.sandboxes[1].faults.clear()
    assert two.run().code == 0
    assert two.listed == ["x/1.svs", "y/2.svs"]


def test_an_old_list_is_emptied_whatever_happens(two: Two) -> None:
    tree(two.cli.source, "1.svs", content=os.urandom(100))
    for extra, words in (
        (["--sites", "nowhere"], "nowhere"),
        (["--verify", "none"], "leave out --verify none"),
        (["--dry-run"], "leave out --dry-run"),
        (["--existing", "bogus"], "bogus"),
        (["--log-file", str(two.file / "none")], "none"),
    ):
        two.file.write_bytes(b"/old\0")
        refused = two.run(*extra)
        assert refused.code == 2
        assert words in refused.stderr
        assert two.file.read_bytes() == b""


def test_nothing_is_listed_where_a_site_has_not_taken_part(two: Two, sandbox: Sandbox) -> None:
    tree(two.cli.source, "1.svs", content=os.urandom(100))
    two.cli.site("c", sandbox, password="wrong")
    assert two.run().code == 1
    assert two.listed == []
