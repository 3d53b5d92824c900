"""Rows of counters: one writer per row, sums, histograms, what happens when a process dies."""

import os
import re
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mosn_mp.observe.metrics.cells
from mosn_mp.observe.metrics.cells import BLOCKS, BOUNDS_US, DOWNSTREAM, HISTOGRAM_CELLS, HISTOGRAM_SUM, UPSTREAM, WORKER
from mosn_mp.observe.metrics.metrics import Metrics, cell_of_status, observe_into

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


def test_sums_add_up_the_rows_and_a_negative_part_is_a_connection_that_moved() -> None:
    metrics = Metrics.create(3, 600)
    metrics.add(0, 40, 5)
    metrics.add(1, 40, -2)
    metrics.add(2, 41)
    assert metrics.sums(40, 2) == [3, 1]
    assert metrics.row(0, 40, 2) == [5, 0]


def test_rows_are_shared_with_a_process_that_attaches_by_descriptor() -> None:
    metrics = Metrics.create(2, 1024)
    attached = Metrics.attach(os.dup(metrics.fd), metrics.size)
    attached.add(1, 7, 9)
    assert metrics.sums(7, 1) == [9]
    assert (attached.max_slots, attached.row_cells) == (2, 1024)


def test_rows_begin_on_pages_of_their_own() -> None:
    metrics = Metrics.create(2, 513)
    assert metrics.row_cells == 1024
    metrics.add(0, 1023)
    assert metrics.row(1, 0, 1024) == [0] * 1024


@pytest.mark.parametrize(("slot", "cell"), [(2, 0), (-1, 0), (0, 512), (0, 4_000_000_000)])
def test_a_cell_that_does_not_exist_is_refused(slot: int, cell: int) -> None:
    metrics = Metrics.create(2, 512)
    with pytest.raises(IndexError):
        metrics.add(slot, cell)
    with pytest.raises(IndexError):
        metrics.row(slot, cell, 1)


def test_metrics_without_slots_or_room_for_the_worker_block_are_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        Metrics.create(0, 512)
    with pytest.raises(ValueError, match="at least"):
        Metrics.create(1, 8)


def test_a_dead_workers_gauges_are_zeroed_and_its_counters_stay() -> None:
    metrics = Metrics.create(2, 512)
    active, total = DOWNSTREAM.cell("request_active").at, DOWNSTREAM.cell("request_total").at
    for cell in (active, total):
        metrics.add(0, 64 + cell, 3)
        metrics.add(1, 64 + cell, 4)
    metrics.clear(0, [64 + at for at in DOWNSTREAM.gauges()])
    assert metrics.sums(64 + active, 1) == [4]
    assert metrics.sums(64 + total, 1) == [7]


def test_clearing_a_block_zeroes_it_in_every_row_and_nothing_beside_it() -> None:
    metrics = Metrics.create(2, 512)
    for slot in (0, 1):
        for cell in range(512):
            metrics.put(slot, cell, 1)
    metrics.clear_block(64, 96)
    assert metrics.sums(0, 512) == [2] * 64 + [0] * 96 + [2] * (512 - 160)


@given(st.one_of(st.integers(0, 70_000_000), st.integers(0, 2**64 - 1), st.sampled_from(BOUNDS_US)))
def test_a_duration_falls_into_the_first_bucket_whose_bound_is_not_below_it(us: int) -> None:
    metrics = Metrics.create(1, 512)
    observe_into(metrics, 0, 48, us)
    histogram = metrics.row(0, 48, HISTOGRAM_CELLS)
    expected = [0] * HISTOGRAM_CELLS
    expected[bisect_left(BOUNDS_US, us)] = 1
    expected[HISTOGRAM_SUM] = us
    assert histogram == expected


@pytest.mark.parametrize("bound", BOUNDS_US)
def test_a_bound_belongs_to_its_own_bucket_and_the_next_microsecond_does_not(bound: int) -> None:
    metrics = Metrics.create(1, 512)
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
