"""Counters in the JSON of MOSN's console sink: type -> namespace -> key -> value, as /api/v1/stats shows it.

    {"downstream": {"listener.front": {"request_total": "12", "request_time_min": "0", ...}}}

A namespace is the labels joined by dots, a value is a string, objects are sorted and indented by tabs, as Go does it. MOSN keeps
a sample of 100 durations and shows the least and the most in nanoseconds; a histogram knows them as precisely as its buckets.

Source: MOSN pkg/metrics/sink/console/console.go, pkg/admin/server/apis.go (statsDump, statsDumpProxyTotal).
"""

import json
from collections.abc import Iterable

from mosn_mp.observe.metrics.reading import GLOBAL, Reading

NS_PER_US = 1000

Namespace = dict[str, str]
Stats = dict[str, dict[str, Namespace]]


def namespace(reading: Reading) -> Namespace:
    """Key -> value of one block; a histogram is four keys: _min, _max, _total (nanoseconds) and _count."""
    values: Namespace = {}
    for cell in reading.block.cells:
        if cell.kind != "histogram":
            values[cell.key] = str(reading.value(cell))
            continue
        histogram = reading.histogram(cell)
        values[f"{cell.key}_min"] = str(histogram.least_us() * NS_PER_US)
        values[f"{cell.key}_max"] = str(histogram.most_us() * NS_PER_US)
        values[f"{cell.key}_total"] = str(histogram.sum_us * NS_PER_US)
        values[f"{cell.key}_count"] = str(histogram.events)
    return values


def stats(readings: Iterable[Reading]) -> Stats:
    """All *readings* in MOSN's nesting."""
    found: Stats = {}
    for reading in readings:
        name = ".".join(f"{key}.{value}" for key, value in reading.labels)
        found.setdefault(reading.block.type, {})[name] = namespace(reading)
    return found


def stats_json(readings: Iterable[Reading]) -> bytes:
    """The body of /api/v1/stats."""
    return json.dumps(stats(readings), indent="\t", sort_keys=True, ensure_ascii=False).encode()


def stats_glob(readings: Iterable[Reading]) -> bytes:
    """The body of /api/v1/stats_glob: the totals of all listeners, a `key:value` per line."""
    for reading in readings:
        if reading.labels == GLOBAL:
            return "".join(f"{key}:{value}\n" for key, value in sorted(namespace(reading).items())).encode()
    return b""
