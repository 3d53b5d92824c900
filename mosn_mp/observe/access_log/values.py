"""What a log line shows of a record beside the heads: durations, numbers, names, addresses, flags."""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.libc.string import memcmp
from cython.cimports.mosn_mp.observe.access_log.heads import head_length
from cython.cimports.mosn_mp.observe.access_log.record import ADDRESS_TEXT, L_EGRESS, L_INGRESS, Address, Record, format_address
from cython.cimports.mosn_mp.observe.access_log.text import Cursor, put_byte, put_hex, put_name, put_text
from cython.cimports.mosn_mp.observe.access_log.variables import (
    ADDR_DOWNSTREAM_LOCAL,
    ADDR_DOWNSTREAM_REMOTE,
    DUR_PROCESS,
    DUR_REQUEST_RECEIVED,
    DUR_RESPONSE_RECEIVED,
    NAME_CLUSTER,
    NAME_HOST,
    NAME_LISTENER,
    NAME_LISTENER_TYPE,
    NAME_PROTOCOL,
    NAME_ROUTE,
    NAME_SERVER,
    NAME_UPSTREAM_PROTOCOL,
    NUM_ATTEMPTS,
    NUM_BYTES_RECEIVED,
    NUM_BYTES_SENT,
    NUM_CONNECTION,
    NUM_LISTENER_PORT,
    NUM_REQUEST_LENGTH,
    NUM_STATUS,
    NUM_STREAM,
    NUM_UPSTREAM_CONNECTION,
    ONLY_HTTP1,
)

from mosn_mp.errors import REASONS, Reason

# Indexed by Reason.
LETTERS = cython.declare(list, [REASONS[reason].short.encode() for reason in Reason])


def speaks(record: Record, protocol: cython.int) -> cython.bint:
    """Whether the downstream protocol is the one that the variable is bound to."""
    name: bytes = record.protocol
    if name is None or PyBytes_GET_SIZE(name) != 5:
        return False
    return memcmp(PyBytes_AS_STRING(name), b"Http1" if protocol == ONLY_HTTP1 else b"Http2", 5) == 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def span(begin: int64_t, end: int64_t) -> int64_t:
    """From *begin* to *end*; what is no time at all wraps around, which signed numbers must not in C."""
    return cython.cast(int64_t, cython.cast(uint64_t, end) - cython.cast(uint64_t, begin))


def moment_us(record: Record, which: cython.int) -> int64_t:
    """The duration *which* in microseconds; negative or zero = its moment never came."""
    begin: int64_t = record.start_at
    if which == DUR_REQUEST_RECEIVED:
        return span(begin, record.request_finished_at)
    if which == DUR_RESPONSE_RECEIVED:
        return span(begin, record.response_head_at)
    if which == DUR_PROCESS and record.response_head_at and record.request_finished_at:
        return span(span(span(begin, record.request_finished_at), record.response_head_at), record.end_at)  # the sum of two
    return span(begin, record.end_at)


def number_of(record: Record, which: cython.int) -> uint64_t:
    """The number *which* of the record."""
    if which == NUM_BYTES_SENT:
        return record.bytes_sent
    if which == NUM_BYTES_RECEIVED:
        return record.bytes_received
    if which == NUM_STATUS:
        return record.status if record.status > 0 else 0
    if which == NUM_ATTEMPTS:
        return record.attempts
    if which == NUM_CONNECTION:
        return record.connection_id
    if which == NUM_UPSTREAM_CONNECTION:
        return record.upstream_connection_id
    if which == NUM_STREAM:
        return record.stream_id
    if which == NUM_LISTENER_PORT:
        return record.listener_port
    if which == NUM_REQUEST_LENGTH:
        return head_length(record.request) + record.bytes_received
    return 0


def name_of(record: Record, which: cython.int) -> bytes:
    """The shared text *which* of the record, or None."""
    if which == NAME_PROTOCOL:
        return record.protocol
    if which == NAME_UPSTREAM_PROTOCOL:
        return record.upstream_protocol
    if which == NAME_LISTENER:
        return record.listener_name
    if which == NAME_LISTENER_TYPE:
        return b"ingress" if record.listener_type == L_INGRESS else b"egress" if record.listener_type == L_EGRESS else None
    if which == NAME_ROUTE:
        return record.route_name
    if which == NAME_CLUSTER:
        return record.cluster_name
    if which == NAME_HOST:
        return record.upstream_host
    if which == NAME_SERVER:
        return record.server_name
    return record.trace_id


def put_flags(cursor: cython.pointer(Cursor), record: Record) -> cython.void:
    """The letters of the reason; flags without a reason (an injected delay) as MOSN's bits."""
    if 0 < record.reason < len(LETTERS):
        put_name(cursor, LETTERS[record.reason])
    elif record.response_flags:
        put_hex(cursor, record.response_flags)
    else:
        put_byte(cursor, 45)


def put_address(cursor: cython.pointer(Cursor), record: Record, which: cython.int) -> cython.void:
    """A socket address as text."""
    text: cython.char[ADDRESS_TEXT]
    address: cython.pointer(Address) = cython.address(record.upstream_local)
    length: cython.int
    if which == ADDR_DOWNSTREAM_REMOTE:
        address = cython.address(record.downstream_remote)
    elif which == ADDR_DOWNSTREAM_LOCAL:
        address = cython.address(record.downstream_local)
    length = format_address(address, text)
    if length:
        put_text(cursor, text, length)
    else:
        put_byte(cursor, 45)
