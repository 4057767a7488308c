"""The schema takes what the book takes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pmarep.sites.models import GateTable, HooksTable, SiteTable, SlidesTable
from pmarep.sites.schema import DESCRIPTIONS, GATE_DESCRIPTIONS, HOOKS_DESCRIPTIONS, SLIDES_DESCRIPTIONS, book_schema

jsonschema = pytest.importorskip("jsonschema")
EXAMPLE = tomllib.loads((Path(__file__).parents[3] / "sites.example.toml").read_text(encoding="utf-8"))


def valid(book: dict[str, Any]) -> bool:
    validator = jsonschema.Draft7Validator(book_schema())
    return bool(validator.is_valid(book))


def test_the_schema_is_one_and_takes_the_example() -> None:
    jsonschema.Draft7Validator.check_schema(book_schema())
    assert valid(EXAMPLE)
    assert valid({})


def test_every_key_is_described() -> None:
    assert set(DESCRIPTIONS) == set(SiteTable.model_fields)
    assert set(SLIDES_DESCRIPTIONS) == set(SlidesTable.model_fields)
    assert set(HOOKS_DESCRIPTIONS) == set(HooksTable.model_fields)
    assert set(GATE_DESCRIPTIONS) == set(GateTable.model_fields)


@pytest.mark.parametrize(
    ("site", "good"),
    [
        ({"connections": "auto"}, True), ({"connections": 8}, True), ({"connections": 65}, False),
        ({"connections": "many"}, False), ({"password_command": ["a", "b"]}, True), ({"password_command": "a b"}, True),
        ({"client_cert": "a.pem"}, True), ({"client_cert": ["a.pem", "b.pem"]}, True), ({"timeout": 30}, True),
        ({"timeout": "30"}, False), ({"verify_tls": False}, True), ({"verify_tls": "no"}, False),
        ({"pasword": "x"}, False), ({"require": ["a", "{slide}"]}, True), ({"require": "a {slide}"}, True),
        ({"prepare": []}, True), ({"prepare": 1}, False),
        ({"server": "a", "url": "https://b/"}, False),
    ],
)  # fmt: skip
def test_values(site: dict[str, Any], good: bool) -> None:
    assert valid({"sites": {"a": site}}) == good


@pytest.mark.parametrize(
    "book",
    [
        {"sites": {"a b": {}}},
        {"site": {}},
        {"groups": {"g": "a"}},
        {"include": "x"},
        {"servers": {"a": {"server": "b"}}},
        {"slides": {"enumerate": "ever"}},
        {"slides": {"connections": 4}},
        {"gate": {"cache_size": []}},
        {"gate": {"at_once": 4}},
        {"hooks": {"on_start": 4}},
        {"hooks": {"on_end": "a"}},
    ],
)
def test_other_tables(book: dict[str, Any]) -> None:
    assert not valid(book)
