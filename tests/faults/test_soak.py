"""A short soak, so that `make soak`, the long one, works when it is wanted."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
from support import fault_kinds

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"
CYCLES = 1


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch, moto_url: str, azurite_url: str) -> ModuleType:
    """The program, with the emulators that other tests have, too."""
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "soak", module)  # its data classes look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "moto", lambda **_: nullcontext(moto_url))
    monkeypatch.setattr(module, "azurite", lambda: nullcontext(azurite_url))
    return module


@pytest.mark.slow
def test_a_cycle(
    tmp_path: Path,
    soak: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    options = ["--cycles", str(CYCLES), "--seed", str(fault_kinds.seed(15)), "--dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(SOAK), *options])
    code = soak.main()
    output = capsys.readouterr()
    assert code == 0, output
    figure = output.out.strip().rpartition("\n")[2]
    record_property("figure", f"soak: {figure}")
    assert "byte-identical" in figure
