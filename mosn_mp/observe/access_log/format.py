"""An access log format at work: compiled once into steps, run for each request by one switch that writes into a C buffer.

A variable without a value shows `-`. Moments follow MOSN's RequestInfo: request_received is when the request was handed to the
upstream, response_received when the response head came, request_finished and duration the end of the stream, process_time what
is left of it without the upstream (mosn-reference 5.2).
"""

import logging

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memchr, memcmp
from cython.cimports.mosn_mp.buffer.head import REMOVED, Head
from cython.cimports.mosn_mp.observe.access_log.record import (
    ADDRESS_TEXT,
    L_EGRESS,
    L_INGRESS,
    Address,
    Record,
    format_address,
)
from cython.cimports.mosn_mp.observe.access_log.text import (
    Cursor,
    put_byte,
    put_duration,
    put_escaped,
    put_hex,
    put_number,
    put_text,
    put_time,
)
from cython.cimports.mosn_mp.observe.access_log.variables import (
    ADDR_DOWNSTREAM_LOCAL,
    ADDR_DOWNSTREAM_REMOTE,
    ANY_PROTOCOL,
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
    OP_ADDRESS,
    OP_COOKIE,
    OP_COUNT,
    OP_DURATION,
    OP_FAILURE,
    OP_FLAG,
    OP_FLAGS,
    OP_IDENT,
    OP_LITERAL,
    OP_NAME,
    OP_PART,
    OP_PYTHON,
    OP_QUERY_ARG,
    OP_REQUEST_HEADER,
    OP_RESPONSE_HEADER,
    OP_START_TIME,
    PART_AUTHORITY,
    PART_METHOD,
    PART_PATH,
    PART_SCHEME,
    PART_URI,
)

from mosn_mp.errors import REASONS, Reason
from mosn_mp.observe.access_log.variables import parse_format

LOG = logging.getLogger("mosn_mp.access_log")
REPORT_EVERY_US = 1_000_000  # a broken function is called for every request; its traceback is logged once a second

# Indexed by Reason.
LETTERS = cython.declare(list, [REASONS[reason].short.encode() for reason in Reason])
UPSTREAM_FAILURES = frozenset(
    {
        Reason.NO_HEALTHY_UPSTREAM,
        Reason.UPSTREAM_TIMEOUT,
        Reason.PER_TRY_TIMEOUT,
        Reason.CONNECT_FAILED,
        Reason.CONNECT_TIMEOUT,
        Reason.UPSTREAM_CLOSED,
        Reason.UPSTREAM_RESET,
        Reason.UPSTREAM_PROTOCOL,
        Reason.UPSTREAM_OVERFLOW,
    }
)
FAILURES = cython.declare(list, [reason.name.lower().encode() if reason in UPSTREAM_FAILURES else None for reason in Reason])


class LogFormat:
    """`LogFormat(text, path, python_path)`: the compiled form of *text*, "" = MOSN's default; raises ConfigError."""

    def __cinit__(self, text: str = "", path: str = "log_format", python_path: object = ()) -> None:
        parsed = parse_format(text, path, python_path)
        self.text = text
        self.texts = []
        self.functions = []
        self.stamp.second = -1
        self.steps = cython.cast(cython.pointer(CStep), calloc(len(parsed) or 1, cython.sizeof(CStep)))
        if self.steps == cython.NULL:
            raise MemoryError
        for step in parsed:
            shown: bytes = step.text
            self.texts.append(shown)
            at: cython.pointer(CStep) = self.steps + self.count
            at.op = step.op
            at.arg = step.arg
            at.protocol = step.protocol
            at.text = PyBytes_AS_STRING(shown)
            at.text_len = cython.cast(uint32_t, PyBytes_GET_SIZE(shown))
            if step.op == OP_PYTHON:
                at.arg = len(self.functions)
                self.functions.append(step.function)
            self.count += 1

    def __dealloc__(self) -> None:
        free(self.steps)

    def write_line(self, record: Record, out: cython.p_char, room: uint32_t) -> uint32_t:
        """The line of *record*, newline included, in at most *room* >= 1 bytes at *out*; its length."""
        cursor: Cursor
        i: cython.int
        step: cython.pointer(CStep)
        cursor.at = out
        cursor.end = out + room - 1
        cursor.cut = False
        for i in range(self.count):
            step = self.steps + i
            if step.op == OP_LITERAL:
                put_text(cython.address(cursor), step.text, step.text_len)
            elif step.protocol != ANY_PROTOCOL and not speaks(record, step.protocol):
                put_byte(cython.address(cursor), 45)
            else:
                self.run_step(step, record, cython.address(cursor))
        cursor.at[0] = 10
        self.cut = cursor.cut
        return cython.cast(uint32_t, cursor.at - out) + 1

    def line(self, record: Record, room: uint32_t = 16384) -> bytes:
        """The line of *record* as bytes, for tests and for callers in plain Python."""
        out: bytearray = bytearray(max(room, 1))
        length: uint32_t = self.write_line(record, out, cython.cast(uint32_t, len(out)))
        return bytes(out[:length])

    def run_step(self, step: cython.pointer(CStep), record: Record, cursor: cython.pointer(Cursor)) -> cython.void:
        """One variable."""
        op: cython.int = step.op
        if op == OP_START_TIME:
            put_time(cursor, record.start_us, cython.address(self.stamp))
        elif op == OP_DURATION:
            put_duration(cursor, moment_us(record, step.arg))
        elif op == OP_COUNT:
            put_number(cursor, number_of(record, step.arg))
        elif op == OP_IDENT:
            put_ident(cursor, number_of(record, step.arg))
        elif op == OP_NAME:
            put_name(cursor, name_of(record, step.arg))
        elif op == OP_ADDRESS:
            put_address(cursor, record, step.arg)
        elif op == OP_PART:
            put_part(cursor, record.request, step.arg)
        elif op == OP_REQUEST_HEADER:
            put_field(cursor, record.request, step)
        elif op == OP_RESPONSE_HEADER:
            put_field(cursor, record.response, step)
        elif op == OP_COOKIE:
            put_cookie(cursor, record.request, step)
        elif op == OP_QUERY_ARG:
            put_query_arg(cursor, record.request, step)
        elif op == OP_FLAG:
            put_truth(cursor, record.response_flags != 0)
        elif op == OP_FLAGS:
            put_flags(cursor, record)
        elif op == OP_FAILURE:
            put_name(cursor, FAILURES[record.reason] if 0 <= record.reason < len(FAILURES) else None)
        elif op == OP_PYTHON:
            self.call_function(step.arg, record, cursor)
        else:
            put_byte(cursor, 45)

    def call_function(self, index: cython.int, record: Record, cursor: cython.pointer(Cursor)) -> cython.void:
        """A variable in plain Python: what it returns is escaped like any foreign text; an exception shows `-`."""
        function: object = self.functions[index]
        try:
            value = function(record)
            if value is not None and not isinstance(value, bytes):
                value = str(value).encode()
            put_name(cursor, value)
        except Exception:  # noqa: BLE001 - user code inside a C loop: the request is over, only its line can suffer
            self.failures += 1
            put_byte(cursor, 45)
            self.report(function, record)

    def report(self, function: object, record: Record) -> cython.void:
        """Log the exception being handled, unless one was logged within the last second."""
        if self.reported_at and record.end_at - self.reported_at < REPORT_EVERY_US:
            return
        self.reported_at = record.end_at or 1
        LOG.exception("access log variable %r failed (%d times so far)", function, self.failures)


@cython.cfunc
@cython.exceptval(check=False)
def speaks(record: Record, protocol: cython.int) -> cython.bint:
    """Whether the downstream protocol is the one that the variable is bound to."""
    name: bytes = record.protocol
    if name is None or PyBytes_GET_SIZE(name) != 5:
        return False
    return memcmp(PyBytes_AS_STRING(name), b"Http1" if protocol == ONLY_HTTP1 else b"Http2", 5) == 0


@cython.cfunc
@cython.exceptval(check=False)
def moment_us(record: Record, which: cython.int) -> int64_t:
    """The duration *which* in microseconds; negative or zero = its moment never came."""
    begin: int64_t = record.start_at
    if which == DUR_REQUEST_RECEIVED:
        return record.request_finished_at - begin
    if which == DUR_RESPONSE_RECEIVED:
        return record.response_head_at - begin
    if which == DUR_PROCESS and record.response_head_at and record.request_finished_at:
        return (record.request_finished_at - begin) + (record.end_at - record.response_head_at)
    return record.end_at - begin


@cython.cfunc
@cython.exceptval(check=False)
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


@cython.cfunc
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


@cython.cfunc
@cython.exceptval(check=False)
def head_length(head: Head | None) -> uint64_t:
    """Bytes of the request head in HTTP/1 form: request line, `name: value` lines, empty line."""
    length: uint64_t
    i: cython.int
    if head is None:
        return 0
    length = head.method.len + 1 + head.path.len + 11 + 2
    for i in range(head.count):
        if not head.fields[i].flags & REMOVED:
            length += head.fields[i].name_len + head.fields[i].value_len + 4
    return length


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_ident(cursor: cython.pointer(Cursor), number: uint64_t) -> cython.void:
    """A number that is unset when it is zero."""
    if number:
        put_number(cursor, number)
    else:
        put_byte(cursor, 45)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_name(cursor: cython.pointer(Cursor), name: bytes | None) -> cython.void:
    """A text, escaped: server names come from clients, the others from a config that may hold anything."""
    if name is None or PyBytes_GET_SIZE(name) == 0:
        put_byte(cursor, 45)
    else:
        put_escaped(cursor, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))


@cython.cfunc
@cython.exceptval(check=False)
def put_slice(cursor: cython.pointer(Cursor), text: cython.p_char, length: cython.size_t) -> cython.void:
    """Foreign bytes, `-` when there are none."""
    if length:
        put_escaped(cursor, text, length)
    else:
        put_byte(cursor, 45)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_truth(cursor: cython.pointer(Cursor), truth: cython.bint) -> cython.void:
    """Go's strconv.FormatBool."""
    if truth:
        put_text(cursor, b"true", 4)
    else:
        put_text(cursor, b"false", 5)


@cython.cfunc
@cython.exceptval(check=False)
def put_flags(cursor: cython.pointer(Cursor), record: Record) -> cython.void:
    """The letters of the reason; flags without a reason (an injected delay) as MOSN's bits."""
    if 0 < record.reason < len(LETTERS):
        put_name(cursor, LETTERS[record.reason])
    elif record.response_flags:
        put_hex(cursor, record.response_flags)
    else:
        put_byte(cursor, 45)


@cython.cfunc
@cython.exceptval(check=False)
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


@cython.cfunc
@cython.exceptval(check=False)
def put_part(cursor: cython.pointer(Cursor), head: Head | None, which: cython.int) -> cython.void:
    """A pseudo-header of the request, or what is before or behind the question mark of its path."""
    path: cython.p_char
    query: cython.p_char
    if head is None:
        put_byte(cursor, 45)
    elif which == PART_SCHEME:
        put_slice(cursor, head.at(head.scheme.at), head.scheme.len)
    elif which == PART_METHOD:
        put_slice(cursor, head.at(head.method.at), head.method.len)
    elif which == PART_AUTHORITY:
        put_slice(cursor, head.at(head.authority.at), head.authority.len)
    else:
        path = head.at(head.path.at)
        query = cython.cast(cython.p_char, memchr(path, 63, head.path.len)) if head.path.len else cython.NULL
        if which == PART_URI or (which == PART_PATH and query == cython.NULL):
            put_slice(cursor, path, head.path.len)
        elif which == PART_PATH:
            put_slice(cursor, path, query - path)
        elif query == cython.NULL:
            put_byte(cursor, 45)
        else:
            put_slice(cursor, query + 1, path + head.path.len - query - 1)


@cython.cfunc
@cython.exceptval(check=False)
def put_field(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The first header field of that name."""
    index: cython.int = head.find(step.text, step.text_len, -1) if head is not None else -1
    if index < 0:
        put_byte(cursor, 45)
    else:
        put_slice(cursor, head.at(head.fields[index].value_at), head.fields[index].value_len)


@cython.cfunc
@cython.exceptval(check=False)
def put_pair_value(
    cursor: cython.pointer(Cursor), text: cython.p_char, end: cython.p_char, separator: cython.char, step: cython.pointer(CStep)
) -> cython.bint:
    """The value of the pair `name=value` in *text*, which *separator* divides; False = there is no such pair."""
    stop: cython.p_char
    while text < end:
        while text < end and text[0] == 32:
            text += 1
        stop = cython.cast(cython.p_char, memchr(text, separator, end - text))
        if stop == cython.NULL:
            stop = end
        if stop - text > step.text_len and text[step.text_len] == 61 and memcmp(text, step.text, step.text_len) == 0:
            put_slice(cursor, text + step.text_len + 1, stop - text - step.text_len - 1)
            return True
        text = stop + 1
    return False


@cython.cfunc
@cython.exceptval(check=False)
def put_cookie(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The value of the first cookie of that name (RFC 6265 section 4.2.1); names of cookies are case-sensitive."""
    index: cython.int = head.find(b"cookie", 6, -1) if head is not None else -1
    value: cython.p_char
    while index >= 0:
        value = head.at(head.fields[index].value_at)
        if put_pair_value(cursor, value, value + head.fields[index].value_len, 59, step):
            return
        index = head.find(b"cookie", 6, index)
    put_byte(cursor, 45)


@cython.cfunc
@cython.exceptval(check=False)
def put_query_arg(cursor: cython.pointer(Cursor), head: Head | None, step: cython.pointer(CStep)) -> cython.void:
    """The value of the first query argument of that name, as sent (no percent-decoding)."""
    path: cython.p_char
    query: cython.p_char
    if head is not None and head.path.len:
        path = head.at(head.path.at)
        query = cython.cast(cython.p_char, memchr(path, 63, head.path.len))
        if query != cython.NULL and put_pair_value(cursor, query + 1, path + head.path.len, 38, step):
            return
    put_byte(cursor, 45)
