"""PMA.start is only asked where it is ours: another user at its port is told nothing."""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.pma_start import pma_start

from pmarep.slides import port_owner as port_owner_module
from pmarep.slides.folder import Folder
from pmarep.slides.pma_start import PmaStart
from pmarep.slides.port_owner import PortOwner, port_owner
from pmarep.slides.port_owner_windows import V4, V6, pids_in

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="of Linux' tables")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(port: int, uid: int, state: str = "0A", address: str = "0100007F") -> str:
    zeros = "00000000:00000000 00:00000000 00000000"
    return f"   0: {address}:{port:04X} 00000000:0000 {state} {zeros}  {uid}   0 1 1 0 100\n"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two empty ones; we are user 1000."""
    found = tmp_path / "tcp", tmp_path / "tcp6"
    for table in found:
        table.write_text(HEAD)
    monkeypatch.setattr(port_owner_module, "TABLES", tuple(map(str, found)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return found


@linux_only
@pytest.mark.parametrize(
    ("four", "six", "who"),
    [
        ([], [], PortOwner.NOBODY),
        ([row(54001, 1000)], [], PortOwner.TRUSTED),
        ([row(54001, 0)], [row(54001, 1000)], PortOwner.TRUSTED),
        ([row(54001, 1001)], [], PortOwner.OTHER_USER),
        ([row(54001, 1000)], [row(54001, 1001, address="0" * 32)], PortOwner.OTHER_USER),  # who knows which answers
        ([row(54002, 1001), row(54001, 1001, "01")], [], PortOwner.NOBODY),  # another port; a connection
        (["nonsense\n"], [], PortOwner.UNKNOWN),
    ],
)
def test_the_owner_on_linux(tables: tuple[Path, Path], four: list[str], six: list[str], who: PortOwner) -> None:
    tables[0].write_text(HEAD + "".join(four))
    tables[1].write_text(HEAD + "".join(six))
    assert port_owner(54001) is who


@linux_only
def test_without_tables_nobody_knows(tables: tuple[Path, Path]) -> None:
    tables[1].unlink()  # a kernel without IPv6
    assert port_owner(54001) is PortOwner.NOBODY
    tables[0].unlink()
    assert port_owner(54001) is PortOwner.UNKNOWN


@linux_only
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_real_one(address: str) -> None:
    try:
        server = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        port = server.getsockname()[1]
        assert port_owner(port) is PortOwner.TRUSTED
    assert port_owner(port) is PortOwner.NOBODY


def test_elsewhere_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert port_owner(54001) is PortOwner.UNKNOWN


def test_the_owner_on_windows() -> None:
    """Rows of MIB_TCPROW_OWNER_PID and MIB_TCP6ROW_OWNER_PID, written as iprtrmib.h has them."""

    def port(number: int) -> bytes:
        return struct.pack(">H", number) + b"\xaa\xaa"  # the upper half may hold anything

    four = [
        struct.pack("<I4s4s4s4sI", 2, b"\x7f\0\0\1", port(p), b"", port(0), pid) for p, pid in ((54001, 7), (80, 8))
    ]
    assert pids_in(struct.pack("<I", 2) + b"".join(four) + b"room", V4, 54001) == [7]
    six = struct.pack("<16sI4s16sI4sII", b"\0" * 15 + b"\1", 0, port(54001), b"", 0, port(0), 2, 9)
    assert pids_in(struct.pack("<I", 1) + six, V6, 54001) == [9]
    assert pids_in(struct.pack("<I", 0), V6, 54001) == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-in reads POSIX paths")
@pytest.mark.parametrize("who", [PortOwner.OTHER_USER, PortOwner.UNKNOWN, PortOwner.NOBODY])
def test_another_users_program_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, who: PortOwner
) -> None:
    tree(tmp_path, "Meier, Anna.zzz")
    folder = Folder(str(tmp_path))
    with pma_start() as helper:
        monkeypatch.setattr("pmarep.slides.pma_start.port_owner", lambda _: who)
        with PmaStart(helper.url) as ours:
            for _ in range(2):
                assert ours.lookup(folder, ["Meier, Anna.zzz"]) == {}
        assert helper.asked == []
        warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == (who is PortOwner.OTHER_USER)
        with PmaStart(helper.url, trust_anybody=True) as ours:
            assert list(ours.lookup(folder, ["Meier, Anna.zzz"])) == ["Meier, Anna.zzz"]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in reads POSIX paths")
def test_the_owner_is_asked_for_before_each_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/x.zzz", "b/y.zzz")
    who = [PortOwner.TRUSTED]
    monkeypatch.setattr("pmarep.slides.pma_start.port_owner", lambda _: who[0])
    with pma_start() as helper, PmaStart(helper.url) as ours:
        assert list(ours.lookup(Folder(str(tmp_path / "a")), ["x.zzz"])) == ["x.zzz"]
        count = len(helper.asked)
        who[0] = PortOwner.OTHER_USER
        assert ours.lookup(Folder(str(tmp_path / "b")), ["y.zzz"]) == {}
        assert len(helper.asked) == count
