"""S3 and Azure root-directories: byte-identical at the far end, and nothing announced or left behind for nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cloud import MIB, SMALL_BLOCKS, CloudSandbox, StartCloud
from support.corpus import tree, wild_names, write_mirax, write_svs, write_vsi
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import NO_PAUSES, PushCli, contents

from pmacore_sandbox import SERVER_BUSY, SLOW_DOWN, CannedResponse, Corrupt, Drop, EndSessions, Hold

KINDS = pytest.mark.parametrize("root", ["Slides", "Cloud", "Blobs"], ids=["filesystem", "s3", "azure"])
CLOUDS = pytest.mark.parametrize("root", ["Cloud", "Blobs"], ids=["s3", "azure"])
PART = MIB
"""Bytes of S3's parts and of Azure's blocks."""
BUSY = {"Cloud": SLOW_DOWN, "Blobs": SERVER_BUSY}


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli", SMALL_BLOCKS)


@pytest.fixture
def tokyo(cloud_sandbox: StartCloud, cli: PushCli, root: str) -> CloudSandbox:
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": PART})
    cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    return tokyo


def there(tokyo: CloudSandbox, root: str) -> dict[str, bytes]:
    """What lies below the target, by path."""
    if root != "Slides":
        return {name.removeprefix("in/"): content for name, content in tokyo.side(root).objects().items()}
    folder = tokyo.sandbox.data / "Slides" / "in"
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def announcements(tokyo: CloudSandbox) -> int:
    return sum(r.method == "POST" and r.path == "transfer/Upload" for r in tokyo.sandbox.requests)


@KINDS
def test_every_size_and_kind_of_slide(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    block = PART
    sizes = (1, block - 1, block, block + 1, 2 * block, 3 * block + 5)
    for size in sizes:
        tree(cli.source, f"of {size}.svs", content=os.urandom(size))
    write_svs(cli.source / "sub" / "real.svs")
    write_mirax(cli.source / "sub" / "m.mrxs", data_files=4, data_size=300_000)
    write_vsi(cli.source / "sub" / "v.vsi")
    (cli.source / "sub" / "_v_" / "stack1" / "frame_t.meicom").write_bytes(b"")
    result = cli.push()
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)
    slides = len(sizes) + 3
    assert result.counts("tokyo") == (slides, 0, 0)
    assert announcements(tokyo) == slides
    assert tokyo.s3.open_multipart_uploads() == []
    tokyo.sandbox.clear_requests()
    again = cli.push()
    assert again.code == 0
    assert again.counts("tokyo") == (0, slides, 0)
    assert announcements(tokyo) == 0


@CLOUDS
def test_names_in_the_wild(cli: PushCli, cloud_sandbox: StartCloud, root: str) -> None:
    options = {"part_size": 65536, "multipart_above": 65536}
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options=options)
    cli.site("tokyo", tokyo.sandbox, target=f"{root}/in & out +1")
    names = wild_names()
    for folder, *others in (names[number : number + 4] for number in range(0, len(names), 4)):
        tree(cli.source / folder[:60], *(f"{name}.svs" for name in (folder, *others)), content=os.urandom(70_000))
    write_mirax(cli.source / "größe #1 +&%20'x'.mrxs", data_files=2, data_size=200_000)
    result = cli.push()
    assert result.code == 0, result.stdout
    objects = tokyo.side(root).objects()
    assert {k.removeprefix("in & out +1/"): v for k, v in objects.items()} == contents(cli.source)


def test_raw_spaces_in_sas_urls(cli: PushCli, cloud_sandbox: StartCloud) -> None:
    tokyo = cloud_sandbox("tokyo", azure_options={"raw_spaces": True})
    cli.site("tokyo", tokyo.sandbox, target="Blobs/in here")
    tree(cli.source, "a b.svs", content=os.urandom(PART + 1))
    tree(cli.source, "c d.svs", content=os.urandom(10))
    assert cli.push().code == 0
    assert {k.removeprefix("in here/"): v for k, v in tokyo.azure.objects().items()} == contents(cli.source)


def test_all_three_kinds_on_one_server_at_once(cli: PushCli, cloud_sandbox: StartCloud) -> None:
    tokyo = cloud_sandbox("tokyo", s3_options={"part_size": PART})
    for kind in ("Slides", "Cloud", "Blobs"):
        cli.site(kind.lower(), tokyo.sandbox, target=f"{kind}/in")
    tree(cli.source, "a.svs", content=os.urandom(2 * PART + 7))
    write_mirax(cli.source / "m.mrxs", data_files=3, data_size=200_000)
    result = cli.push()
    assert result.code == 0, result.stdout
    for kind in ("Slides", "Cloud", "Blobs"):
        assert there(tokyo, kind) == contents(cli.source)


@CLOUDS
def test_passing_failures_are_tried_again(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    side = tokyo.side(root)
    tree(cli.source, "a.svs", content=os.urandom(4 * PART))
    side.faults.add(BUSY[root], path=r"a\.svs\?", times=2)
    side.faults.add(Drop(PART // 2), path=r"a\.svs\?", after=3, times=1)
    side.faults.add(Corrupt(1000), path=r"a\.svs\?", after=5, times=1)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)
    assert result.finished("tokyo")["a.svs"]["bytes"] == 4 * PART
    assert tokyo.s3.open_multipart_uploads() == []


@CLOUDS
def test_a_damaged_part_is_found_and_sent_again(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    side = tokyo.side(root)
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    rule = side.faults.add(Corrupt(5), path=r"a\.svs\?", times=1)
    assert cli.push().code == 0
    assert rule.hits == 1
    assert there(tokyo, root) == contents(cli.source)
    refused = [r for r in side.requests if r.status == 400]
    assert len(refused) == 1


@CLOUDS
def test_urls_that_expire_in_the_middle(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    """The run ends well by itself, and says how much had to be sent again and why."""
    side = tokyo.side(root)
    tree(cli.source, "a.svs", content=os.urandom(6 * PART))
    hold = Hold()
    side.faults.add(hold, path=r"a\.svs\?", after=3, times=1)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        tokyo.expire_urls()
        hold.release()
        result = running.result()
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)
    again = [e for e in result.events if e["event"] == "slide_restarted"]
    assert len(again) == 1
    assert "expired" in again[0]["reason"]
    sent = [part for _, part in side.acknowledged() if part]
    if root == "Blobs":
        # Azure keeps what it has acknowledged: no block goes twice.
        assert len(sent) == len(set(sent))
    else:
        assert again[0]["bytes"] >= 3 * PART


@CLOUDS
def test_a_session_that_ends_before_the_parts_are_put_together(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    method = "CompleteMultipart" if root == "Cloud" else r"transfer/Upload/\d+$"
    rule = tokyo.sandbox.faults.add(EndSessions(), path=method, times=1)
    assert cli.push().code == 0
    assert rule.hits == 1
    assert there(tokyo, root) == contents(cli.source)
    assert tokyo.sandbox.open_sessions == 0


@pytest.mark.parametrize("root", ["Cloud"])
def test_an_answer_to_complete_multipart_that_gets_lost(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    tokyo.sandbox.faults.add(Drop(None), path="CompleteMultipart", times=1)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)
    assert announcements(tokyo) == 1


BROKEN = CannedResponse.aspnet("NoSuchUpload")


@pytest.mark.parametrize("root", ["Cloud"])
def test_complete_multipart_fails_although_it_was_done(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    tokyo.sandbox.faults.add(Drop(None), path="CompleteMultipart", times=1)
    tokyo.sandbox.faults.add(BROKEN, path="CompleteMultipart", after=1)
    result = cli.push(patch=NO_PAUSES)
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)
    assert announcements(tokyo) == 1


@pytest.mark.parametrize("root", ["Cloud"])
def test_complete_multipart_fails_for_a_whole_run(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    tokyo.sandbox.faults.add(BROKEN, path="CompleteMultipart")
    result = cli.push(patch=NO_PAUSES)
    assert result.counts("tokyo") == (0, 0, 1)
    assert "CompleteMultipart" in result.finished("tokyo")["a.svs"]["error"]
    assert there(tokyo, root) == {}
    tokyo.sandbox.faults.clear()
    sent = len(tokyo.s3.acknowledged())
    assert cli.push().code == 0
    assert there(tokyo, root) == contents(cli.source)
    assert len(tokyo.s3.acknowledged()) == sent  # no part was sent again
    assert tokyo.s3.open_multipart_uploads() == []


@pytest.mark.parametrize("root", ["Blobs"])
def test_blocks_that_azure_has_lost(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    """Another commit to the blob discards what was sent: all of it goes again, within the run."""
    side = tokyo.azure
    tree(cli.source, "a.svs", content=os.urandom(4 * PART))
    hold = Hold()
    side.faults.add(hold, path=r"a\.svs\?", after=2, times=1)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.kill()
    hold.release()
    assert side.wait_idle()
    blob = side.client.get_blob_client("in/a.svs")
    blob.upload_blob(b"somebody else", overwrite=True)
    blob.delete_blob()
    result = cli.push()
    assert result.code == 0, result.stdout
    assert there(tokyo, root) == contents(cli.source)


@pytest.mark.parametrize("root", ["Cloud"])
def test_an_old_server_without_multipart(cli: PushCli, cloud_sandbox: StartCloud, root: str) -> None:
    tokyo = cloud_sandbox("old", azure=False, s3_options={"multipart": False})
    cli.site("old", tokyo.sandbox, target="Cloud/in")
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    with (cli.source / "huge.svs").open("wb") as huge:
        huge.write(b"a slide")
        huge.truncate(5 * 1024**3 + 1)
    result = cli.push()
    assert result.code == 1
    error = result.finished("old")["huge.svs"]["error"]
    assert "5.0 GiB" in error
    assert "multipart" in error
    assert set(there(tokyo, root)) == {"a.svs"}
    assert not [r for r in tokyo.s3.requests if "huge" in r.key]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4 here")
@pytest.mark.parametrize(
    ("part", "size", "sites"),
    [(8 * MIB, 32 * MIB, "abc"), (96 * MIB, 96 * MIB + 1, "a")],
    ids=["8 MiB", "96 MiB"],
)
def test_memory_does_not_grow_with_the_parts(
    cli: PushCli,
    cloud_sandbox: StartCloud,
    part: int,
    size: int,
    sites: str,
    record_property: Callable[[str, object], None],
) -> None:
    tokyo = cloud_sandbox("tokyo", azure=False, s3_options={"part_size": part, "multipart_above": part})
    for name in sites:
        cli.site(name, tokyo.sandbox, target=f"Cloud/{name}")
    with (cli.source / "huge.svs").open("wb") as huge:
        huge.write(b"a slide")
        huge.truncate(size)
    result, peak = cli.push_measured()
    assert result.code == 0, result.stdout
    assert tokyo.s3.names() == [f"{name}/huge.svs" for name in sites]
    record_property("figure", f"parts of {part // MIB} MiB to {len(sites)} sites: peak {peak / 1e6:.0f} MB")
    assert peak < 150e6


@CLOUDS
def test_no_secret_of_the_storage_is_seen(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    side = tokyo.side(root)
    tree(cli.source, "a.svs", content=os.urandom(2 * PART))
    side.faults.add(BUSY[root], path=r"a\.svs\?", times=1)
    side.faults.add(Drop(1000), path=r"a\.svs\?", after=1, times=1)
    for options in (["-vv"], ["--json"]):
        result = cli.run("--to", options[0].strip("-"), *options)
        for secret in ("X-Amz-", "sig=", "Signature", "sessionID", "se="):
            assert secret not in result.stdout + result.stderr
    for path in cli.state.rglob("*"):
        if path.is_file():
            assert b"X-Amz-Signature" not in path.read_bytes(), path
            assert b"sig=" not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0


# As at the end of a run over a long way, but for each request: it goes twice at once, and the first there counts.
HEDGES = """
from pmarep.uploaders.transport import hedging
real = hedging.HedgedRequest._offer_hedge
def at_once(self):
    real(self)
    if self.hedge_wanted is not None and len(self._bodies) == 1:
        self.hedge_wanted.set_result(None)
hedging.HedgedRequest._offer_hedge = at_once
"""


@CLOUDS
def test_what_is_sent_twice_at_once_arrives_once(cli: PushCli, tokyo: CloudSandbox, root: str) -> None:
    size = 3 * PART + 1000
    tree(cli.source, *(f"{name}.svs" for name in wild_names()[:2]), content=os.urandom(size))
    tree(cli.source, "in one piece.svs", content=os.urandom(1_000_000))
    result = cli.push("-vv", "--verify", "deep", patch=LatePatch(HEDGES))
    assert result.code == 0, result.stdout
    for raced in (PART, 1_000_000):
        assert f"{raced} bytes are sent once more, over another connection" in result.stderr
    assert result.summary["sites"]["tokyo"]["bytes_sent"] == 2 * size + 1_000_000
    assert there(tokyo, root) == contents(cli.source)
    assert cli.push("--verify", "deep").counts("tokyo") == (0, 3, 0)
