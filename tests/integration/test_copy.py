"""`pmarep copy`: from one PMA.core to sites of all storage kinds, over real sockets, with nothing in between."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.cloud import MIB, SMALL_BLOCKS, CloudSandbox, StartCloud
from support.corpus import write_mirax, write_vsi
from support.fork_server import PATIENCE, LatePatch, start
from support.push_cli import NO_PAUSES, PushCli, Result, Running, arrived, contents
from support.sandboxes import StartSandbox
from support.waiting import until

from pmacore_sandbox import CannedResponse, Corrupt, Drop, EndSessions, Hold, IgnoreRanges, Sandbox
from pmacore_sandbox.asgi_server import bind_socket

WILD = [
    "a & b + c.svs",
    "50% #1 'quoted'.svs",
    "<script>alert(1)</script>.svs".replace("<", "(").replace(">", ")").replace("/", "-"),
    "Müller/Übersicht.svs",
    "日本/スライド.svs",
    "Cafe\u0301.svs",
    "x" * 190 + ".svs",
]


SMALL_SPOOL = "from pmarep.source.place import spool; spool.SMALLEST_SPOOL = 2**24"


class Copier:
    """A book with a source site, and sites to copy to."""

    def __init__(self, cli: PushCli) -> None:
        self.cli = cli

    def arguments(self, *extra: str, place: str = "ghent:2026", command: str = "copy") -> list[str]:
        names = [name for name in self.cli.names if name != "ghent"]
        sites = [] if "--sites" in extra else ["--sites", ",".join(names)]
        folders = ["--config", str(self.cli.book), "--state-dir", str(self.cli.state)]
        return [command, place, *sites, *folders, "--json", *extra]

    def copy(self, *extra: str, place: str = "ghent:2026", command: str = "copy", patch: str = "") -> Result:
        with self.start(*extra, place=place, command=command, patch=patch) as running:
            return running.result()

    def start(self, *extra: str, place: str = "ghent:2026", command: str = "copy", patch: str = "") -> Running:
        arguments = self.arguments(*extra, place=place, command=command)
        return Running(start(arguments, self.cli.environment, patch=LatePatch(f"{SMALL_BLOCKS}\n{patch}")))


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def ghent(cli: PushCli, start_sandbox: StartSandbox) -> Sandbox:
    ghent = start_sandbox("ghent")
    cli.site("ghent", ghent, target="Slides")
    (ghent.data / "Slides" / "2026").mkdir()
    return ghent


@pytest.fixture
def copier(cli: PushCli, ghent: Sandbox) -> Copier:
    return Copier(cli)


def folder(ghent: Sandbox) -> Path:
    return ghent.data / "Slides" / "2026"


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def downloads(ghent: Sandbox) -> int:
    return sum(request.path.startswith("transfer/Download") for request in ghent.requests)


def in_bucket(tokyo: CloudSandbox, root: str) -> dict[str, bytes]:
    return {name.removeprefix("in/"): content for name, content in tokyo.side(root).objects().items()}


def test_to_all_kinds_of_storage_each_byte_once(
    copier: Copier, ghent: Sandbox, cloud_sandbox: StartCloud, start_sandbox: StartSandbox
) -> None:
    tokyo, boston = cloud_sandbox("tokyo", s3_options={"part_size": MIB}), start_sandbox("boston")
    copier.cli.site("tokyo", tokyo.sandbox, target="Cloud/in")
    copier.cli.site("saopaulo", tokyo.sandbox, target="Blobs/in")
    copier.cli.site("boston", boston)
    for number, name in enumerate(WILD):
        write(folder(ghent) / name, 1000 * number + 1)
    write(folder(ghent) / "large.svs", 2 * MIB + 17)
    write_mirax(folder(ghent) / "cases" / "m.mrxs", data_files=5, data_size=MIB // 4)
    write_vsi(folder(ghent) / "n.vsi")
    there = contents(folder(ghent))
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert in_bucket(tokyo, "Cloud") == in_bucket(tokyo, "Blobs") == arrived(boston) == there
    assert result.summary["bytes_downloaded"] == sum(map(len, there.values()))
    assert [result.counts(site) for site in ("tokyo", "saopaulo", "boston")] == [(len(WILD) + 3, 0, 0)] * 3
    again = copier.copy()
    assert [again.counts(site) for site in ("tokyo", "saopaulo", "boston")] == [(0, len(WILD) + 3, 0)] * 3
    assert again.summary["bytes_downloaded"] == 0


def test_where_ranges_are_ignored_each_file_comes_once(
    copier: Copier, ghent: Sandbox, cloud_sandbox: StartCloud, start_sandbox: StartSandbox
) -> None:
    tokyo, boston = cloud_sandbox("tokyo", azure=False, s3_options={"part_size": MIB}), start_sandbox("boston")
    copier.cli.site("tokyo", tokyo.sandbox, target="Cloud/in")
    copier.cli.site("boston", boston)
    for name, size in (("a.svs", 17 * MIB), ("b.svs", 3 * MIB)):
        write(folder(ghent) / name, size + 3)
    ghent.faults.add(IgnoreRanges(), path="transfer/Download")
    there = contents(folder(ghent))
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert in_bucket(tokyo, "Cloud") == arrived(boston) == there
    assert result.summary["bytes_downloaded"] == sum(map(len, there.values()))


def test_downloads_that_break_off_and_sessions_that_end(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox
) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    for number in range(4):
        write(folder(ghent) / f"{number}.svs", 3 * MIB)
    ghent.faults.add(Drop(after_bytes=MIB), method="GET", path="transfer/Download", times=3)
    ghent.faults.add(CannedResponse(503), method="GET", path="transfer/Download", times=2)
    ghent.faults.add(EndSessions(), method="GET", path="transfer/Download", times=1)
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert arrived(boston) == contents(folder(ghent))
    assert result.summary["bytes_downloaded"] <= 15 * MIB


def test_a_damaged_part_is_sent_again_from_the_spool(copier: Copier, ghent: Sandbox, cloud_sandbox: StartCloud) -> None:
    tokyo = cloud_sandbox("tokyo", azure=False, s3_options={"part_size": MIB})
    copier.cli.site("tokyo", tokyo.sandbox, target="Cloud/in")
    write(folder(ghent) / "a.svs", 4 * MIB)
    tokyo.s3.faults.add(Corrupt(1000), method="PUT", path="partNumber=2", times=1)
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert in_bucket(tokyo, "Cloud") == contents(folder(ghent))
    assert result.summary["bytes_downloaded"] == 4 * MIB


def test_a_slide_that_changes_meanwhile_is_left_for_the_next_run(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox
) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    write(folder(ghent) / "a.svs", 5 * MIB)
    write(folder(ghent) / "b.svs", 100)
    hold = Hold()
    ghent.faults.add(hold, path="transfer/Download.*a.svs", after=1)  # 2 MiB come
    with copier.start() as running:
        assert hold.reached.wait(PATIENCE)
        write(folder(ghent) / "a.svs", 5 * MIB)
        os.utime(folder(ghent) / "a.svs", (1, 1))
        hold.release()
        result = running.result()
    assert result.code == 1
    assert result.counts("boston") == (1, 0, 1)
    assert "changed while being sent" in result.finished("boston")["a.svs"]["error"]
    assert set(arrived(boston)) == {"b.svs"}
    assert copier.copy().counts("boston") == (1, 1, 0)
    assert arrived(boston) == contents(folder(ghent))


@pytest.mark.parametrize("root", ["Cloud", "Blobs"], ids=["s3", "azure"])
def test_what_changed_after_its_last_byte_came_does_not_become_visible(
    copier: Copier, ghent: Sandbox, cloud_sandbox: StartCloud, root: str
) -> None:
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": MIB})
    copier.cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    write(folder(ghent) / "a.svs", 3 * MIB)
    hold, side = Hold(), tokyo.side(root)
    side.faults.add(hold, method="PUT", path="partNumber=|comp=block&", after=2)
    with copier.start() as running:
        assert hold.reached.wait(PATIENCE)
        os.utime(folder(ghent) / "a.svs", (1, 1))
        hold.release()
        result = running.result()
    assert result.code == 1
    assert "changed while being sent" in result.finished("tokyo")["a.svs"]["error"]
    assert in_bucket(tokyo, root) == {}
    assert not any(r.method == "POST" for r in side.requests)  # of S3: the parts are put together
    assert not any(r.part == "blocklist" for r in side.requests if r.method == "PUT")


def test_only_what_one_site_lacks_is_downloaded(copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox) -> None:
    boston, leeds = start_sandbox("boston"), start_sandbox("leeds")
    copier.cli.site("boston", boston)
    copier.cli.site("leeds", leeds)
    for name in ("a.svs", "b.svs"):
        write(folder(ghent) / name, MIB)
    assert copier.copy("--sites", "boston").code == 0
    (boston.data / "Slides" / "in" / "b.svs").unlink()
    result = copier.copy("--sites", "boston", "--fresh", "--recheck", "1s")
    assert result.summary["bytes_downloaded"] == MIB
    result = copier.copy("--sites", "boston,leeds")
    assert result.counts("leeds") == (2, 0, 0)
    assert result.summary["bytes_downloaded"] == 2 * MIB


def test_slides_of_a_place_are_filtered_and_refusals_are_reported(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox
) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    for name in ("a.svs", "old/b.svs", "c.svs"):
        write(folder(ghent) / name, 1000)
    os.utime(folder(ghent) / "c.svs", (1_000_000_000, 1_000_000_000))
    ghent.faults.add(
        CannedResponse.refusal("not yours"),
        path="api/json/GetFilenames.*a.svs",
    )
    result = copier.copy("--exclude", "old/", "--newer-than", "7d")
    assert result.code == 1
    assert result.counts("boston") == (0, 0, 0)
    (problem,) = [event for event in result.events if event["event"] == "source_problem"]
    assert problem["path"] == "a.svs"
    assert "not yours" in problem["detail"]
    assert result.summary["source"]["reasons"] == {"excluded": 2, "unreadable": 1}


@pytest.mark.parametrize(
    ("place", "extra", "words"),
    [
        ("ghent:2027", (), 'there is no folder or slide "2027"'),
        ("nowhere:2026", (), "nowhere"),
        ("cases", (), "is no place at a site"),
        ("ghent:2026", ("--to", "../x"), ".."),
        ("ghent:2026", ("--spool-size", "1M"), "the spool needs"),
        ("ghent:2026", ("--spool", "/no/such/folder"), "cannot put the spool in"),
    ],
)
def test_bad_input(copier: Copier, start_sandbox: StartSandbox, place: str, extra: tuple[str, ...], words: str) -> None:
    copier.cli.site("boston", start_sandbox("boston"))
    result = copier.copy(*extra, place=place)
    assert result.code == 2, result.stdout
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_dry_run_makes_nothing(copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox) -> None:
    write(folder(ghent) / "a.svs", 1000)
    copier.cli.site("boston", start_sandbox("boston"))
    result = copier.copy("--dry-run")
    assert result.code == 0, result.stdout
    assert [event["slide"] for event in result.events if event["event"] == "slide_planned"] == ["a.svs"]
    assert not copier.cli.state.exists()


def test_not_onto_itself_and_not_with_files_of_this_machine(copier: Copier, ghent: Sandbox, tmp_path: Path) -> None:
    write(folder(ghent) / "a.svs", 1000)
    copier.cli.site("again", ghent, target="Slides")
    result = copier.copy()
    assert result.code == 2
    assert "overlap at one server" in result.stderr
    result = copier.copy("--at-all-sites", str(tmp_path / "list"), command="push")
    assert result.code == 2
    assert "--at-all-sites" in result.stderr
    result = copier.copy(str(tmp_path), "--to", "else", command="push")
    assert result.code == 2
    assert "cannot be sent in one run" in result.stderr


def test_another_folder_of_the_same_server_in_one_session(copier: Copier, ghent: Sandbox) -> None:
    write(folder(ghent) / "a.svs", 1000)
    (ghent.data / "Slides" / "in").mkdir()
    copier.cli.site("again", ghent, target="Slides/in")
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert arrived(ghent) == contents(folder(ghent))
    assert sum("authenticate" in r.path.lower() and "deauth" not in r.path.lower() for r in ghent.requests) == 1
    assert sum("deauthenticate" in r.path.lower() for r in ghent.requests) == 1


def test_a_wrong_password_of_the_source(copier: Copier, start_sandbox: StartSandbox) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    copier.cli.environment["PMAREP_PASSWORD_GHENT"] = "wrong"
    result = copier.copy()
    assert result.code == 1
    assert "Traceback" not in result.stderr
    assert "wrong" not in result.stdout + result.stderr
    assert not boston.requests


def test_it_logs_out_of_the_source_whatever_ends_it(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox
) -> None:
    boston, hold = start_sandbox("boston"), Hold()
    copier.cli.site("boston", boston)
    boston.faults.add(hold, path=r"\?path=")
    write(folder(ghent) / "a.svs", MIB)
    assert copier.copy(place="ghent:none").code == 2
    with copier.start() as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        assert running.result().code == 130
    sessions = ["deauthenticate" in r.path.lower() for r in ghent.requests if "authenticate" in r.path.lower()]
    assert sessions == [False, True, False, True]


def test_push_and_verify_take_places_too(copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    write(folder(ghent) / "a.svs", 1000)
    assert copier.copy(command="push").counts("boston") == (1, 0, 0)
    assert copier.copy("--level", "deep", command="verify").code == 0
    (boston.data / "Slides" / "in" / "a.svs").write_bytes(bytes(1000))
    assert copier.copy("--level", "deep", command="verify").code == 1


def test_the_place_stands_in_record_status_and_audit(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    copier.cli.site("boston", start_sandbox("boston"))
    write(folder(ghent) / "a.svs", 1000)
    audit, report = tmp_path / "audit.jsonl", tmp_path / "report.json"
    assert copier.copy("--audit", str(audit), "--report", str(report)).code == 0
    (line,) = map(json.loads, audit.read_text().splitlines())
    assert line["source"] == "ghent:/Slides/2026"
    assert line["files"][0]["sha256"]
    assert json.loads(report.read_text())["runs"][0]["sources"] == ["ghent:2026"]
    assert list(copier.cli.state.glob("*spool*")) == []


def journaled(copier: Copier) -> set[tuple[str, int]]:
    """Files and parts that the journal knows to be acknowledged."""
    with closing(sqlite3.connect(copier.cli.state / "journal.sqlite", timeout=30)) as journal:
        return set(journal.execute("SELECT file, number FROM part"))


@pytest.mark.parametrize("root", ["Cloud", "Blobs"], ids=["s3", "azure"])
def test_killed_it_goes_on_part_by_part(copier: Copier, ghent: Sandbox, cloud_sandbox: StartCloud, root: str) -> None:
    parts = 6
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": MIB})
    copier.cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    write(folder(ghent) / "a.svs", parts * MIB)
    hold = Hold()
    side = tokyo.side(root)
    side.faults.add(hold, method="PUT", path="partNumber=|comp=block&", after=4)
    with copier.start("--connections", "2") as running:
        assert hold.reached.wait(PATIENCE)
        until(lambda: len(journaled(copier)) >= 4)
        running.kill()
    hold.release()
    assert side.wait_idle()
    known = journaled(copier)
    before = len(side.requests)
    assert list(copier.cli.state.glob("*spool*")) == []
    result = copier.copy()
    assert result.code == 0, result.stdout
    assert in_bucket(tokyo, root) == contents(folder(ghent))
    again = {r.part for r in side.requests[before:] if r.method == "PUT" and r.part not in ("", "blocklist")}
    assert len(again) == parts - len(known)
    assert result.summary["bytes_downloaded"] == (parts - len(known)) * MIB
    assert result.finished("tokyo")["a.svs"]["resumed_bytes"] == len(known) * MIB


def test_a_source_that_is_away_for_a_while(copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox) -> None:
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    write(folder(ghent) / "a.svs", 2 * MIB)
    write(folder(ghent) / "b.svs", 2 * MIB)
    away = ghent.faults.add(CannedResponse.iis(503), path="transfer/Download|GetFilenames|GetVersionInfo", after=3)
    with copier.start("--patience", "5m", patch=NO_PAUSES) as running:
        running.wait_for(lambda event: event["event"] == "site_state" and event["state"] == "paused")
        ghent.faults.remove(away)
        result = running.result()
    assert result.code == 0, result.stdout
    assert arrived(boston) == contents(folder(ghent))
    paused = next(event for event in result.events if event.get("state") == "paused")
    assert "ghent:/Slides/2026/" in paused["reason"]


def test_a_slow_site_and_a_small_spool(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick one is not held up, the slow one gets everything; what it needs again is counted."""
    boston = start_sandbox("boston")

    def bind_and_buffer_little(host: str, port: int) -> socket.socket:
        """As most of a slide would else be sent to a server that reads nothing."""
        listener = bind_socket(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        return listener

    monkeypatch.setattr("pmacore_sandbox.server.bind_socket", bind_and_buffer_little)
    leeds = start_sandbox("leeds")
    copier.cli.site("boston", boston)
    copier.cli.site("leeds", leeds, timeout=2 * PATIENCE)
    for number in range(12):
        write(folder(ghent) / f"{number:02}.svs", 3 * MIB)
    hold = Hold()
    leeds.faults.add(hold, method="POST", path=r"\?path=.*svs")
    with copier.start("--spool-size", "16M", patch=SMALL_SPOOL) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished" and event["site"] == "boston", 12)
        hold.release()
        result = running.result()
    assert result.code == 0, result.stdout
    assert arrived(boston) == arrived(leeds) == contents(folder(ghent))
    assert 36 * MIB < result.summary["bytes_downloaded"] < 70 * MIB  # the spool keeps some for the slow one


def test_what_came_from_another_source_has_not_changed(
    copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox
) -> None:
    """A slide has other times at each source: what was pushed from a disk is there, not changed and not sent again."""
    boston = start_sandbox("boston")
    copier.cli.site("boston", boston)
    write(copier.cli.source / "a.svs", 1000)
    assert copier.cli.push("--sites", "boston").code == 0
    shutil.copyfile(copier.cli.source / "a.svs", folder(ghent) / "a.svs")
    for extra in ((), ("--existing", "overwrite")):
        result = copier.copy(*extra)
        assert result.counts("boston") == (0, 1, 0)
        assert result.summary["sites"]["boston"]["changed"] == 0
    os.utime(folder(ghent) / "a.svs", (1, 1))
    assert copier.cli.push("--sites", "boston").counts("boston") == (0, 1, 0)


def test_it_is_shown_to_people(copier: Copier, ghent: Sandbox, start_sandbox: StartSandbox) -> None:
    copier.cli.site("boston", start_sandbox("boston"))
    write(folder(ghent) / "a.svs", 1000)
    arguments = [word for word in copier.arguments() if word != "--json"]
    with Running(start(arguments, copier.cli.environment)) as running:
        result = running.result()
    assert result.code == 0
    assert result.lines[-2:] == ["1000 B came from the source", "every slide is at every site"]
