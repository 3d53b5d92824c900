"""A bolt server for load, as a process: `python -m tests.rpc.echo PORT [DELAY_S]` prints the port, then answers until killed.

Answers leave DELAY_S after their requests came: meanwhile those are under way.
Every request is answered in its own version with its own content; a request whose content begins with `big` gets 64 KiB more.
SIGUSR1: every connection that has carried a request says GOAWAY and goes on answering. One thread, one write per read.
"""

import selectors
import signal
import socket
import struct
import sys
import time
from collections import deque
from types import FrameType

from tests.rpc.wire import RESPONSE_CLASS, Frame, encode_fields, goaway, heartbeat_reply

READ_SIZE = 1 << 17
MAX_UNSENT = 8 << 20  # of a connection: it is not read while more waits, as a real server would push back
HELD_S = 0.005  # how late an answer that is held may leave
BIG = bytes(1 << 16)
BLOCK = encode_fields([(b"sofa_head_response_error", b"false")])
REST = RESPONSE_CLASS + BLOCK
TYPE = struct.Struct(">BHBI")
ANSWER_V1 = struct.Struct(">BBHBIBHHHI")
ANSWER_V2 = struct.Struct(">BBBHBIBBHHHI")


class Peer:
    """A connection with what is not read and not written yet."""

    def __init__(self, sock: socket.socket, delay_s: float) -> None:
        self.sock = sock
        self.delay_s = delay_s
        self.unread = b""
        self.held: deque[tuple[float, bytes]] = deque()  # answers, and when they are to be sent
        self.unsent = bytearray()
        self.asked_in = (0, 1)  # protocol and ver1 of its requests, 0 = none yet

    def take(self, data: bytes) -> None:
        """Answer the frames that *data* completes."""
        buf = self.unread + data
        at, out = 0, bytearray()
        while len(buf) - at >= 24 or (len(buf) - at >= 22 and buf[at] == 1):
            shift = 2 if buf[at] == 2 else 0
            class_len, block_len, content_len = struct.unpack_from(">HHI", buf, at + 14 + shift)
            content_at = at + 22 + shift + class_len + block_len
            end = content_at + content_len
            if end > len(buf):
                break
            kind, command, _, id_ = TYPE.unpack_from(buf, at + 1 + shift // 2)
            if command == 1 and kind == 1:
                self._answer(buf[at], buf[at + 1], id_, buf[content_at:end], out)
            elif command == 0 and kind != 0:
                out += heartbeat_reply(Frame(1, 0, id_, protocol=buf[at], ver1=buf[at + 1] if shift else 1)).encode()
            at = end
        self.unread = buf[at:]
        self.held.append((time.monotonic() + self.delay_s, bytes(out)))

    def release(self) -> None:
        """What was held long enough is to be sent."""
        now = time.monotonic()
        while self.held and self.held[0][0] <= now:
            self.unsent += self.held.popleft()[1]

    def _answer(self, protocol: int, ver1: int, id_: int, content: bytes, out: bytearray) -> None:
        self.asked_in = (protocol, ver1 if protocol == 2 else 1)
        if content.startswith(b"big"):
            content += BIG
        lengths = (len(RESPONSE_CLASS), len(BLOCK), len(content))
        if protocol == 2:
            out += ANSWER_V2.pack(2, ver1, 0, 2, 1, id_, 1, 0, 0, *lengths)
        else:
            out += ANSWER_V1.pack(1, 0, 2, 1, id_, 1, 0, *lengths)
        out += REST
        out += content


class Server:
    """All connections in one selector."""

    def __init__(self, port: int, delay_s: float) -> None:
        self.delay_s = delay_s
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.peers: set[Peer] = set()
        self.must_say_goaway = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """SIGUSR1 has come."""
        self.must_say_goaway = True

    def serve(self) -> None:
        """Until killed."""
        signal.signal(signal.SIGUSR1, self.on_signal)
        sys.stdout.write(f"{self.listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            for key, events in self.selector.select(HELD_S if self.delay_s else 0.1):
                if key.data is None:
                    self._accept()
                elif not self._exchange(key.data, events):
                    self.selector.unregister(key.data.sock)
                    key.data.sock.close()
                    self.peers.discard(key.data)
            if self.delay_s:
                for peer in [peer for peer in self.peers if peer.held]:
                    peer.release()
                    self._flush(peer)
            if self.must_say_goaway:
                self.must_say_goaway = False
                for peer in [peer for peer in self.peers if peer.asked_in[0]]:
                    peer.unsent += goaway(0, *peer.asked_in).encode()
                    self._flush(peer)

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, self.delay_s)
        self.peers.add(peer)
        self.selector.register(sock, selectors.EVENT_READ, peer)

    def _exchange(self, peer: Peer, events: int) -> bool:
        try:
            if events & selectors.EVENT_READ:
                data = peer.sock.recv(READ_SIZE)
                if not data:
                    return False
                peer.take(data)
                peer.release()
            return self._flush(peer)
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _flush(self, peer: Peer) -> bool:
        try:
            if peer.unsent:
                del peer.unsent[: peer.sock.send(peer.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            return False
        reads = selectors.EVENT_READ if len(peer.unsent) < MAX_UNSENT else 0
        self.selector.modify(peer.sock, reads | (selectors.EVENT_WRITE if peer.unsent else 0), peer)
        return True


if __name__ == "__main__":
    Server(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0).serve()
