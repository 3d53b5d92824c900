"""A load client that believes nothing: `python -m tests.rpc.load PORT CONNECTIONS RATE SECONDS [PROTOCOL [DEPTH]]`, a process.

Sends RATE requests a second in all, each with a content of its own, whether answers come or not; opens a connection anew when it
was closed. With a DEPTH each connection keeps that many requests under way instead, until SIGTERM or SECONDS are over. At the end
it waits DRAIN_S for answers and prints one line of JSON, the fields of Result: every request is counted exactly once, as right,
failed (an error frame with its status), lost (its connection was closed) or silent (nothing came).
"""

import array
import json
import selectors
import signal
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field

from tests.rpc.wire import REQUEST_CLASS, RESPONSE_CLASS, encode_fields

TICK_S = 0.005
DRAIN_S = 8.0
READ_SIZE = 1 << 17
BLOCK = encode_fields([(b"service", b"com.example.Echo:1.0"), (b"sofa_head_method_name", b"say")])
PADDING = b"." * 240
TIMEOUT_MS = 5000
REST = struct.pack(">iHHI", TIMEOUT_MS, len(REQUEST_CLASS), len(BLOCK), 16 + len(PADDING)) + REQUEST_CLASS + BLOCK
HEADS = {1: bytes([1, 1, 0, 1, 1]), 2: bytes([2, 1, 1, 0, 1, 1])}
TAILS = {1: b"\x01" + REST, 2: b"\x01\x00" + REST}
U32 = struct.Struct(">I")
GOAWAY_LENGTH = 22  # in v1
LENGTHS = struct.Struct(">HHHI")  # status, class, header block, content


@dataclass
class Result:
    """What became of the requests."""

    sent: int = 0
    right: int = 0
    failed: dict[str, int] = field(default_factory=dict)  # by status
    lost: int = 0
    silent: int = 0
    unasked: int = 0  # answers to nothing, or the second answer to something
    wrong: int = 0  # answers that are not what was asked for
    refused: int = 0  # connects that failed
    goaways: int = 0
    closed_at: list[float] = field(default_factory=list)  # monotonic times of connections that the other side closed
    failed_at: list[float] = field(default_factory=list)  # monotonic times of error frames
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Line:
    """One connection and the requests under way on it."""

    def __init__(self, load: "Load", number: int) -> None:
        self.load = load
        self.number = number
        self.pending: dict[int, tuple[bytes, float]] = {}
        self.last_id = number << 8  # connections use different ids and the same ids, both
        self.sock: socket.socket | None = None
        self.unread = b""
        self.unsent = b""
        self.goes_away = False

    def open(self) -> None:
        """Connect, if it is not connected."""
        if self.sock is not None:
            return
        try:
            self.sock = socket.create_connection(("127.0.0.1", self.load.port), timeout=1)
        except OSError:
            self.load.result.refused += 1
            return
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = self.unsent = b""
        self.load.selector.register(self.sock, selectors.EVENT_READ, self)

    def ask(self, count: int, now: float) -> None:
        """Send *count* requests in one write."""
        self.open()
        if self.sock is None:
            return
        head, tail = HEADS[self.load.protocol], TAILS[self.load.protocol]
        out = [self.unsent]
        for _ in range(count):
            self.last_id += 1
            token = b"%04x%012x" % (self.number, self.last_id)
            self.pending[self.last_id] = (token, now)
            out += [head, U32.pack(self.last_id), tail, token, PADDING]
        self.load.result.sent += count
        self.unsent = b"".join(out)
        self.flush()

    def flush(self) -> None:
        """Send what is not sent yet."""
        assert self.sock is not None
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.lose()

    def lose(self) -> None:
        """The other side has ended the connection."""
        self.load.result.lost += len(self.pending)
        self.load.result.closed_at.append(time.monotonic())
        self.close()

    def close(self) -> None:
        """End the connection."""
        assert self.sock is not None
        self.load.selector.unregister(self.sock)
        self.sock.close()
        self.sock = None
        self.goes_away = False
        self.pending.clear()

    def read(self) -> None:
        """Take what has come."""
        assert self.sock is not None
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lose()
            return
        self._take(self.unread + data)
        if self.goes_away and not self.pending:
            self.close()

    def _take(self, buf: bytes) -> None:
        at, now = 0, time.monotonic()
        shift = self.load.protocol - 1
        fixed = 20 + 2 * shift
        while len(buf) - at >= fixed:
            kind, command = buf[at + 1 + shift], buf[at + 3 + shift]
            if buf[at] != self.load.protocol or kind > 1:
                raise SystemExit(f"connection {self.number}: no frame: {buf[at : at + 64]!r}")
            if kind == 1:  # a request of the proxy: GOAWAY
                at += GOAWAY_LENGTH + 2 * shift
                self.load.result.goaways += command == 100
                self.goes_away = True
                continue
            status, class_len, block_len, content_len = LENGTHS.unpack_from(buf, at + 10 + 2 * shift)
            content_at = at + fixed + class_len + block_len
            end = content_at + content_len
            if end > len(buf):
                break
            (id_,) = U32.unpack_from(buf, at + 5 + shift)
            self._judge(id_, status, buf[at + fixed : at + fixed + class_len], buf[content_at:end], now)
            at = end
        self.unread = buf[at:]

    def _judge(self, id_: int, status: int, class_name: bytes, content: bytes, now: float) -> None:
        result = self.load.result
        token, asked_at = self.pending.pop(id_, (b"", 0.0))
        if not token:
            result.unasked += 1
        elif status:
            result.failed[str(status)] = result.failed.get(str(status), 0) + 1
            result.failed_at.append(now)
        elif class_name != RESPONSE_CLASS or content != token + PADDING:
            result.wrong += 1
        else:
            result.right += 1
            self.load.latencies.append(now - asked_at)


class Load:
    """All connections, at one rate."""

    def __init__(self, port: int, connections: int, rate: float, seconds: float, protocol: int, depth: int = 0) -> None:
        self.depth = depth
        self.is_ended = False
        self.port, self.rate, self.seconds, self.protocol = port, rate, seconds, protocol
        self.result = Result()
        self.latencies = array.array("d")
        self.selector = selectors.DefaultSelector()
        self.lines = [Line(self, i) for i in range(connections)]

    def run(self) -> Result:
        """Ask for the whole time, wait for the rest."""
        if self.depth:
            self._keep_under_way()
        else:
            self._keep_rate()
        until = time.monotonic() + DRAIN_S
        while any(line.pending for line in self.lines) and time.monotonic() < until:
            self._read(time.monotonic() + TICK_S)
        self._finish()
        return self.result

    def end(self, *_: object) -> None:
        """Ask no more."""
        self.is_ended = True

    def _keep_under_way(self) -> None:
        until = time.monotonic() + self.seconds
        while (now := time.monotonic()) < until and not self.is_ended:
            for line in self.lines:
                if len(line.pending) < self.depth and not line.goes_away:
                    line.ask(self.depth - len(line.pending), now)
            self._read(now + TICK_S)

    def _keep_rate(self) -> None:
        start = time.monotonic()
        due, turn = 0.0, 0
        while (now := time.monotonic()) < start + self.seconds:
            asked = due
            due = (now - start) * self.rate
            share, more = divmod(int(due) - int(asked), len(self.lines))
            for i in range(len(self.lines)):
                turn += 1
                count = share + (i < more)
                line = self.lines[turn % len(self.lines)]
                if count and not line.goes_away:
                    line.ask(count, now)
            turn += more
            self._read(now + TICK_S)

    def _read(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                line: Line = key.data
                if line.sock is not None:
                    line.read()
            for line in self.lines:
                if line.unsent and line.sock is not None:
                    line.flush()

    def _finish(self) -> None:
        self.result.silent = sum(len(line.pending) for line in self.lines)
        ordered = sorted(self.latencies)
        if ordered:
            self.result.p50_ms = ordered[len(ordered) // 2] * 1000
            self.result.p99_ms = ordered[len(ordered) * 99 // 100] * 1000


def main(port: str, connections: str, rate: str, seconds: str, protocol: str = "1", depth: str = "0") -> None:
    """Run and print the result."""
    load = Load(int(port), int(connections), float(rate), float(seconds), int(protocol), int(depth))
    signal.signal(signal.SIGTERM, load.end)
    sys.stdout.write(json.dumps(asdict(load.run())) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
