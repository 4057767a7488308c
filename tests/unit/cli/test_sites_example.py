"""`pmarep sites example` prints the book of the sources, which is in the wheel too."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pmarep.cli.sites.example import NAME, example

ROOT = Path(__file__).parents[3]


def test_it_prints_the_example_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    example()
    assert capsys.readouterr().out == (ROOT / NAME).read_text("utf-8")


def test_the_wheel_has_it_in_the_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["force-include"] == {NAME: f"pmarep/{NAME}"}
