"""MOSN's console form of the counters, for /api/v1/stats."""

import json

from mosn_mp.buffer.segment import Segment
from mosn_mp.observe.metrics.cells import DOWNSTREAM, UPSTREAM
from mosn_mp.observe.metrics.metrics import Metrics, metrics_shape, observe_into
from mosn_mp.observe.metrics.reading import Names, read_all
from mosn_mp.observe.metrics.stats import stats_glob, stats_json


def counted() -> tuple[Metrics, Names]:
    metrics = Metrics(Segment.create(metrics_shape(2, 10, 10)))
    for listener in (1, 2):
        base = metrics.base_of("downstream", listener)
        metrics.add(0, base + DOWNSTREAM.cell("request_total").at, 2)
        metrics.add(1, base + DOWNSTREAM.cell("connection_active").at, 1)
    host = metrics.base_of("upstream", 1)
    observe_into(metrics, 0, host + UPSTREAM.cell("request_duration_time").at, 700)
    observe_into(metrics, 0, host + UPSTREAM.cell("request_duration_time").at, 3000)
    return metrics, Names({1: "front", 2: "back"}, {1: ("a", "10.0.0.1:80")}, ["front", "back"])


def test_the_shape_is_type_then_labels_joined_by_dots_then_key_and_a_string() -> None:
    found = json.loads(stats_json(read_all(*counted())))
    assert set(found) == {"downstream", "upstream"}
    assert set(found["downstream"]) == {"proxy.global", "listener.front", "listener.back"}
    assert set(found["upstream"]) == {"cluster.a", "cluster.a.host.10.0.0.1:80"}
    assert found["downstream"]["listener.front"]["request_total"] == "2"
    assert found["downstream"]["proxy.global"]["request_total"] == "4"
    assert found["downstream"]["proxy.global"]["connection_active"] == "2"


def test_a_histogram_is_shown_by_its_least_and_most_in_nanoseconds() -> None:
    host = json.loads(stats_json(read_all(*counted())))["upstream"]["cluster.a.host.10.0.0.1:80"]
    # The buckets that hold 700 us and 3,000 us are 500..1,000 and 2,500..5,000.
    assert (host["request_duration_time_min"], host["request_duration_time_max"]) == ("500000", "5000000")
    assert (host["request_duration_time_total"], host["request_duration_time_count"]) == ("3700000", "2")
    assert (host["connect_time_min"], host["connect_time_max"]) == ("0", "0")


def test_the_text_is_indented_by_tabs_and_sorted_as_go_does_it() -> None:
    text = stats_json(read_all(*counted())).decode()
    assert text.startswith('{\n\t"downstream": {\n\t\t"listener.back": {\n\t\t\t"access_log_dropped": "0",\n')


def test_stats_glob_is_the_totals_of_all_listeners_line_by_line() -> None:
    lines = stats_glob(read_all(*counted())).decode().splitlines()
    assert "request_total:4" in lines
    assert lines == sorted(lines)


def test_stats_glob_without_listeners_is_empty() -> None:
    assert stats_glob([]) == b""
