"""The Prometheus text: names, escapes, real histograms, totals, processes; read back by a small parser of the format."""

import os
import re

import pytest

from mosn_mp.buffer.holdings import Holdings, holdings_shape
from mosn_mp.buffer.segment import Segment
from mosn_mp.observe.metrics.cells import BOUNDS_US, DOWNSTREAM, UPSTREAM, WORKER
from mosn_mp.observe.metrics.metrics import Metrics, metrics_shape, observe_into
from mosn_mp.observe.metrics.prometheus import label_text, metric_name, render
from mosn_mp.observe.metrics.reading import Names, read_all
from mosn_mp.observe.proc import read_process

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (\S+)$')


class Counted:
    """Rows of three slots with a listener and two hosts."""

    def __init__(self) -> None:
        self.metrics = Metrics(Segment.create(metrics_shape(3, 10, 10)))
        self.names = Names({1: "front", 2: "gone"}, {n: ("a", f"10.0.0.{n}:80") for n in (1, 2)}, ["front"])
        self.listener, self.gone = (self.metrics.base_of("downstream", n) for n in (1, 2))
        self.hosts = [self.metrics.base_of("upstream", n) for n in (1, 2)]

    def text(self) -> str:
        return b"".join(render(read_all(self.metrics, self.names))).decode()


@pytest.fixture
def counted() -> Counted:
    return Counted()


def samples(text: str) -> dict[str, float]:
    """Sample -> value; fails on a line that is not in the format, a family in two places or a sample given twice."""
    found: dict[str, float] = {}
    families: list[str] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            families.append(line.split()[2])
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            assert match, line
            family = families[-1]
            assert re.fullmatch(f"{family}(_bucket|_sum|_count)?", match[1]), (family, line)
            key = line.rpartition(" ")[0]
            assert key not in found
            found[key] = float(match[3])
    assert len(set(families)) == len(families)
    assert text.endswith("\n") or not text
    return found


def test_every_cell_of_every_block_is_a_sample(counted: Counted) -> None:
    counted.metrics.add(1, counted.hosts[0] + 1)
    found = samples(counted.text())
    for cell in DOWNSTREAM.cells:
        if cell.kind != "histogram":
            assert f'downstream_{cell.key}{{listener="front"}}' in found
    for cell in UPSTREAM.cells:
        if cell.kind != "histogram":
            assert f'upstream_{cell.key}{{cluster="a",host="10.0.0.1:80"}}' in found


def test_a_host_is_shown_from_its_first_event_on_and_a_listener_always(counted: Counted) -> None:
    text = counted.text()
    assert 'listener="front"' in text
    assert "10.0.0" not in text
    assert "gone" not in text
    counted.metrics.add(2, counted.hosts[1] + UPSTREAM.cell("connection_con_fail").at)
    text = counted.text()
    assert '"10.0.0.2:80"' in text
    assert '"10.0.0.1:80"' not in text
    assert 'upstream_connection_con_fail{cluster="a"} 1\n' in text


def test_a_listener_that_left_the_configuration_is_shown_while_something_is_counted_there(counted: Counted) -> None:
    counted.metrics.add(2, counted.gone + DOWNSTREAM.cell("connection_active").at)
    assert 'downstream_connection_active{listener="gone"} 1\n' in counted.text()


def test_a_counter_is_the_sum_over_all_workers_and_totals_are_sums_over_their_parts(counted: Counted) -> None:
    at = UPSTREAM.cell("request_total").at
    counted.metrics.add(0, counted.hosts[0] + at, 5)
    counted.metrics.add(2, counted.hosts[0] + at, 6)
    counted.metrics.add(1, counted.hosts[1] + at, 7)
    counted.metrics.add(1, counted.listener + DOWNSTREAM.cell("request_total").at, 3)
    found = samples(counted.text())
    assert found['upstream_request_total{cluster="a",host="10.0.0.1:80"}'] == 11
    assert found['upstream_request_total{cluster="a"}'] == 18
    assert found['downstream_request_total{listener="front"}'] == found['downstream_request_total{proxy="global"}'] == 3


def test_a_histogram_has_cumulative_buckets_in_seconds_a_sum_and_a_count(counted: Counted) -> None:
    at = counted.listener + DOWNSTREAM.cell("request_time").at
    for slot, us in ((0, 40), (1, 700), (1, 700), (2, 90_000_000)):
        observe_into(counted.metrics, slot, at, us)
    found = samples(counted.text())
    bucket = 'downstream_request_time_seconds_bucket{listener="front",le="%s"}'
    assert [found[bucket % le] for le in ("5e-05", "0.0005", "0.001", "60", "+Inf")] == [1, 1, 3, 3, 4]
    assert found['downstream_request_time_seconds_count{listener="front"}'] == 4
    assert found['downstream_request_time_seconds_sum{listener="front"}'] == pytest.approx(90.00144)
    assert found['downstream_request_time_total{listener="front"}'] == 90_001_440_000
    buckets = [found[bucket % f"{bound / 1e6:g}"] for bound in BOUNDS_US]
    assert buckets == sorted(buckets)


def test_kinds_are_declared(counted: Counted) -> None:
    text = counted.text()
    assert "# TYPE downstream_request_total counter\n" in text
    assert "# TYPE downstream_request_active gauge\n" in text
    assert "# TYPE downstream_request_time_seconds histogram\n" in text
    assert "# HELP downstream_request_active Requests under way.\n" in text


def test_a_gauge_that_was_caught_between_two_rows_is_never_negative(counted: Counted) -> None:
    counted.metrics.add(0, counted.listener + DOWNSTREAM.cell("connection_active").at, -1)
    assert samples(counted.text())['downstream_connection_active{listener="front"}'] == 0


def test_only_slots_with_a_process_are_shown(counted: Counted) -> None:
    counted.metrics.put(1, WORKER.cell("pid").at, 4711)
    counted.metrics.put(1, WORKER.cell("accepted").at, 9)
    found = samples(counted.text())
    assert found['worker_accepted{slot="1"}'] == 9
    assert 'worker_accepted{slot="0"}' not in found


def test_label_values_are_escaped_and_names_made_fit() -> None:
    assert label_text([("a.b:c", 'x\\y"z\nw')]) == '{a_b_c="x\\\\y\\"z\\nw"}'
    assert label_text([]) == ""
    assert metric_name("7 days-old.x") == "_7_days_old_x"


def test_a_listener_with_a_hostile_name_does_not_break_the_text() -> None:
    metrics = Metrics(Segment.create(metrics_shape(1, 2, 2)))
    evil = 'a"} 1\nevil{x="\\'
    assert samples(b"".join(render(read_all(metrics, Names({1: evil}, {}, [evil])))).decode())


def test_processes_are_shown_by_name() -> None:
    reading = read_process(os.getpid())
    assert reading is not None
    found = samples(b"".join(render([], {"master": reading})).decode())
    assert found['process_resident_memory_bytes{process="master"}'] > 1 << 20
    assert found['process_proportional_memory_bytes{process="master"}'] > 1 << 20
    assert found['process_open_fds{process="master"}'] >= 3
    assert found['process_start_time_seconds{process="master"}'] > 1_600_000_000


def test_the_arena_and_the_release_are_shown() -> None:
    holdings = Holdings(Segment.create(holdings_shape(1 << 20, 2)))
    found = samples(b"".join(render([], arena=holdings.usage(), version="1.2.3")).decode())
    assert found['mosn_mp_info{version="1.2.3"}'] == 1
    assert found['arena_blocks{size="65536"}'] == found['arena_blocks_free{size="65536"}'] == 4


def test_nothing_to_show_is_an_empty_text() -> None:
    assert list(render([])) == []


def test_the_text_of_many_hosts_comes_in_pieces() -> None:
    metrics = Metrics(Segment.create(metrics_shape(1, 2, 1000)))
    for number in range(1, 1000):
        metrics.add(0, metrics.base_of("upstream", number))
    pieces = list(render(read_all(metrics, Names({}, {n: ("c", f"10.0.0.{n}:80") for n in range(1, 1000)}))))
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 1 << 20
    assert len(samples(b"".join(pieces).decode())) > 60_000
