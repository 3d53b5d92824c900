"""What the fuzzers of the borders between processes send: frames of every kind, whole or mutated, and descriptors."""

import os
import random
import socket
import tempfile
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from mosn_mp.ipc.channel import close_fds
from mosn_mp.ipc.frames import AnyFrame
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.master.state.shared_memory import SharedMemory

VARIANTS = 20  # of each kind of frame
MAX_FDS = 8  # with one packet
NUMBERS = [*range(9), 255, 256, 65535, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1, -1, -(1 << 31), -(1 << 63)]
TEXTS = ["", "a", "127.0.0.1:80", "/", "/etc/passwd", "\0", "\x1b[2J", "\u202e", "\n", "x" * 300, "\U0001f600", "../..", "%s{0}"]
FLOATS = [0.0, 1.0, -1.0, 1e300, float("inf"), float("nan")]
# Heads of msgpack's largest things, of nested ones, of numbers, of an extension, and what is never right.
WORDS = [
    *(
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
    ),
    *(b"\x91" * 4000, b"\x81\xa1x" * 4000, b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xcb\x7f\xf8" + b"\0" * 6),
    *(b"\xc0", b"\xc1", b"\xc2", b"\xa0", b"\x80", b"\x90", b"\xd6\xff\xff\xff\xff\xff", b"\xa2\xff\xfe", b"\xa5frame"),
]


class Inputs:
    """One random sequence of packets and descriptors."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        kinds = inspect.type_info(AnyFrame)
        assert isinstance(kinds, inspect.UnionType)
        self._samples: dict[type, list[bytes]] = {
            kind.cls: [msgspec.msgpack.encode(self.value_of(kind)) for _ in range(VARIANTS)]
            for kind in kinds.types
            if isinstance(kind, inspect.StructType)
        }
        self._all = list(self._samples.values())

    def packet(self, likely: Sequence[type]) -> bytes:
        """A frame, most often of the *likely* kinds, every other one mutated."""
        pick = self.random
        of_kind = self._samples[pick.choice(likely)] if pick.random() < 0.8 else pick.choice(self._all)
        text = pick.choice(of_kind)
        return text if pick.random() < 0.5 else self.mutated(text)

    def mutated(self, text: bytes) -> bytes:
        """*text* with a few runs taken out, doubled, or replaced by words of msgpack; never empty."""
        pick = self.random
        for _ in range(pick.choice((1, 1, 2, 4))):
            a = pick.randrange(len(text) + 1)
            b = min(len(text), a + pick.choice((0, 1, 1, 2, 4, 30)))
            word, byte = pick.choice(WORDS), bytes([pick.randrange(256)])
            text = text[:a] + pick.choice((b"", text[a:b] * 2, word, word + text[a:b], byte, byte)) + text[b:]
        return text[:120_000] or b"\xc1"

    def value_of(self, kind: inspect.Type) -> Any:
        """A value that msgspec encodes to what *kind* (a type that it decodes) is made of."""
        pick = self.random
        match kind:
            case inspect.StructType():
                given = [field for field in kind.fields if field.required or pick.random() < 0.7 or kind.array_like]
                fields = {field.encode_name: self.value_of(field.type) for field in given}
                named: dict[str | None, Any] = {kind.tag_field: kind.tag} if kind.tag_field else {}
                return list(fields.values()) if kind.array_like else {**named, **fields}
            case inspect.UnionType():
                return self.value_of(pick.choice(kind.types))
            case inspect.TupleType() | inspect.NamedTupleType():
                types = kind.item_types if isinstance(kind, inspect.TupleType) else [field.type for field in kind.fields]
                return [self.value_of(item) for item in types]
            case inspect.ListType() | inspect.VarTupleType():
                return [self.value_of(kind.item_type) for _ in range(pick.randrange(4))]
            case inspect.DictType():
                return {self.value_of(kind.key_type): self.value_of(kind.value_type) for _ in range(pick.randrange(4))}
        return self._scalar_of(kind)

    def _scalar_of(self, kind: inspect.Type) -> Any:
        pick = self.random
        match kind:
            case inspect.IntType():
                return pick.choice(NUMBERS[:6] if kind.ge is not None or pick.random() < 0.6 else NUMBERS)
            case inspect.FloatType():
                return pick.choice(FLOATS)
            case inspect.BoolType():
                return pick.random() < 0.5
            case inspect.BytesType():
                return pick.choice(TEXTS).encode()
            case inspect.LiteralType():
                return pick.choice(kind.values)
            case inspect.NoneType():
                return None
        return pick.choice(TEXTS)


class Descriptors:
    """A stock of descriptors of all kinds to be attached; the contents of *sealed* memfds come up often."""

    def __init__(self, inputs: Inputs, sealed: Collection[bytes]) -> None:
        self._random = inputs.random
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stream, far = socket.socketpair()
        files = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        files.truncate(1 << 31)
        listening = socket.create_server(("127.0.0.1", 0))
        self._keep = [one, other, stream, far, files, listening]
        odd = [os.open("/dev/null", os.O_RDWR), os.open("/", os.O_PATH), os.eventfd(0), *os.pipe(), os.memfd_create("unsealed")]
        self._odd = [*odd, *(thing.fileno() for thing in self._keep)]
        texts = [*sealed, b"", b"\xc1", b"\xff\xfe\n\0" * 50, *(inputs.mutated(text) for text in sealed for _ in range(10))]
        self._own = [*odd, *(seal_bytes("fuzz", text) for text in texts)]
        self._sealed = self._own[len(odd) :]

    def some(self, expected: int) -> list[int]:
        """Most often as many as *expected*; most of them sealed. They stay the stock's."""
        pick = self._random
        count = expected if pick.random() < 0.7 else pick.randrange(MAX_FDS)
        return [pick.choice(self._sealed if pick.random() < 0.8 else self._odd) for _ in range(count)]

    def close(self) -> None:
        """Give all back."""
        close_fds(self._own)
        for thing in self._keep:
            thing.close()


def send_packet(sock: socket.socket, packet: bytes, fds: Sequence[int]) -> None:
    """Send *packet* with *fds*, as a process that is not bound to our rules can; what is gone does not hear it."""
    try:
        socket.send_fds(sock, [packet], list(fds))
    except (BrokenPipeError, ConnectionResetError):
        return


def release(memory: SharedMemory) -> None:
    """Close the descriptors of *memory*, which nobody uses any more."""
    close_fds(memory.fds())
    for segment in (memory.holdings.segment, memory.metrics.segment, memory.state.segment):
        close_fds([segment.fd])
        segment.fd = -1


def open_descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))
