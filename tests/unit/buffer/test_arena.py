"""The arena of one process: classes, references, magazines, exhaustion, what trim gives back, and the bound that it shares."""

import os
from collections.abc import Iterator

import pytest

from mosn_mp.buffer.arena import Arena, arena_shape
from mosn_mp.buffer.holdings import Holdings, block_counts, holdings_shape
from mosn_mp.buffer.segment import Segment, Shape

SMALL, MIDDLE, LARGE = 4096, 16384, 65536
ROWS = 4


@pytest.fixture
def segment() -> Iterator[Segment]:
    made = Segment.create(arena_shape(4 << 20))
    yield made


@pytest.fixture
def holdings() -> Holdings:
    return Holdings(Segment.create(holdings_shape(4 << 20, ROWS)))


@pytest.fixture
def arena(segment: Segment, holdings: Holdings) -> Arena:
    return Arena(segment, holdings, 0)


def neighbour(holdings: Holdings, row: int) -> Arena:
    """The arena of another worker."""
    return Arena(Segment.create(arena_shape(4 << 20)), holdings, row)


def all_of(arena: Arena, size: int) -> list[int]:
    """As many blocks as there are."""
    return list(iter(lambda: arena.take_block(size), 0))


def resident_blocks(segment: Segment) -> int:
    return os.fstat(segment.fd).st_blocks * 512


@pytest.mark.parametrize(
    ("size", "capacity"), [(0, SMALL), (1, SMALL), (4096, SMALL), (4097, MIDDLE), (16384, MIDDLE), (16385, LARGE), (65536, LARGE)]
)
def test_a_block_is_of_the_smallest_class_that_holds_the_size(arena: Arena, size: int, capacity: int) -> None:
    block = arena.take_block(size)
    assert len(arena.block_view(block)) == capacity
    assert block % 4096 == 0
    assert len(arena.block_view(block + 100)) == capacity - 100


def test_more_than_the_largest_block_is_refused_without_counting_as_exhaustion(arena: Arena) -> None:
    assert arena.take_block(65537) == 0
    assert [u.exhausted for u in arena.usage()] == [0, 0, 0]


def test_blocks_do_not_overlap(arena: Arena) -> None:
    spans = []
    for size in (SMALL, MIDDLE, LARGE):
        while address := arena.take_block(size):
            spans.append((address, address + len(arena.block_view(address))))
    spans.sort()
    assert len(spans) == sum(block_counts(4 << 20))
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))


def test_the_whole_segment_can_be_written_through_its_blocks(arena: Arena) -> None:
    blocks = []
    while address := arena.take_block(SMALL):
        view = arena.block_view(address)
        view[:] = len(blocks).to_bytes(2, "big") * (len(view) // 2)
        blocks.append(address)
    for number, address in enumerate(blocks):
        content = bytes(arena.block_view(address))
        assert content == number.to_bytes(2, "big") * (len(content) // 2)


def test_the_last_drop_frees_the_block(arena: Arena) -> None:
    block = arena.take_block(100)
    arena.hold_block(block + 4095)
    arena.hold_block(block)
    assert arena.block_refs(block) == 3
    arena.drop_block(block)
    arena.drop_block(block + 17)
    assert arena.usage()[0].in_use == 1
    arena.drop_block(block)
    assert arena.block_refs(block) == 0
    assert arena.usage()[0].in_use == 0


def test_a_drop_too_many_is_counted_and_harms_nothing(arena: Arena) -> None:
    block = arena.take_block(100)
    arena.drop_block(block)
    arena.drop_block(block)
    assert arena.misused == 1
    assert arena.take_block(100) != arena.take_block(100)


def test_dropping_null_does_nothing(arena: Arena) -> None:
    arena.drop_block(0)
    assert arena.misused == 0


def test_the_block_used_last_is_the_next_one_taken(arena: Arena) -> None:
    first, second = arena.take_block(MIDDLE), arena.take_block(MIDDLE)
    arena.drop_block(first)
    arena.drop_block(second)
    assert arena.take_block(MIDDLE) == second


def test_blocks_are_taken_from_the_lowest_address(arena: Arena) -> None:
    taken = [arena.take_block(SMALL) for _ in range(4)]
    assert taken == sorted(taken)


def test_a_used_up_class_is_helped_out_by_the_next_larger_one(arena: Arena) -> None:
    small = block_counts(4 << 20)[0]
    blocks = [arena.take_block(SMALL) for _ in range(small)]
    helped = arena.take_block(SMALL)
    assert len(arena.block_view(helped)) == MIDDLE
    assert arena.usage()[0].exhausted == 1
    arena.drop_block(blocks[5])
    assert len(arena.block_view(arena.take_block(SMALL))) == SMALL


def test_an_exhausted_arena_gives_no_block_counts_and_recovers(arena: Arena) -> None:
    blocks = []
    while address := arena.take_block(LARGE):
        blocks.append(address)
    assert arena.take_block(LARGE) == 0
    assert arena.usage()[2].exhausted == 2
    arena.drop_block(blocks.pop())
    assert arena.take_block(LARGE) != 0


def test_usage_counts_what_was_taken_and_given(arena: Arena) -> None:
    blocks = [arena.take_block(MIDDLE) for _ in range(20)]
    for block in blocks[:15]:
        arena.drop_block(block)
    usage = arena.usage()[1]
    assert (usage.block_size, usage.in_use, usage.peak, usage.taken, usage.given) == (MIDDLE, 5, 20, 20, 15)
    assert usage.total == block_counts(4 << 20)[1]
    assert usage.owned >= 5
    assert usage.touched == 20


def test_a_magazine_hoards_no_more_than_a_small_part_of_the_arena(arena: Arena) -> None:
    blocks = [arena.take_block(MIDDLE) for _ in range(100)]
    for block in blocks:
        arena.drop_block(block)
    assert arena.usage()[1].owned <= 100 // 16


@pytest.mark.parametrize("slot", [-1, ROWS])
def test_a_slot_without_a_row_is_refused(segment: Segment, holdings: Holdings, slot: int) -> None:
    with pytest.raises(ValueError, match=f"0 to {ROWS - 1}"):
        Arena(segment, holdings, slot)


def test_an_arena_of_another_size_than_the_bound_is_refused(holdings: Holdings) -> None:
    with pytest.raises(ValueError, match="the bound of all is"):
        Arena(Segment.create(arena_shape(8 << 20)), holdings, 0)


def test_one_worker_may_use_all_if_the_others_do_not(arena: Arena, holdings: Holdings) -> None:
    neighbour(holdings, 1)
    assert len(all_of(arena, LARGE)) == block_counts(4 << 20)[2]
    assert holdings.usage()[2][1:] == (16, 0, 16, 16)


def test_all_together_have_no_more_than_the_arena_but_for_a_first_refill_each(arena: Arena, holdings: Holdings) -> None:
    others = [neighbour(holdings, row) for row in (1, 2)]
    assert len(all_of(arena, LARGE)) == 16
    assert [len(all_of(other, LARGE)) for other in others] == [1, 1], "the first refill is everybody's own"
    assert holdings.usage()[2].free == 0
    assert others[0].usage()[2].exhausted == 1


def test_what_one_worker_gives_back_others_may_take_once_its_memory_went_back(arena: Arena, holdings: Holdings) -> None:
    other = neighbour(holdings, 1)
    taken = all_of(arena, LARGE)
    for block in taken[:8]:
        arena.drop_block(block)
    assert len(all_of(other, LARGE)) == 1, "the memory is still there"
    assert arena.trim() == 6, "others are short: no block but those of the magazine waits to age"
    assert sum(arena.trim() for _ in range(2)) == 2
    assert len(all_of(other, LARGE)) == 7
    assert holdings.usage()[2].touched == 16


def test_a_worker_uses_its_idle_blocks_again_where_no_more_may_be_had(arena: Arena, holdings: Holdings) -> None:
    taken = all_of(arena, LARGE)
    for block in taken[:8]:
        arena.drop_block(block)
    neighbour(holdings, 1).take_block(LARGE)
    assert len(all_of(arena, LARGE)) == 8


@pytest.mark.parametrize("words", [b"\xff" * 64, b"\0" * 64])
def test_whatever_others_write_into_the_rows_one_refill_can_be_had(arena: Arena, holdings: Holdings, words: bytes) -> None:
    held = arena.take_block(MIDDLE)
    holdings.segment.view[: 64 * ROWS] = words * ROWS
    assert arena.take_block(MIDDLE) not in (0, held)
    assert all(use.total >= use.owned >= 0 and use.total >= use.touched >= 0 for use in holdings.usage())
    arena.trim()
    holdings.clear_all_but({0})
    assert [use.owned for use in holdings.usage()] == [use.owned for use in arena.usage()], "each says anew what it holds"
    assert len(all_of(arena, LARGE)) == 16


def test_a_dead_worker_holds_nothing(arena: Arena, holdings: Holdings) -> None:
    dead = neighbour(holdings, 1)
    assert len(all_of(dead, LARGE)) == 16
    assert holdings.owned_by(1) == 16
    holdings.clear(1)
    assert holdings.owned_by(1) == 0
    assert len(all_of(arena, LARGE)) == 16


def test_who_only_looks_cannot_write(holdings: Holdings) -> None:
    looker = Holdings(Segment.attach(holdings.segment.open_to_look(), holdings.segment.shape, is_read_only=True))
    assert looker.usage() == holdings.usage()
    with pytest.raises(ValueError, match="read-only"):
        looker.clear(0)


def test_pages_exist_only_for_blocks_that_were_used(segment: Segment, arena: Arena) -> None:
    before = resident_blocks(segment)
    arena.drop_block(arena.take_block(MIDDLE))
    assert resident_blocks(segment) - before <= MIDDLE + 3 * 4096


def test_trim_gives_the_pages_of_idle_blocks_back_and_the_blocks_stay_usable(segment: Segment, arena: Arena) -> None:
    before = resident_blocks(segment)
    blocks = [arena.take_block(MIDDLE) for _ in range(60)]
    for block in blocks:
        arena.block_view(block)[:] = b"x" * MIDDLE
    assert resident_blocks(segment) - before >= 60 * MIDDLE
    for block in blocks:
        arena.drop_block(block)
    assert arena.trim() == 0  # the magazine was needed a moment ago, and no block has aged
    for _ in range(4):
        arena.trim()
    assert resident_blocks(segment) - before <= 4 * 4096
    assert [u.touched for u in arena.usage()] == [0, 0, 0]
    again = [arena.take_block(MIDDLE) for _ in range(60)]
    assert not any(any(arena.block_view(block)) for block in again)


def test_trim_releases_no_more_pages_a_call_than_it_was_allowed(arena: Arena) -> None:
    blocks = [arena.take_block(MIDDLE) for _ in range(60)]
    for block in blocks:
        arena.drop_block(block)
    assert arena.trim(0) == arena.trim(0) == 0  # they leave the magazine
    assert arena.trim(7) == 0  # they age
    assert arena.trim(7) == 7
    assert arena.trim(0) == 0


def test_trim_leaves_blocks_in_use_alone(arena: Arena) -> None:
    blocks = [arena.take_block(SMALL) for _ in range(20)]
    for block in blocks:
        arena.block_view(block)[:] = b"y" * SMALL
    for _ in range(5):
        arena.trim()
    assert all(bytes(arena.block_view(block)) == b"y" * SMALL for block in blocks)


def test_a_block_used_between_two_trims_keeps_its_pages(segment: Segment, arena: Arena) -> None:
    for _ in range(6):
        block = arena.take_block(MIDDLE)
        arena.block_view(block)[:1] = b"z"
        arena.drop_block(block)
        assert arena.trim() == 0
    assert arena.usage()[1].touched == 1


def test_block_counts_fill_the_segment_without_overflowing_it() -> None:
    for size in (1 << 18, 1 << 20, (1 << 20) + 4096, 3 << 20, 64 << 20, 1 << 30):
        counts = block_counts(size)
        data = sum(n * s for n, s in zip(counts, (SMALL, MIDDLE, LARGE), strict=True))
        assert size * 0.75 <= data <= size


def test_an_arena_too_small_for_a_block_of_each_class_is_refused() -> None:
    with pytest.raises(ValueError, match="256 KiB"):
        block_counts(100_000)


def test_a_segment_of_another_kind_is_refused(holdings: Holdings) -> None:
    with pytest.raises(ValueError, match="kind='metrics'"):
        Arena(Segment.create(Shape("metrics", 1, 4 << 20)), holdings, 0)
