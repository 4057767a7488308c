from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import fork_server
from support.fork_server import LatePatch, Process

from pmarep.errors import TargetBusyError, UsageError
from pmarep.slides.shard import Shard
from pmarep.state.target_locks import hold_targets

TOKYO = ("tokyo", "https://tokyo.example/slides/in")
ANNA = ("anna", "https://campus.example/boxes/anna")
BOB = ("bob", "https://campus.example/boxes/bob")


@contextmanager
def another_process(folder: Path, *places: tuple[str, str], shard: str = "") -> Iterator[Process]:
    """Holds the locks until the end of the block, where it is killed."""
    code = (
        "import sys; from pathlib import Path; from pmarep.state.target_locks import hold_targets\n"
        f"from pmarep.slides.shard import Shard; shard = Shard.parse({shard!r}) if {shard!r} else None\n"
        f"with hold_targets(Path({str(folder)!r}), {places!r}, shard):\n"
        "    print('holding', flush=True); sys.stdin.read()\n"
    )
    readable, writable = os.pipe()
    environment = {**os.environ, **fork_server.USUAL_ENVIRONMENT}
    process = fork_server.start(["--version"], environment, stdin=readable, patch=LatePatch(code))
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            assert process.stdout.readline() == "holding\n"
            yield process
        finally:
            process.kill()
            process.wait()
            os.close(readable)
            os.close(writable)


def test_a_second_process_is_refused_and_the_error_names_the_holder(tmp_path: Path) -> None:
    with another_process(tmp_path, TOKYO, ANNA) as holder:
        with pytest.raises(TargetBusyError) as refused, hold_targets(tmp_path, [ANNA]):
            pass
        assert refused.value.exit_code == 3
        assert str(refused.value).startswith("anna: another run holds this site's target")
        assert f"process {holder.pid} " in str(refused.value)
        with hold_targets(tmp_path, [BOB]):
            pass


@pytest.mark.parametrize("inner_first", [True, False])
def test_a_target_within_another_is_refused(tmp_path: Path, inner_first: bool) -> None:
    inner = ("inner", f"{ANNA[1]}/demo")
    first, second = (inner, ANNA) if inner_first else (ANNA, inner)
    with another_process(tmp_path, first) as holder:
        with pytest.raises(TargetBusyError) as refused, hold_targets(tmp_path, [second]):
            pass
        assert f"{second[0]}: another run holds a target above or below" in str(refused.value)
        assert f"process {holder.pid} " in str(refused.value)
        with hold_targets(tmp_path, [("annabel", f"{ANNA[1]}bel"), BOB]):  # only looks alike
            pass
    (tmp_path / "left.json").write_text('{"place": "https://campus.example/boxes/anna"}')  # by a run that was killed
    with hold_targets(tmp_path, [second]):
        pass


def test_locks_end_with_a_killed_process(tmp_path: Path) -> None:
    with another_process(tmp_path, TOKYO):
        pass
    with hold_targets(tmp_path, [TOKYO]):
        pass


def test_free_targets_are_held_and_errors_name_the_holders_of_the_others(tmp_path: Path) -> None:
    with another_process(tmp_path, BOB) as holder, hold_targets(tmp_path, [TOKYO, ANNA, BOB]) as busy:
        assert list(busy) == ["bob"]
        assert str(busy["bob"]).startswith("bob: another run holds this site's target")
        assert f"process {holder.pid} " in str(busy["bob"])
        with pytest.raises(TargetBusyError), hold_targets(tmp_path, [TOKYO]):
            pass
        with pytest.raises(TargetBusyError), hold_targets(tmp_path, [ANNA]):
            pass
    with hold_targets(tmp_path, [TOKYO, ANNA, BOB]) as busy:
        assert not busy


def test_a_target_within_a_busy_one_is_busy_and_released(tmp_path: Path) -> None:
    inner = ("inner", f"{ANNA[1]}/demo")
    with another_process(tmp_path, ANNA), hold_targets(tmp_path, [inner, BOB]) as busy:
        assert list(busy) == ["inner"]
    with another_process(tmp_path, inner):
        pass


def test_again_afterwards(tmp_path: Path) -> None:
    for _ in range(3):
        with hold_targets(tmp_path, [TOKYO, ANNA]):
            pass


def test_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_targets(tmp_path, [TOKYO]):
        raise RuntimeError
    with hold_targets(tmp_path, [TOKYO]):
        pass


@pytest.mark.parametrize("note", [None, "", "{", "[]", '{"pid": 1}'])
def test_a_holder_that_says_nothing(tmp_path: Path, note: str | None) -> None:
    with another_process(tmp_path, TOKYO):
        (file,) = tmp_path.glob("*.json")
        file.unlink() if note is None else file.write_text(note)
        with pytest.raises(TargetBusyError, match="does not say who"), hold_targets(tmp_path, [TOKYO]):
            pass


def test_no_lock_at_all(tmp_path: Path) -> None:
    with hold_targets(tmp_path / "locks", []):
        assert not (tmp_path / "locks").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "locks"
    before = os.umask(0)
    try:
        with hold_targets(folder, [TOKYO]):
            modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--state-dir"), hold_targets(tmp_path / "file" / "locks", [TOKYO]):
        pass


@pytest.mark.parametrize(
    ("held", "wanted", "words"),
    [
        ("1/3", Shard(1, 3), "tokyo: another run holds this site's target (shard 1/3, process"),
        ("1/3", Shard(1, 4), "tokyo: another run holds this site's target for shards of 3 (shard 1/3, process"),
        ("1/3", Shard(2, 4), "tokyo: another run holds this site's target for shards of 3 (shard 1/3, process"),
        ("1/3", None, "tokyo: another run holds this site's target for shards of 3 (shard 1/3, process"),
        ("", Shard(1, 3), "tokyo: another run holds this site's target for all slides (process"),
    ],
)
def test_only_other_shards_of_the_same_count_share_a_target(
    tmp_path: Path, held: str, wanted: Shard | None, words: str
) -> None:
    inner = ("inner", f"{TOKYO[1]}/demo")
    with another_process(tmp_path, TOKYO, shard=held) as holder:
        with pytest.raises(TargetBusyError) as refused, hold_targets(tmp_path, [TOKYO], wanted):
            pass
        assert refused.value.exit_code == 3
        assert str(refused.value).startswith(f"{words} {holder.pid} ")
        with pytest.raises(TargetBusyError, match="above or below"), hold_targets(tmp_path, [inner], wanted):
            pass
    with hold_targets(tmp_path, [TOKYO], wanted):  # what a killed run leaves behind is in nobody's way
        pass


def test_shards_of_one_count_run_together_also_to_targets_within_each_other(tmp_path: Path) -> None:
    places = [TOKYO, ("inner", f"{TOKYO[1]}/demo")]
    with another_process(tmp_path, *places, shard="3/3"), hold_targets(tmp_path, places, Shard(1, 3)) as busy:
        assert not busy
        with hold_targets(tmp_path, places, Shard(2, 3)) as busy:
            assert not busy
