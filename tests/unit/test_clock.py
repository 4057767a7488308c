"""The clock that runs measure with."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from pmarep import clock as clock_module
from pmarep.clock import Clock


def test_the_clock_moves_where_the_monotonic_clock_goes_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows before Python 3.13."""
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(monotonic=lambda: 5.0, perf_counter=time.perf_counter))
    clock = Clock()
    began = clock.monotonic()
    time.sleep(0.001)
    assert 0 < clock.monotonic() - began < 5
