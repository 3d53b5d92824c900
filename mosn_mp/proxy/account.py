"""What is counted and logged of a stream: metric cells on the way, the record and the access log at its end.

Counters are MOSN's (pkg/metrics/downstream.go and upstream.go). Only listeners and hosts are counted; global and cluster
figures are their sums.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.observe.access_log.access_log import AccessLog
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.metrics.metrics import (
    D_FILTER_ERROR,
    D_LIMIT_BODY_SIZE,
    D_LIMIT_HEADER_COUNT,
    D_LIMIT_HEADER_SIZE,
    D_LIMIT_URI_SIZE,
    D_PROCESS_TIME,
    D_PROTOCOL_ERROR,
    D_REQUEST_ACTIVE,
    D_REQUEST_FAILED,
    D_REQUEST_RESET,
    D_REQUEST_TIME,
    D_REQUEST_TOTAL,
    D_TIMEOUT_BODY,
    D_TIMEOUT_HEADER,
    D_TIMEOUT_WRITE,
    U_REQUEST_ACTIVE,
    U_REQUEST_DURATION_TIME,
    U_REQUEST_LOCAL_RESET,
    U_REQUEST_PENDING_OVERFLOW,
    U_REQUEST_REMOTE_RESET,
    U_REQUEST_RETRY,
    U_REQUEST_TIMEOUT,
    U_REQUEST_TOTAL,
    U_RESPONSE_FAILED,
    U_RESPONSE_SUCCESS,
    W_EXCEPTIONS,
    observe,
    status_cell,
)
from cython.cimports.mosn_mp.proxy.view import StreamView

from mosn_mp.errors import REASONS, Reason
from mosn_mp.proxy.failures import tell_failure

# Per Reason: the response flag, the listener cell and the host cell that count it (-1 = none).
FLAGS = cython.declare(uint32_t[32])
LISTENER_CELLS = cython.declare(cython.int[32])
HOST_CELLS = cython.declare(cython.int[32])

DOWNSTREAM_GONE = cython.declare(cython.int, int(Reason.DOWNSTREAM_GONE))
HEAD_TOO_LARGE = cython.declare(cython.int, int(Reason.HEAD_TOO_LARGE))
HEAD_TIMEOUT = cython.declare(cython.int, int(Reason.HEAD_TIMEOUT))
URI_TOO_LONG = cython.declare(cython.int, int(Reason.URI_TOO_LONG))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))
FILTER_ERROR = cython.declare(cython.int, int(Reason.FILTER_ERROR))


@cython.cfunc
def fill_tables() -> cython.void:
    """Turn the Reason table into arrays."""
    i: cython.int
    for i in range(32):
        LISTENER_CELLS[i] = HOST_CELLS[i] = -1
        FLAGS[i] = 0
    for reason, row in REASONS.items():
        FLAGS[int(reason)] = row.flag
    for reason, cell in {
        Reason.BODY_TIMEOUT: D_TIMEOUT_BODY,
        Reason.WRITE_TIMEOUT: D_TIMEOUT_WRITE,
        Reason.DOWNSTREAM_GONE: D_REQUEST_RESET,
        Reason.BODY_TOO_LARGE: D_LIMIT_BODY_SIZE,
        Reason.FILTER_ERROR: D_FILTER_ERROR,
    }.items():
        LISTENER_CELLS[int(reason)] = cell
    for reason, cell in {
        Reason.UPSTREAM_TIMEOUT: U_REQUEST_TIMEOUT,
        Reason.PER_TRY_TIMEOUT: U_REQUEST_TIMEOUT,
        Reason.UPSTREAM_CLOSED: U_REQUEST_REMOTE_RESET,
        Reason.UPSTREAM_RESET: U_REQUEST_REMOTE_RESET,
        Reason.UPSTREAM_PROTOCOL: U_REQUEST_REMOTE_RESET,
        Reason.UPSTREAM_OVERFLOW: U_REQUEST_PENDING_OVERFLOW,
        Reason.DOWNSTREAM_GONE: U_REQUEST_LOCAL_RESET,
    }.items():
        HOST_CELLS[int(reason)] = cell


fill_tables()


def account_begin(stream: StreamView) -> cython.int:
    """A request head (or what passed for one) has been read."""
    record: Record = stream.record
    stream.counters[D_REQUEST_TOTAL] += 1
    stream.counters[D_REQUEST_ACTIVE] += 1
    record.request_head_at = stream.reactor.now_us
    if record.start_at == 0:
        record.start_at = stream.reactor.now_us
    record.stream_id = stream.down.requests
    record.connection_id = stream.down.id
    return 0


def account_refusal(stream: StreamView, reason: cython.int) -> cython.void:
    """The head broke the rules or a limit."""
    if reason == HEAD_TIMEOUT:
        stream.counters[D_TIMEOUT_HEADER] += 1
    elif reason == HEAD_TOO_LARGE:
        stream.counters[D_LIMIT_HEADER_COUNT if stream.request.count >= stream.runtime.max_fields else D_LIMIT_HEADER_SIZE] += 1
    elif reason == URI_TOO_LONG:
        stream.counters[D_LIMIT_URI_SIZE] += 1
    elif reason != BODY_TOO_LARGE:
        stream.counters[D_PROTOCOL_ERROR] += 1


def account_failure(stream: StreamView, reason: cython.int) -> cython.void:
    """The stream fails for *reason*; the first one counts."""
    if stream.record.reason:
        return
    stream.record.reason = reason
    stream.record.response_flags |= FLAGS[reason]
    if LISTENER_CELLS[reason] >= 0:
        stream.counters[LISTENER_CELLS[reason]] += 1
    if HOST_CELLS[reason] >= 0 and stream.chosen is not None:
        stream.chosen.up[HOST_CELLS[reason]] += 1
    if reason == FILTER_ERROR:
        stream.listener.worker[W_EXCEPTIONS] += 1


def account_upstream(stream: StreamView) -> cython.void:
    """An attempt begins on stream.up."""
    up: cython.pointer(uint64_t) = stream.chosen.up
    up[U_REQUEST_TOTAL] += 1
    up[U_REQUEST_ACTIVE] += 1
    if stream.record.attempts:
        up[U_REQUEST_RETRY] += 1
    stream.record.attempts += 1
    stream.record.upstream_connection_id = stream.up.id


def account_upstream_end(stream: StreamView) -> cython.void:
    """The attempt is over."""
    up: cython.pointer(uint64_t) = stream.chosen.up
    record: Record = stream.record
    up[U_REQUEST_ACTIVE] -= 1
    record.upstream_finished_at = stream.reactor.read_clock()
    observe(up + U_REQUEST_DURATION_TIME, record.upstream_finished_at - record.request_head_at)
    if record.response_head_at and stream.response.status < 500:
        up[U_RESPONSE_SUCCESS] += 1
    else:
        up[U_RESPONSE_FAILED] += 1
    if stream.runtime.has_logs:
        record.upstream_local = stream.up.local_address()[0]


def account_end(stream: StreamView) -> cython.int:
    """The stream is over: status, times, filters' on_end, access log."""
    record: Record = stream.record
    counters: cython.pointer(uint64_t) = stream.counters
    in_proxy: uint64_t
    if stream.response_begun:
        record.status = stream.response.status
    elif record.reason == DOWNSTREAM_GONE:
        record.status = 504  # MOSN logs a client that left as 504
    record.end_at = record.upstream_finished_at if record.upstream_finished_at else stream.reactor.read_clock()
    counters[D_REQUEST_ACTIVE] -= 1
    counters[status_cell(record.status)] += 1
    if record.reason:
        counters[D_REQUEST_FAILED] += 1
    observe(counters + D_REQUEST_TIME, record.end_at - record.start_at)
    in_proxy = record.end_at - record.start_at
    if record.request_finished_at and record.response_head_at > record.request_finished_at:
        # MOSN's process time: the whole, less what the upstream took to answer
        in_proxy -= record.response_head_at - record.request_finished_at
    observe(counters + D_PROCESS_TIME, in_proxy)
    if stream.runtime.filters.has_end:
        try:
            stream.runtime.filters.run_end(stream)
        except Exception as error:  # noqa: BLE001 - the stream is over, and what a filter raises is told
            counters[D_FILTER_ERROR] += 1
            tell_failure(stream.listener.log, stream.runtime.filters, stream.runtime.name, stream.request, error)
    if stream.runtime.has_logs:
        write_logs(stream)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def write_logs(stream: StreamView) -> cython.int:
    """Complete the record and hand it to the access logs."""
    record: Record = stream.record
    log: AccessLog
    record.start_us = record.start_at + stream.reactor.wall_offset_us
    record.bytes_received = stream.upload.body_bytes
    record.bytes_sent += stream.download.body_bytes
    record.request = stream.request
    record.response = stream.response if stream.response_begun else None
    record.protocol = stream.spoken.name
    record.listener_name = stream.runtime.name_bytes
    record.listener_type = stream.runtime.listener_type
    record.listener_port = stream.runtime.address.port
    record.downstream_remote = stream.down.remote
    record.downstream_local = stream.down.local_address()[0] if stream.runtime.is_wildcard else stream.runtime.address
    if stream.route is not None:
        record.route_name = stream.route.name_text
        record.cluster_name = stream.route.cluster_text
    if stream.pool is not None:
        record.upstream_host = stream.pool.host_text
        record.upstream_protocol = stream.spoken.upstream_name
    for item in stream.runtime.access_logs:
        log = cython.cast(AccessLog, item)
        log.write(record)
    return 0
