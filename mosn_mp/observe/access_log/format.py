"""An access log format at work: compiled once into steps, run for each request by one switch that writes into a C buffer.

A variable without a value shows `-`. Moments follow MOSN's RequestInfo: request_received is when the request was handed to the
upstream, response_received when the response head came, request_finished and duration the end of the stream, process_time what
is left of it without the upstream (pkg/proxy/var.go).
"""

import logging

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.mosn_mp.observe.access_log.heads import put_cookie, put_field, put_part, put_query_arg
from cython.cimports.mosn_mp.observe.access_log.record import Record
from cython.cimports.mosn_mp.observe.access_log.text import (
    Cursor,
    put_byte,
    put_duration,
    put_name,
    put_number,
    put_text,
    put_time,
)
from cython.cimports.mosn_mp.observe.access_log.values import moment_us, name_of, number_of, put_address, put_flags, speaks
from cython.cimports.mosn_mp.observe.access_log.variables import (
    ANY_PROTOCOL,
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
    CStep,
)

from mosn_mp.errors import Reason
from mosn_mp.observe.access_log.variables import parse_format

LOG = logging.getLogger("mosn_mp.access_log")
REPORT_EVERY_US = 1_000_000  # a broken function is called for every request; its traceback is logged once a second

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
def put_truth(cursor: cython.pointer(Cursor), truth: cython.bint) -> cython.void:
    """Go's strconv.FormatBool."""
    if truth:
        put_text(cursor, b"true", 4)
    else:
        put_text(cursor, b"false", 5)
