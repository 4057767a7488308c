"""Azure's rules for blocks: ids of one length, at most 50,000, nothing left out."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from pmarep.slides import SlideFile
from pmarep.state.unfinished import LARGEST_BLOCK, SMALLEST_BLOCK, block_size
from pmarep.uploaders.azure import MAX_BLOCKS, _blocks, block_id

SIZES = st.integers(1, 3 * 1024**4)


@given(SIZES)
def test_block_sizes_keep_to_the_limits(size: int) -> None:
    block = block_size(size)
    assert SMALLEST_BLOCK <= block <= LARGEST_BLOCK
    assert block % 1024**2 == 0
    assert -(-size // block) <= MAX_BLOCKS


@given(st.integers(1, 40 * SMALLEST_BLOCK + 1))
def test_blocks_cover_the_file_exactly_once(size: int) -> None:
    at = 0
    for number, (found, start, length) in enumerate(_blocks(SlideFile("a", size, 0))):
        assert (found, start) == (number, at)
        assert 0 < length <= SMALLEST_BLOCK
        at += length
    assert at == size


@given(st.integers(0, MAX_BLOCKS - 1), st.integers(0, 2**40), st.text(max_size=20))
def test_ids_have_one_length_and_belong_to_one_version(number: int, size: int, name: str) -> None:
    file = SlideFile(name, size, 7)
    assert len(block_id(file, number)) == 16
    assert len(base64.b64decode(block_id(file, number))) == len("block_000000")
    assert block_id(file, number) == block_id(SlideFile(name, size, 7), number)
    assert block_id(file, number) != block_id(SlideFile(name, size, 8), number)
    assert block_id(file, number) != block_id(file, number + 1)
