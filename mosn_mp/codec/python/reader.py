"""The reading half of the codec of a PythonProtocol: asks its decode() for heads, passes bodies by, contains what it does wrong.

state      next_event gives                                      then
BETWEEN    HEAD; HEARTBEAT, HEARTBEAT_REPLY, GOAWAY              BODY, COMPLETE without one; BETWEEN, a body is skipped
BODY       DATA, pieces of the body as they come                 COMPLETE behind the last
COMPLETE   END                                                   BETWEEN
any        ERROR, for what decode() did or what it says          LOST
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import F_LENGTH, Head, method_number
from cython.cimports.mosn_mp.buffer.names import checked_name, checked_pseudo, checked_value
from cython.cimports.mosn_mp.codec.codec import CLIENT, DATA, END, ERROR, HEAD, NEED_MORE, SERVER, Codec
from cython.cimports.mosn_mp.codec.codec import GOAWAY as GOAWAY_EVENT
from cython.cimports.mosn_mp.codec.codec import HEARTBEAT as HEARTBEAT_EVENT
from cython.cimports.mosn_mp.codec.codec import HEARTBEAT_REPLY as HEARTBEAT_REPLY_EVENT
from cython.cimports.mosn_mp.codec.python.limits import PythonLimits
from cython.cimports.mosn_mp.codec.python_protocol import GOAWAY, HEARTBEAT, ONE_WAY, REQUEST, RESPONSE, Frame

from mosn_mp.codec.python.limits import line_of
from mosn_mp.errors import Reason

BAD_REQUEST = cython.declare(cython.int, int(Reason.BAD_REQUEST))
BODY_TOO_LARGE = cython.declare(cython.int, int(Reason.BODY_TOO_LARGE))
HEAD_TOO_LARGE = cython.declare(cython.int, int(Reason.HEAD_TOO_LARGE))
INTERNAL = cython.declare(cython.int, int(Reason.INTERNAL))
UPSTREAM_CLOSED = cython.declare(cython.int, int(Reason.UPSTREAM_CLOSED))
UPSTREAM_PROTOCOL = cython.declare(cython.int, int(Reason.UPSTREAM_PROTOCOL))

# decode() first sees this much: most heads are shorter, and what is copied for it does not grow with what waits in the input.
FIRST_BYTES = cython.declare(uint32_t, 256)
WINDOW_GROWTH = cython.declare(uint32_t, 16)


class PythonReader(Codec):
    """Everything of PythonCodec but writing."""

    def __init__(self, role: cython.int, limits: PythonLimits) -> None:
        self.role = role
        self.limits = limits
        self.keep_alive = True

    def next_event(self, input: cython.pointer(Buf)) -> cython.int:
        """The next Event in *input*."""
        frame: Frame
        if self.state == BODY:
            return self._read_body(input)
        if self.state == COMPLETE:
            self.state = BETWEEN
            return END
        if self.state == LOST:
            return ERROR
        if input.start == input.end:
            return NEED_MORE
        frame = self._decode(input)
        if frame is not None:
            return self._take(frame, input)
        if self.state == LOST:
            return ERROR
        if input.end - input.start >= self.limits.max_head:
            return self._blame(HEAD_TOO_LARGE, f"decode: no frame in {input.end - input.start} bytes")
        return NEED_MORE

    def _decode(self, input: cython.pointer(Buf)) -> Frame:
        """The Frame at input.start; None: more bytes are needed, or, in the state LOST, something is wrong."""
        frame: Frame = None
        available: uint32_t = input.end - input.start
        window: uint32_t = 0
        try:
            while frame is None and window < available:
                window = window * WINDOW_GROWTH if window else FIRST_BYTES
                window = min(window, available)
                frame = self.limits.protocol.decode(PyBytes_FromStringAndSize(input.base + input.start, window))
        except BaseException as e:  # noqa: BLE001 - the user's code may raise anything, and only this connection shall suffer
            self._blame(BAD_REQUEST, f"decode: {line_of(e)}")
            return None
        if frame is not None and not 0 < frame.head_size <= window:
            self._blame(INTERNAL, f"decode: a head of {frame.head_size} bytes in {window}")
            return None
        return frame

    def _take(self, frame: Frame, input: cython.pointer(Buf)) -> cython.int:
        """The event of *frame*, whose head is consumed."""
        if self._check(frame) == ERROR:
            return ERROR
        self.stream_id = frame.id
        self.left = cython.cast(uint64_t, frame.body_size)
        if frame.kind <= RESPONSE:
            return self._take_message(frame, input)
        size: uint64_t = frame.head_size + self.left
        self.left = 0
        if size > self.limits.max_head:
            return self._lose(BODY_TOO_LARGE, "a heartbeat or goaway with a body")
        if size > input.end - input.start:
            return NEED_MORE
        input.start += cython.cast(uint32_t, size)
        if frame.kind == GOAWAY:
            return GOAWAY_EVENT
        return HEARTBEAT_EVENT if frame.kind == HEARTBEAT else HEARTBEAT_REPLY_EVENT

    def _check(self, frame: Frame) -> cython.int:
        """HEAD, or ERROR if *frame* cannot be."""
        if not REQUEST <= frame.kind <= GOAWAY:
            return self._blame(INTERNAL, f"decode: there is no kind {frame.kind}")
        if (frame.kind == RESPONSE and self.role == SERVER) or (frame.kind < RESPONSE and self.role == CLIENT):
            return self._lose(BAD_REQUEST, "a request where a response belongs, or the other way round")
        if frame.body_size < 0:
            return self._blame(INTERNAL, f"decode: a body of {frame.body_size} bytes")
        if frame.head_size + cython.cast(uint64_t, frame.body_size) > self.limits.max_frame:
            return self._lose(BODY_TOO_LARGE, f"a frame of {frame.head_size + frame.body_size} bytes is above the limit")
        if self.limits.id_bytes < 8 and frame.id >> (8 * self.limits.id_bytes):
            return self._blame(INTERNAL, f"decode: the id {frame.id} has more than {8 * self.limits.id_bytes} bits")
        if frame.kind == RESPONSE and not 200 <= frame.status <= 599:
            return self._blame(INTERNAL, f"decode: {frame.status} is no status of a response")
        return HEAD

    def _take_message(self, frame: Frame, input: cython.pointer(Buf)) -> cython.int:
        try:
            self._fill_head(frame, input)
        except BaseException as e:  # noqa: BLE001 - headers are whatever the user's decode() made of them
            return self._blame(BAD_REQUEST, f"decode: {line_of(e)}")
        input.start += frame.head_size
        self.timeout_ms = frame.timeout_ms
        self.one_way = frame.kind == ONE_WAY
        self.body_done = self.left == 0
        self.state = BODY if self.left else COMPLETE
        return HEAD

    def _fill_head(self, frame: Frame, input: cython.pointer(Buf)) -> cython.int:
        """What *frame* says, in the head; ValueError if it may not be said."""
        head: Head = self.head
        name: bytes
        value: bytes
        paths: dict[bytes, bytes] = {}
        head.clear()
        head.bind(input.base)
        head.store(cython.cast(cython.p_char, cython.address(self.left)), LENGTH_BYTES)
        for given, text in frame.headers:
            name = checked_name(given)
            value = checked_value(text)
            if head.count == self.limits.max_fields:
                raise ValueError(f"more than {self.limits.max_fields} headers")
            head.add_field(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
            paths.setdefault(name, value)
        if frame.kind == RESPONSE:
            head.status = frame.status
        else:
            value = paths.get(b"x-mosn-method", b"POST")
            head.method_id = method_number(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
            _set_pseudo(head, "method", value)
            _set_pseudo(head, "path", paths.get(b"x-mosn-path") or _rpc_path(paths))
            _set_pseudo(head, "authority", paths.get(b"x-mosn-host", b""))
        head.framing = F_LENGTH
        head.content_length = frame.body_size
        head.keep_alive = True
        head.raw.at = input.start
        head.raw.len = frame.head_size
        head.raw_protocol = self.limits.family
        head.edited = False
        return 0

    def _read_body(self, input: cython.pointer(Buf)) -> cython.int:
        available: uint32_t = input.end - input.start
        if available == 0:
            return NEED_MORE
        if available > self.left:
            available = cython.cast(uint32_t, self.left)
        self.data_at = input.start
        self.data_len = available
        input.start += available
        self.left -= available
        if self.left == 0:
            self.body_done = True
            self.state = COMPLETE
        return DATA

    def end_of_input(self, input: cython.pointer(Buf)) -> cython.int:
        """A close between two frames is clean."""
        if self.state == LOST:
            return ERROR
        if self.state == COMPLETE:
            self.state = BETWEEN
            return END
        if self.state == BETWEEN and input.start == input.end:
            return NEED_MORE
        return self._lose(UPSTREAM_CLOSED if self.role == CLIENT else BAD_REQUEST, "connection closed inside a frame")

    def restore(self, word: uint32_t) -> cython.void:
        """Serve another connection: nothing outlives a frame."""
        self.state = BETWEEN
        self.left = self.out_left = 0
        self.refused = self.close_after = False
        self.keep_alive = True
        self.reason = 0
        self.detail = b""

    def _blame(self, reason: cython.int, problem: str) -> cython.int:
        """The connection is lost by what the user's code said or did."""
        self.limits.tell(problem)
        return self._lose(reason, problem)

    def _lose(self, reason: cython.int, problem: str) -> cython.int:
        """The connection is lost; whatever a server does wrong is UPSTREAM_PROTOCOL, unless it just closed."""
        self.state = LOST
        self.keep_alive = False
        self.problem = problem.encode("utf-8", "replace")
        if self.role == CLIENT and reason != UPSTREAM_CLOSED:
            reason = UPSTREAM_PROTOCOL
        return self.fail(reason, PyBytes_AS_STRING(self.problem))


@cython.cfunc
@cython.exceptval(-1, check=False)
def _set_pseudo(head: Head, name: str, text: bytes) -> cython.int:
    checked: bytes = checked_pseudo(name, text)
    return head.set_slice(head.pseudo(name), PyBytes_AS_STRING(checked), PyBytes_GET_SIZE(checked))


def _rpc_path(paths: dict[bytes, bytes]) -> bytes:
    """`/service/method`, as far as they are known."""
    return b"/" + b"/".join(paths[name] for name in (b"service", b"method") if paths.get(name))
