"""The directory of counter blocks: stable bases, retiring, reuse, and its packed form."""

import msgpack
import pytest

from mosn_mp.observe.metrics.cells import DOWNSTREAM, UPSTREAM, WORKER
from mosn_mp.observe.metrics.directory import Directory, DirectoryFullError

HOST = [("cluster", "a"), ("host", "10.0.0.1:80")]


def test_a_block_keeps_its_base_however_often_and_in_whatever_order_it_is_asked_for() -> None:
    directory = Directory(1024)
    base = directory.reserve("upstream", HOST)
    assert base == WORKER.size
    assert directory.reserve("downstream", [("listener", "l")]) == base + UPSTREAM.size
    assert directory.reserve("upstream", HOST[::-1]) == base
    assert directory.find("upstream", HOST) == base
    assert len(directory) == 2


def test_a_block_that_was_never_reserved_is_not_found() -> None:
    assert Directory(1024).find("upstream", HOST) is None


def test_a_full_row_is_an_error_that_names_the_block() -> None:
    directory = Directory(WORKER.size + UPSTREAM.size)
    directory.reserve("upstream", HOST)
    with pytest.raises(DirectoryFullError, match="upstream cluster=a, host=10.0.0.2:80"):
        directory.reserve("upstream", [("cluster", "a"), ("host", "10.0.0.2:80")])
    assert len(directory) == 1


def test_a_retired_block_is_not_shown_but_comes_back_with_its_counts() -> None:
    directory = Directory(1024)
    base = directory.reserve("upstream", HOST)
    listener = directory.reserve("downstream", [("listener", "l")])
    directory.retire_others([("downstream", [("listener", "l")])])
    assert [placed.base for placed in directory] == [listener]
    assert directory.reserve("upstream", HOST) == base
    assert directory.take_reused() == []


def test_the_block_retired_longest_gives_its_cells_to_a_newcomer_when_no_others_are_left() -> None:
    directory = Directory(WORKER.size + 2 * UPSTREAM.size)
    first = directory.reserve("upstream", [("cluster", "a"), ("host", "1")])
    directory.reserve("upstream", [("cluster", "a"), ("host", "2")])
    directory.retire_others([("upstream", [("cluster", "a"), ("host", "2")])])
    directory.retire_others([])
    assert directory.reserve("upstream", [("cluster", "a"), ("host", "3")]) == first
    assert [(placed.base, placed.block) for placed in directory.take_reused()] == [(first, UPSTREAM)]
    assert directory.take_reused() == []


def test_cells_of_another_type_are_not_reused() -> None:
    directory = Directory(WORKER.size + UPSTREAM.size)
    directory.reserve("upstream", HOST)
    directory.retire_others([])
    with pytest.raises(DirectoryFullError):
        directory.reserve("downstream", [("listener", "l")])


def test_gauges_are_those_of_the_worker_and_of_all_blocks_even_retired_ones() -> None:
    directory = Directory(1024)
    upstream = directory.reserve("upstream", HOST)
    downstream = directory.reserve("downstream", [("listener", "l")])
    directory.retire_others([("downstream", [("listener", "l")])])
    gauges = directory.gauges()
    assert set(WORKER.gauges()) < set(gauges)
    assert upstream + UPSTREAM.cell("connection_active").at in gauges
    assert downstream + DOWNSTREAM.cell("request_active").at in gauges
    assert downstream + DOWNSTREAM.cell("request_total").at not in gauges


def test_the_packed_form_survives_msgpack_and_goes_on_where_the_original_was() -> None:
    directory = Directory(1024)
    directory.reserve("upstream", HOST)
    directory.reserve("downstream", [("listener", "l")])
    directory.retire_others([("downstream", [("listener", "l")])])
    copy = Directory.unpack(msgpack.unpackb(msgpack.packb(directory.pack())))
    assert list(copy) == list(directory)
    assert copy.reserve("upstream", HOST) == directory.reserve("upstream", HOST)
    new = [("listener", "new")]
    assert copy.reserve("downstream", new) == directory.reserve("downstream", new)


@pytest.mark.parametrize("packed", [{}, {"capacity": 1, "next": 2, "blocks": [["what", [], 3]], "retired": []}])
def test_something_else_is_refused_as_a_packed_directory(packed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a"):
        Directory.unpack(packed)  # type: ignore[arg-type]


def test_a_directory_of_single_places_counts_from_its_first() -> None:
    directory = Directory(4, 1, {"host": 1, "cluster": 1})
    assert directory.end == 1
    assert directory.reserve("host", HOST) == 1
    assert directory.reserve("cluster", [("cluster", "a")]) == 2
    assert directory.end == 3
    copy = Directory.unpack(directory.pack(), {"host": 1, "cluster": 1})
    assert copy.reserve("host", [("cluster", "b")]) == 3
