"""Counters in the Prometheus text format 0.0.4.

Names are MOSN's (`downstream_request_total{listener="front"}`), but a histogram is a real one, in seconds, the base unit:
`downstream_request_time_seconds_bucket{listener="front",le="0.001"}`; MOSN exports only its min and max. MOSN's own sum in
nanoseconds, `downstream_request_time_total`, is kept for its dashboards. The totals proxy="global" and cluster without host are
in the same families as their parts, as in MOSN: filter by label before summing.

Sources: Prometheus docs, exposition formats and naming practices; MOSN pkg/metrics/sink/prometheus/prometheus.go.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from mosn_mp.buffer.holdings import ClassUsage
from mosn_mp.observe.metrics.cells import BLOCKS, BOUNDS_US, Cell
from mosn_mp.observe.metrics.reading import Labels, Reading
from mosn_mp.observe.proc import ProcessReading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PIECE_LINES = 4000  # 4 ms

_UNFIT = re.compile(r"[^a-zA-Z0-9_:]")
_BOUNDS = (*(f"{bound / 1_000_000:g}" for bound in BOUNDS_US), "+Inf")


def metric_name(text: str) -> str:
    """*text* with what a metric name cannot hold replaced by underscores."""
    name = _UNFIT.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """`{name="value",...}`, values escaped; empty without labels."""
    pairs = ",".join(f'{metric_name(name).replace(":", "_")}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _family(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {_escaped_help(text)}\n# TYPE {name} {kind}\n"


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


class _Labelled(NamedTuple):
    """A reading and its labels as text, which are in twenty lines."""

    reading: Reading
    labels: str


def _plain(type_: str, cell: Cell, readings: Sequence[_Labelled]) -> Iterator[str]:
    name = metric_name(f"{type_}_{cell.key}")
    yield _family(name, cell.kind, cell.help)
    for reading, labels in readings:
        yield f"{name}{labels} {reading.value(cell)}\n"


def _histogram(type_: str, cell: Cell, readings: Sequence[_Labelled]) -> Iterator[str]:
    name = metric_name(f"{type_}_{cell.key}_seconds")
    yield _family(name, "histogram", cell.help)
    for reading, labels in readings:
        histogram = reading.histogram(cell)
        before = f"{name}_bucket{labels[:-1]}," if labels else f"{name}_bucket{{"
        below = 0
        for bound, number in zip(_BOUNDS, histogram.buckets, strict=True):
            below += number
            yield f'{before}le="{bound}"}} {below}\n'
        yield f"{name}_sum{labels} {histogram.sum_us / 1_000_000!r}\n{name}_count{labels} {below}\n"
    total = metric_name(f"{type_}_{cell.key}_total")
    yield _family(total, "counter", f"{cell.help} The sum in nanoseconds, as MOSN has it.")
    for reading, labels in readings:
        yield f"{total}{labels} {reading.histogram(cell).sum_us * 1000}\n"


def _counters(readings: Iterable[Reading]) -> Iterator[str]:
    by_type: dict[str, list[_Labelled]] = {}
    for reading in readings:
        by_type.setdefault(reading.block.type, []).append(_Labelled(reading, label_text(reading.labels)))
    for type_, of_type in by_type.items():
        for cell in BLOCKS[type_].cells:
            yield from (_histogram if cell.kind == "histogram" else _plain)(type_, cell, of_type)


_PROCESS: tuple[tuple[str, str, str, Callable[[ProcessReading], str]], ...] = (
    ("process_cpu_seconds_total", "counter", "User and system time used.", lambda p: f"{p.cpu_s:.2f}"),
    ("process_resident_memory_bytes", "gauge", "Resident memory, shared pages included.", lambda p: str(p.resident_bytes)),
    ("process_proportional_memory_bytes", "gauge", "Memory, shared pages divided by their users.", lambda p: str(p.pss_bytes)),
    ("process_virtual_memory_bytes", "gauge", "Address space.", lambda p: str(p.virtual_bytes)),
    ("process_open_fds", "gauge", "Open descriptors.", lambda p: str(p.open_fds)),
    ("process_max_fds", "gauge", "Descriptors it may open.", lambda p: str(p.max_fds)),
    ("process_threads", "gauge", "Threads.", lambda p: str(p.threads)),
    ("process_start_time_seconds", "gauge", "When it started, seconds since 1970.", lambda p: f"{p.started_at:.2f}"),
)


def _processes(processes: Mapping[str, ProcessReading]) -> Iterator[str]:
    found: list[tuple[Labels, ProcessReading]] = [((("process", name),), reading) for name, reading in processes.items()]
    if found:
        for metric, kind, text, value in _PROCESS:
            yield _family(metric, kind, text)
            yield from (f"{metric}{label_text(labels)} {value(reading)}\n" for labels, reading in found)


def _arena(usage: Sequence[ClassUsage]) -> Iterator[str]:
    if not usage:
        return
    rows: tuple[tuple[str, str, Callable[[ClassUsage], int]], ...] = (
        ("arena_blocks", "Buffers that all workers together may have.", lambda u: u.total),
        ("arena_blocks_free", "Buffers that no worker has.", lambda u: u.free),
        ("arena_blocks_touched", "Buffers with memory behind them.", lambda u: u.touched),
    )
    for name, text, value in rows:
        yield _family(name, "gauge", text)
        yield from (f"{name}{label_text([('size', str(u.block_size))])} {value(u)}\n" for u in usage)


def render(
    readings: Iterable[Reading],
    processes: Mapping[str, ProcessReading] | None = None,
    arena: Sequence[ClassUsage] = (),
    version: str = "",
    own: Iterable[tuple[str, str, int]] = (),
) -> Iterator[bytes]:
    """The body of /metrics: *readings* (reading.read_all), processes by name, the arena, the release.

    *own*: counters of the process that renders it: name, help, value. It comes in pieces of some hundred kilobytes: of a hundred
    thousand hosts with traffic it is 600 MB.
    """
    info = f"mosn_mp_info{label_text([('version', version)])} 1\n"
    lines = chain(
        [_family("mosn_mp_info", "gauge", "The release that is running."), info] if version else [],
        _counters(readings),
        _arena(arena),
        _processes(processes or {}),
        (f"{_family(name, 'counter', text)}{name} {value}\n" for name, text, value in own),
    )
    while piece := "".join(islice(lines, PIECE_LINES)):
        yield piece.encode()
