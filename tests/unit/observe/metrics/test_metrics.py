"""Rows of counters: one writer per row, sums, histograms, what happens when a process dies."""

import os
import re
from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mosn_mp.observe.metrics.cells
from mosn_mp.buffer.segment import Segment
from mosn_mp.observe.metrics.cells import BLOCKS, BOUNDS_US, DOWNSTREAM, HISTOGRAM_CELLS, HISTOGRAM_SUM, UPSTREAM, WORKER
from mosn_mp.observe.metrics.metrics import PAGE_CELLS, Metrics, cell_of_status, metrics_shape, observe_into

DECLARED = Path(mosn_mp.observe.metrics.cells.__file__).with_name("metrics.pxd").read_text()


def declared_constants() -> dict[str, int]:
    """The enums of metrics.pxd, counted as C counts them."""
    found = {}
    for body in re.findall(r"^cdef enum:\n((?:    .*\n)+)", DECLARED, re.M):
        at = 0
        for name, value in re.findall(r"^    ([A-Z0-9_]+)(?: = (\d+))?", body, re.M):
            at = int(value) if value else at
            found[name] = at
            at += 1
    return found


def test_the_table_of_cells_and_the_c_constants_are_the_same() -> None:
    declared = declared_constants()
    described = {cell.constant: cell.at for block in BLOCKS.values() for cell in block.cells}
    sizes = {"D_CELLS": DOWNSTREAM.size, "U_CELLS": UPSTREAM.size, "W_CELLS": WORKER.size}
    histogram = {"BUCKETS": len(BOUNDS_US) + 1, "HISTOGRAM_SUM": HISTOGRAM_SUM, "HISTOGRAM_CELLS": HISTOGRAM_CELLS}
    assert described | sizes | histogram == declared


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: block.type)
def test_cells_of_a_block_do_not_overlap_and_fill_whole_cache_lines(block: mosn_mp.observe.metrics.cells.Block) -> None:
    taken: list[int] = []
    for cell in block.cells:
        taken.extend(range(cell.at, cell.at + (HISTOGRAM_CELLS if cell.kind == "histogram" else 1)))
    assert len(set(taken)) == len(taken)
    assert max(taken) < block.size
    assert block.size % 8 == 0
    assert len({cell.key for cell in block.cells}) == len(block.cells)


def test_a_key_of_mosn_finds_its_cell() -> None:
    assert DOWNSTREAM.cell("request_404_total").constant == "D_REQUEST_404"
    with pytest.raises(KeyError, match="no key 'request_405_total'"):
        DOWNSTREAM.cell("request_405_total")


def made(rows: int, listeners: int = 1, hosts: int = 1) -> Metrics:
    return Metrics(Segment.create(metrics_shape(rows, listeners, hosts)))


def memory(metrics: Metrics) -> int:
    """Bytes behind the rows."""
    return os.fstat(metrics.segment.fd).st_blocks * 512


def test_sums_add_up_the_rows_and_a_negative_part_is_a_connection_that_moved() -> None:
    metrics = made(3)
    metrics.add(0, 40, 5)
    metrics.add(1, 40, -2)
    metrics.add(2, 41)
    assert metrics.sums(40, 2) == [3, 1]
    assert metrics.row(0, 40, 2) == [5, 0]
    metrics.add(1, 40, -4)
    assert metrics.sums(40, 1) == [2**64 - 1]


def test_rows_are_shared_with_a_process_that_attaches_by_descriptor() -> None:
    metrics = made(2, 100, 10_000)
    attached = Metrics(Segment.attach(os.dup(metrics.segment.fd), metrics.segment.shape))
    attached.add(1, 7, 9)
    assert metrics.sums(7, 1) == [9]
    assert (attached.max_slots, attached.row_cells) == (2, metrics.row_cells)


@pytest.mark.parametrize("change", [{"layout": 1}, {"rows": 3}, {"places": (1, 1000)}, {"kind": "state"}])
def test_rows_of_another_shape_are_refused(change: dict[str, Any]) -> None:
    segment = Segment.create(metrics_shape(2, 1, 1)._replace(**change))
    with pytest.raises(ValueError, match="expected"):
        Metrics(segment)


def test_the_blocks_of_all_numbers_lie_apart_and_none_on_two_pages() -> None:
    metrics = made(2, 20, 200)
    taken: set[int] = set(range(WORKER.size))
    for block, count in ((DOWNSTREAM, 20), (UPSTREAM, 200)):
        for number in range(count):
            base = metrics.base_of(block.type, number)
            cells = set(range(base, base + block.size))
            assert not cells & taken
            assert base // PAGE_CELLS == (base + block.size - 1) // PAGE_CELLS
            assert base + block.size <= metrics.row_cells
            taken |= cells


@pytest.mark.parametrize("number", [-1, 1000])
def test_a_number_that_there_is_no_room_for_is_refused(number: int) -> None:
    with pytest.raises(IndexError, match="there is room for"):
        made(1, 1, 100).base_of("upstream", number)


@pytest.mark.parametrize(("slot", "cell"), [(2, 0), (-1, 0), (0, 3 * PAGE_CELLS), (0, 4_000_000_000)])
def test_a_cell_that_does_not_exist_is_refused(slot: int, cell: int) -> None:
    metrics = made(2)
    for call in (metrics.add, metrics.put):
        with pytest.raises(IndexError):
            call(slot, cell, 1)
    with pytest.raises(IndexError):
        metrics.row(slot, cell, 1)


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_metrics_without_rows_or_room_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        metrics_shape(*shape)


def test_room_for_a_million_hosts_takes_no_memory_and_neither_does_looking_at_them() -> None:
    metrics = made(32, 10_000, 1_000_000)
    assert metrics.segment.size > 20 << 30
    metrics.add(3, metrics.base_of("upstream", 900_000))
    before = memory(metrics)
    assert before == PAGE_CELLS * 8
    assert [number for number, _ in metrics.used("upstream", 1_000_000)] == [900_000]
    assert metrics.sums(metrics.base_of("upstream", 500_000), UPSTREAM.size) == [0] * UPSTREAM.size
    metrics.clear_gauges(3, {"worker": 1, "downstream": 10_000, "upstream": 1_000_000})
    metrics.clear("upstream", range(1_000_000), lambda first, end: True)
    assert memory(metrics) == before


def test_what_is_written_behind_the_numbers_in_use_is_not_looked_at_and_goes_back() -> None:
    metrics = made(3, 1000, 100_000)
    metrics.add(0, metrics.base_of("upstream", 5))
    before = memory(metrics)
    ends = {"worker": 1, "downstream": 2, "upstream": 6}
    for slot in range(3):
        for at in range(0, metrics.row_cells, 40 * PAGE_CELLS):
            if at or slot:
                metrics.put(slot, at, 1 << 63)
    metrics.drop_behind(ends)
    assert memory(metrics) <= before + 9 * PAGE_CELLS * 8
    assert [number for number, _ in metrics.used("upstream", 6)] == [5]


def test_used_blocks_are_found_with_their_sums_in_the_order_of_their_numbers() -> None:
    metrics = made(3, 10, 1000)
    for slot, number, amount in ((0, 7, 1), (2, 7, 5), (1, 800, 2), (0, 8, 0), (0, 3, 9)):
        metrics.add(slot, metrics.base_of("upstream", number) + 4, amount)
    found = [(number, cells[4], sum(cells)) for number, cells in metrics.used("upstream", 1000)]
    assert found == [(3, 9, 9), (7, 6, 6), (800, 2, 2)]
    assert [number for number, _ in metrics.used("upstream", 7)] == [3]
    assert list(metrics.used("downstream", 10)) == []


def test_a_dead_workers_gauges_are_zeroed_and_its_counters_stay() -> None:
    metrics = made(2, 100, 1000)
    bases = [(DOWNSTREAM, metrics.base_of("downstream", 99)), (UPSTREAM, metrics.base_of("upstream", 999)), (WORKER, 0)]
    for block, base in bases:
        for cell in block.cells:
            metrics.add(0, base + cell.at, 3)
            metrics.add(1, base + cell.at, 4)
    metrics.clear_gauges(0, {"worker": 1, "downstream": 100, "upstream": 1000})
    for block, base in bases:
        for cell in block.cells:
            assert metrics.sums(base + cell.at, 1) == [4 if cell.kind == "gauge" else 7]


def test_clearing_a_block_zeroes_it_in_every_row_and_nothing_beside_it() -> None:
    metrics = made(2, 1, 12)
    hosts = metrics.base_of("upstream", 0)
    for slot in (0, 1):
        for cell in range(metrics.row_cells):
            metrics.put(slot, cell, 1)
    metrics.clear("upstream", [2, 7], lambda first, end: True)
    for number in range(12):
        base = metrics.base_of("upstream", number)
        assert metrics.sums(base, UPSTREAM.size) == [0 if number in (2, 7) else 2] * UPSTREAM.size
    assert metrics.sums(0, hosts) == [2] * hosts


def test_a_page_goes_back_to_the_kernel_when_none_of_its_numbers_is_anybodys() -> None:
    metrics = made(4, 1, 1200)
    for slot in (1, 2):
        for number in range(1200):
            metrics.add(slot, metrics.base_of("upstream", number))
    full = memory(metrics)
    metrics.clear("upstream", range(600), lambda first, end: end > 600)
    assert memory(metrics) == full // 2
    assert [number for number, _ in metrics.used("upstream", 1200)] == list(range(600, 1200))


@given(st.one_of(st.integers(0, 70_000_000), st.integers(0, 2**64 - 1), st.sampled_from(BOUNDS_US)))
def test_a_duration_falls_into_the_first_bucket_whose_bound_is_not_below_it(us: int) -> None:
    metrics = made(1)
    observe_into(metrics, 0, 48, us)
    histogram = metrics.row(0, 48, HISTOGRAM_CELLS)
    expected = [0] * HISTOGRAM_CELLS
    expected[bisect_left(BOUNDS_US, us)] = 1
    expected[HISTOGRAM_SUM] = us
    assert histogram == expected


@pytest.mark.parametrize("bound", BOUNDS_US)
def test_a_bound_belongs_to_its_own_bucket_and_the_next_microsecond_does_not(bound: int) -> None:
    metrics = made(1)
    observe_into(metrics, 0, 48, bound)
    observe_into(metrics, 0, 48, bound + 1)
    at = BOUNDS_US.index(bound)
    assert metrics.row(0, 48 + at, 2) == [1, 1]


def test_each_counted_status_has_its_cell_and_all_others_share_one() -> None:
    other = DOWNSTREAM.cell("request_other_code").at
    counted = {int(cell.key[8:11]): cell.at for cell in DOWNSTREAM.cells if re.match(r"request_\d\d\d_total", cell.key)}
    assert set(counted) == {200, 206, 302, 304, 400, 403, 404, 416, 499, 500, 502, 503, 504}
    for status in range(-10, 1200):
        assert cell_of_status(status) == counted.get(status, other)
