"""What stays in memory for other sites, and never too much of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pmarep.source import FileVersion
from pmarep.source.cache import ChunkCache, Key

FILE = FileVersion("a.svs", 1_000_000, 1)
SIZE = 10


def key(index: int) -> Key:
    return FILE, index


def take(chunks: ChunkCache, index: int, site: int) -> None:
    chunks.mark_sent(key(index), site, SIZE, SIZE)


def test_a_chunk_stays_until_every_site_has_had_it() -> None:
    chunks = ChunkCache(100)
    sites = [chunks.add_site() for _ in range(3)]
    chunks.put(key(0), b"0123456789")
    for site in sites:
        assert chunks.get(key(0)) == b"0123456789"
        take(chunks, 0, site)
    assert chunks.get(key(0)) is None
    assert chunks.held == 0


def test_a_site_that_leaves_is_waited_for_no_longer() -> None:
    chunks = ChunkCache(100)
    fast, slow = chunks.add_site(), chunks.add_site()
    chunks.put(key(0), bytes(SIZE))
    take(chunks, 0, fast)
    chunks.remove_site(slow)
    assert chunks.held == 0


def test_the_edge_of_two_parts_stays_until_both_have_had_it() -> None:
    chunks = ChunkCache(100)
    site = chunks.add_site()
    chunks.put(key(0), bytes(SIZE))
    chunks.mark_sent(key(0), site, 4, SIZE)
    assert chunks.get(key(0)) is not None
    chunks.mark_sent(key(0), site, 6, SIZE)
    assert chunks.get(key(0)) is None


def test_the_longest_untouched_goes_first() -> None:
    chunks = ChunkCache(3 * SIZE)
    chunks.add_site(), chunks.add_site()
    for index in range(3):
        chunks.put(key(index), bytes(SIZE))
    chunks.get(key(0))
    chunks.put(key(3), bytes(SIZE))
    assert [index for index in range(4) if chunks.get(key(index))] == [0, 2, 3]


def test_reads_of_a_slow_site_drop_no_chunks_of_others() -> None:
    chunks = ChunkCache(2 * SIZE)
    fast, _other, slow = chunks.add_site(), chunks.add_site(), chunks.add_site()
    for site in (fast, _other):
        take(chunks, 0, site)
    for index in (5, 6):
        chunks.put(key(index), bytes(SIZE))
    chunks.put(key(0), bytes(SIZE))
    assert chunks.get(key(0)) is None
    assert chunks.get(key(5))
    assert chunks.get(key(6))
    take(chunks, 0, slow)


def test_pinned_chunks_stay_until_a_first_site_has_sent_them() -> None:
    chunks = ChunkCache(3 * SIZE)
    first, _second = chunks.add_site(), chunks.add_site()
    assert chunks.pin([(key(0), SIZE), (key(1), SIZE)])
    assert chunks.held == 2 * SIZE
    for index in (0, 1, 7, 8, 9):
        chunks.put(key(index), bytes(SIZE))
    assert chunks.get(key(0))
    assert chunks.get(key(1))
    assert not chunks.pin([(key(3), SIZE), (key(4), SIZE)])
    take(chunks, 0, first)
    take(chunks, 1, first)
    assert chunks.pin([(key(3), SIZE), (key(4), SIZE)])


def test_a_slow_site_does_not_keep_all_room_for_itself() -> None:
    chunks = ChunkCache(2 * SIZE)
    _slow, _fast = chunks.add_site(), chunks.add_site()
    assert chunks.pin([(key(0), SIZE), (key(1), SIZE)])
    chunks.put(key(0), bytes(SIZE))
    chunks.put(key(1), bytes(SIZE))
    for index in range(40):
        chunks.put(key(100 + index), bytes(SIZE))
    assert chunks.pin([(key(3), SIZE)])


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30))
def test_a_pin_that_fails_changes_nothing(before: list[tuple[int, bool]]) -> None:
    chunks = ChunkCache(5 * SIZE)
    chunks.add_site(), chunks.add_site()
    for index, pinned in before:
        if pinned:
            chunks.pin([(key(index), SIZE)])
        chunks.put(key(index), bytes(SIZE))
    held, there = chunks.held, [index for index in range(10) if chunks.get(key(index))]
    assert not chunks.pin([(key(index), SIZE) for index in range(20, 26)])
    assert (chunks.held, [index for index in range(10) if chunks.get(key(index))]) == (held, there)


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens: what is found is right, and memory is bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks = ChunkCache(5 * SIZE)
        self.sites: list[int] = []

    @rule()
    def join(self) -> None:
        self.sites.append(self.chunks.add_site())

    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        if self.sites:
            self.chunks.remove_site(self.sites.pop(which % len(self.sites)))

    @rule(index=st.integers(0, 9))
    def put(self, index: int) -> None:
        self.chunks.put(key(index), bytes([index]) * SIZE)

    @rule(which=st.integers(0, 9), index=st.integers(0, 9), count=st.sampled_from([3, 7, SIZE]))
    def take(self, which: int, index: int, count: int) -> None:
        if self.sites:
            self.chunks.mark_sent(key(index), self.sites[which % len(self.sites)], count, SIZE)

    @rule(first=st.integers(0, 9), count=st.integers(0, 6))
    def pin(self, first: int, count: int) -> None:
        self.chunks.pin([(key(index), SIZE) for index in range(first, first + count)])

    @rule(first=st.integers(0, 9), count=st.integers(0, 6))
    def unpin(self, first: int, count: int) -> None:
        self.chunks.unpin(key(index) for index in range(first, first + count))

    @invariant()
    def bounded_and_right(self) -> None:
        assert 0 <= self.chunks.held <= self.chunks.bound
        there = [index for index in range(16) if self.chunks.get(key(index)) is not None]
        assert SIZE * len(there) <= self.chunks.held
        assert all(self.chunks.get(key(index)) == bytes([index]) * SIZE for index in there)

    def teardown(self) -> None:
        self.chunks.unpin(key(index) for index in range(20))
        for site in self.sites:
            self.chunks.remove_site(site)
        assert self.chunks.held == 0


TestAnyOrder = AnyOrder.TestCase
