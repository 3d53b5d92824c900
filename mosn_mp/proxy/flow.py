"""One direction of a stream: body bytes from the source's codec to the target's, with back-pressure and bounded memory.

A piece is written before the next is read, so a flow never holds more than one read block. pump() works until something stops it
and never switches greenlets; Stream waits. Small pieces are copied behind the pending output, large ones leave at once, uncopied;
where both sides carry the plain payload (known length, tunnel) and no filter looks at it, splice(2) moves it inside the kernel.

    stage: NO_PIECE -> PREFIX -> PAYLOAD -> SUFFIX -> NO_PIECE      prefix and suffix: chunk framing, written by the codec
"""

import cython
from cython.cimports.libc.errno import EAGAIN, errno
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.codec.codec import DATA, END, ERROR, NEED_MORE, TRAILERS, Codec
from cython.cimports.mosn_mp.filter.chain import TERMINATE, FilteredStream
from cython.cimports.mosn_mp.net.connection.connection import BLOCK_LARGE, EOF, RESET, Connection
from cython.cimports.mosn_mp.net.connection.splice import PipePool, move
from cython.cimports.mosn_mp.net.reactor.reactor import READ, WRITE

# Up to this size a piece is copied: memcpy is cheaper than a system call of its own.
COPY_BYTES = cython.declare(uint32_t, 8192)
# What a codec may put around a piece: 16 hex digits and two line ends.
FRAMING_ROOM = cython.declare(uint32_t, 24)
# Room for the end of a body with trailers is asked of the head; without: "0\r\n\r\n".
END_ROOM = cython.declare(uint32_t, 16)
# Bytes one flow may move before others have their turn.
SHARE_BYTES = cython.declare(int64_t, 1 << 20)
# A rest smaller than this is not worth a pipe.
SPLICE_BYTES = cython.declare(uint64_t, 1 << 15)
SPLICE_MAX = cython.declare(uint64_t, 1 << 18)


class Flow:
    """The request's or the response's body on its way through."""

    def __cinit__(self, pipes: PipePool, stream: FilteredStream, is_response: cython.bint) -> None:
        self.pipes = pipes
        self.stream = stream
        self.is_response = is_response
        self.pipe_read = -1

    def __dealloc__(self) -> None:
        if self.pipe_read >= 0:
            self.pipes.discard(self.pipe_read, self.pipe_write)

    def start(self, source: Connection, reader: Codec, target: Connection, writer: Codec) -> cython.void:
        """Begin a body; clear() must have ended the one before."""
        self.source = source
        self.reader = reader
        self.target = target
        self.writer = writer

    def clear(self) -> cython.void:
        """Forget everything; bytes in a pipe go with it."""
        if self.source is None and not self.ended:
            return
        self.source = self.target = None
        self.reader = self.writer = None
        self.filters = None
        self.held = None
        self.raw = self.has_trailers = self.end_seen = self.ended = self.discard = self.broken_off = False
        self.stage = NO_PIECE
        self.reason = 0
        self.body_bytes = 0
        if self.pipe_read >= 0:
            if self.in_pipe or self.is_pipe_foreign:
                self.pipes.discard(self.pipe_read, self.pipe_write)
            else:
                self.pipes.give_back(self.pipe_read, self.pipe_write)
            self.pipe_read = -1
            self.in_pipe = 0
            self.is_pipe_foreign = False

    def pump(self) -> cython.int:
        """Move what can be moved now; the Stop that ended it."""
        event: cython.int
        stop: cython.int
        share: int64_t = SHARE_BYTES
        while True:
            stop = self._write_rest()
            if stop:
                return stop
            if self.end_seen:
                return self._write_end()
            event = self.reader.next_event(cython.address(self.source.input))
            if event == DATA:
                share -= self.reader.data_len
                stop = self._take_piece(self.source.input.base + self.reader.data_at, self.reader.data_len)
                if stop:
                    return stop
            elif event == NEED_MORE:
                if share <= 0:
                    return YIELD
                stop = self._read_more()
                if stop:
                    return stop
                share -= cython.cast(int64_t, self.in_pipe)
            elif event == END:
                self.end_seen = True
                if self.filters is not None:
                    stop = self._filter(b"", True)
                    if stop:
                        return stop
            elif event == TRAILERS:
                self.has_trailers = True
                if self.filters is not None:
                    stop = self._filter_trailers()
                    if stop:
                        return stop
            else:
                self.reason = self.reader.reason if event == ERROR else 0
                return READ_FAILED

    def _write_rest(self) -> cython.int:
        """Write what was read before; 0 when nothing of it is left, else the Stop."""
        stop: cython.int = self._write_piece() if self.stage != NO_PIECE else 0
        if stop == 0 and self.in_pipe:
            stop = self._empty_pipe()
        return stop

    def _take_piece(self, payload: cython.pointer(cython.const[cython.char]), length: uint32_t) -> cython.int:
        self.body_bytes += length
        if self.discard:
            return READ_FAILED if self.body_bytes > self.max_discard else 0
        if self.filters is not None:
            return self._filter(payload[:length], False)
        self.payload = payload
        self.length = length
        self.stage = PREFIX
        return 0

    def _filter(self, piece: bytes, end: cython.bint) -> cython.int:
        """Let the filters see *piece*; what they return becomes the piece to write."""
        if self.is_response:
            if self.filters.has_response_data:
                piece = self.filters.run_response_data(self.stream, piece, end)
        elif self.filters.has_request_data:
            piece = self.filters.run_request_data(self.stream, piece, end)
        if self.stream.replied:
            return REPLIED
        if piece:
            self.held = piece
            self.payload = self.held
            self.length = cython.cast(uint32_t, len(piece))
            self.stage = PREFIX
            return self._write_piece()
        return 0

    def _filter_trailers(self) -> cython.int:
        verdict: cython.int = 0
        if self.is_response:
            if self.filters.has_response_trailers:
                verdict = self.filters.run_response_trailers(self.stream)
        elif self.filters.has_request_trailers:
            verdict = self.filters.run_request_trailers(self.stream)
        if verdict == TERMINATE:
            return TERMINATED
        return REPLIED if self.stream.replied else 0

    def _write_piece(self) -> cython.int:
        """Write the current piece as far as it goes; 0 when it is written."""
        count: cython.Py_ssize_t
        target: Connection = self.target
        if target.broken:
            return WRITE_FAILED
        if self.stage == PREFIX:
            if self.length <= COPY_BYTES:
                if not target.reserve(self.length + FRAMING_ROOM):
                    return BLOCKED_WRITE if not target.broken else WRITE_FAILED
                self.writer.begin_data(self.length, cython.address(target.output))
                memcpy(target.output.base + target.output.end, self.payload, self.length)
                target.output.end += self.length
                self.writer.end_data(cython.address(target.output))
                target.written()
                self.stage = NO_PIECE
                return 0
            if not target.reserve(FRAMING_ROOM):
                return BLOCKED_WRITE if not target.broken else WRITE_FAILED
            self.writer.begin_data(self.length, cython.address(target.output))
            self.stage = PAYLOAD
        while self.stage == PAYLOAD:
            count = target.send_through(self.payload, self.length)
            if count < 0:
                return WRITE_FAILED
            self.payload += count
            self.length -= cython.cast(uint32_t, count)
            if self.length == 0:
                self.stage = SUFFIX
            elif not target.ready & WRITE:
                return BLOCKED_WRITE
        if not target.reserve(FRAMING_ROOM):
            return BLOCKED_WRITE if not target.broken else WRITE_FAILED
        self.writer.end_data(cython.address(target.output))
        target.written()
        self.stage = NO_PIECE
        return 0

    def _write_end(self) -> cython.int:
        room: uint32_t = END_ROOM
        if not self.ended and not self.discard:
            if self.target.broken:
                return WRITE_FAILED
            if self.has_trailers:
                room += self.reader.trailers.wire_bound()
            if not self.target.reserve(room):
                return BLOCKED_WRITE if not self.target.broken else WRITE_FAILED
            self.writer.write_end(self.reader.trailers if self.has_trailers else None, cython.address(self.target.output))
            self.target.written()
        self.ended = True
        return ENDED

    def _read_more(self) -> cython.int:
        """Read once: 0 = go on, else the Stop."""
        count: cython.int
        event: cython.int
        if self.raw and self.reader.splice_length() >= SPLICE_BYTES and self.filters is None and not self.discard:
            return self._splice()
        count = self.source.fill(BLOCK_LARGE)
        if count > 0:
            return 0
        if count == EOF:
            event = self.reader.end_of_input(cython.address(self.source.input))
            if event == END:
                self.end_seen = True
                return 0
            self.reason = self.reader.reason if event == ERROR else 0
            return READ_FAILED
        if count == RESET:
            return READ_FAILED
        return BLOCKED_READ

    def _splice(self) -> cython.int:
        """Move one pipe's worth past the codec, into the empty pipe; 0, or the Stop."""
        count: cython.Py_ssize_t
        length: uint64_t = self.reader.splice_length()
        ends: cython.int[2]
        event: cython.int
        if length > SPLICE_MAX:
            length = SPLICE_MAX
        if not self.source.ready & READ:
            return BLOCKED_READ
        if self.pipe_read < 0:
            if not self.pipes.take(ends):
                self.raw = False
                return 0
            self.pipe_read = ends[0]
            self.pipe_write = ends[1]
        count = move(self.source.fd, self.pipe_write, length)
        if count > 0:
            self.in_pipe = count
            self.reader.spliced(count)
            self.body_bytes += count
            self.source.bytes_read += count
            self.source.keeper.read_cell[0] += count
            # frames nothing here, but has to know of every byte of the message
            self.writer.begin_data(count, cython.address(self.target.output))
            return 0
        if count < 0:
            if errno == EAGAIN:
                self.source.ready &= ~READ
                return BLOCKED_READ
            if self.source.reactor.is_shortage(errno):
                self.source.reactor.starve(self.source)
                return BLOCKED_READ
            return READ_FAILED
        event = self.reader.end_of_input(cython.address(self.source.input))
        if event == END:
            self.end_seen = True
            return 0
        return READ_FAILED

    def _empty_pipe(self) -> cython.int:
        """Move what the pipe holds to the target; 0 when it is empty, else the Stop."""
        count: cython.Py_ssize_t
        target: Connection = self.target
        if target.output.end > target.output.start:
            target.flush()
            if target.output.end > target.output.start:
                return BLOCKED_WRITE
        while self.in_pipe:
            if target.broken:
                return WRITE_FAILED
            if not target.ready & WRITE:
                return BLOCKED_WRITE
            count = move(self.pipe_read, target.fd, self.in_pipe)
            if count > 0:
                self.in_pipe -= count
                target.keeper.write_cell[0] += count
            elif count < 0 and errno == EAGAIN:
                target.ready &= ~WRITE
            elif count < 0 and target.reactor.is_shortage(errno):
                target.ready &= ~WRITE
                target.reactor.starve(target)
            else:
                return WRITE_FAILED
        return 0
