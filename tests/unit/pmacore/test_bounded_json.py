"""What a server says may not take much more memory than it has bytes."""

from __future__ import annotations

import json
import tracemalloc

import httpx
import pytest
from support.scripted_core import ScriptedCore

from pmarep.pmacore import ProtocolError, bounded_json
from pmarep.pmacore.bounded_json import MAX_OBJECTS, MAX_RESPONSE_BYTES, MAX_VALUES, parse_json


@pytest.mark.parametrize("unit", ["{},", "[],", '{"a":0},', '{"path":"a","size":1},', "0,", '"ab",'])
async def test_an_answer_of_very_many_things(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    """64 MiB of `{},` took 1.8 GB."""
    monkeypatch.setattr(bounded_json, "MAX_VALUES", 100_000)  # counting traced strings takes long
    content = b"[" + (unit * (MAX_RESPONSE_BYTES // 2 // len(unit)))[:-1].encode() + b"]"
    tracemalloc.start()
    try:
        async with ScriptedCore(GetFilenames=httpx.Response(200, content=content)).core() as core:
            with pytest.raises(ProtocolError, match="more in it than"):
                await core.slide_files("Slides/a.svs")
        assert tracemalloc.get_traced_memory()[1] < 6 * len(content)
    finally:
        tracemalloc.stop()


def test_the_largest_plausible_answers_are_parsed() -> None:
    listing = [f"Slides/Surname, A. ({number})/präparat {number}.svs" for number in range(200_000)]
    assert parse_json(json.dumps(listing).encode(), "x") == listing
    files = [{"Path": f"Slides/a/Data{number}.dat", "Size": number, "LastModified": "x"} for number in range(100_000)]
    assert parse_json(json.dumps(files).encode(), "x") == files
    outlines = [{"Geometry": f"POLYGON(({'1 2,' * 200}{number} 0))", "Notes": 'a "b", \\'} for number in range(10_000)]
    assert parse_json(json.dumps(outlines).encode(), "x") == outlines
    assert 3 * len(files) < MAX_VALUES
    assert len(files) < MAX_OBJECTS


def test_a_string_without_an_end_is_looked_through_once() -> None:
    """A megabyte of it took hours, in which nothing else went on."""
    with pytest.raises(ValueError, match="Unterminated string"):
        parse_json(b'["' + b"," * (MAX_VALUES + 1) + b'\\"' * 500_000, "x")
