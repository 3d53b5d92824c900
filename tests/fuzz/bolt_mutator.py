# ruff: noqa: F821 (names from the .pxd beside it)
"""Makes bolt frames wrong and checks what the codec does with them; compiled by fuzz_bolt.py.

An input is one to three samples joined and changed a few times: a byte, a run, a number, a word from the dictionary; every other
one gets its checksums put right. It is read whole and read again cut at random places with its bytes moving in memory: every
event must be the same. What was accepted is written by the codec of the other side, at times as if it had been edited, and read
again: that hop must understand the same messages. Heads of requests are also written as HTTP/1.1, which has to be one request.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import REMOVED, Field, Head
from cython.cimports.mosn_mp.codec.bolt.codec import BoltCodec
from cython.cimports.mosn_mp.codec.bolt.crc import crc32
from cython.cimports.mosn_mp.codec.bolt.endian import get16, get32, put32
from cython.cimports.mosn_mp.codec.bolt.frame import carries_crc, fixed_of
from cython.cimports.mosn_mp.codec.codec import DATA, END, ERROR, HEAD, HEARTBEAT, NEED_MORE, UNSUPPORTED, WRITTEN, Codec
from cython.cimports.mosn_mp.codec.http1.codec import Http1Codec
from cython.cimports.mutator import OUT_ROOM, Mutator, Outcome, Text

PRIME = cython.declare(uint64_t, 0x100000001B3)
SEED = cython.declare(uint64_t, 0xCBF29CE484222325)
ODD_BYTES = cython.declare(bytes, b"\0\1\2\3\4\7\x10\x14\x16\x18\x63\x64\x7f\x80\x81\xfe\xff\r\n /")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def mix(seed: uint64_t, text: cython.p_const_char, length: uint32_t) -> uint64_t:
    """FNV-1a of the bytes and their number."""
    i: uint32_t
    for i in range(length):
        seed = (seed ^ cython.cast(uint8_t, text[i])) * PRIME
    return (seed ^ (length + 257)) * PRIME


class Fuzzer(Mutator):
    """One random sequence of inputs; `Fuzzer(seed, samples, words, server, client, http_server, http_client)`."""

    def __init__(
        self,
        seed: int,
        samples: list[bytes],
        words: list[bytes],
        server: BoltCodec,
        client: BoltCodec,
        http_server: Http1Codec,
        http_client: Http1Codec,
    ) -> None:
        Mutator.__init__(self, seed, samples, words)
        self.server = server
        self.client = client
        self.http_server = http_server
        self.http_client = http_client
        self.head = Head()
        self.http_head = Head()
        self.server.head = self.client.head = self.head
        self.http_server.head = self.http_head
        self.scratch.base = cython.cast(cython.p_char, malloc(OUT_ROOM))
        self.scratch.cap = OUT_ROOM

    def __dealloc__(self) -> None:
        free(self.scratch.base)

    # --- inputs -----------------------------------------------------------------------------------------------------------

    def change_number(self, at: uint32_t) -> cython.void:
        """A little more or less in a number, where it is a small one as lengths are."""
        i: uint32_t
        for i in range(32):
            if at + i + 1 < self.length and self.input[at + i] == 0 and self.input[at + i + 1] != 0:
                self.input[at + i + 1] += cython.cast(cython.char, self.below(9)) - 4
                return

    def mutate_once(self) -> cython.void:
        """One change."""
        kind: uint32_t = self.below(9)
        at: uint32_t = self.below(self.length + 1)
        word: Text = self.words[self.below(self.word_count)]
        odd: cython.p_char = PyBytes_AS_STRING(ODD_BYTES)
        if kind < 2:
            at = self.below(self.length + 1 if self.length < 24 or kind == 0 else 24)
        if kind < 3 and at < self.length:
            self.input[at] = odd[self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES)))]
        elif kind == 3 and at < self.length:
            self.input[at] ^= 1 << self.below(8)
        elif kind == 4:
            self.insert(at, odd + self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES))), 1)
        elif kind == 5:
            self.cut_out(at, 1 + self.below(4))
        elif kind == 6:
            self.repeat_run(at)
        elif kind == 7:
            self.insert(at, word.at, word.length)
        else:
            self.change_number(at)

    def repair(self) -> cython.void:
        """Put the checksums of all frames right that can be told apart."""
        at: uint32_t = 0
        fixed: uint32_t
        size: uint64_t
        while self.length - at >= 24 and (self.input[at] == 1 or self.input[at] == 2):
            fixed = fixed_of(self.input + at)
            size = cython.cast(uint64_t, fixed) + get16(self.input + at + fixed - 8) + get16(self.input + at + fixed - 6)
            size += get32(self.input + at + fixed - 4)
            if carries_crc(self.input + at):
                if size + 4 > self.length - at:
                    return
                put32(self.input + at + size, crc32(0, self.input + at, size))
                size += 4
            if size > self.length - at:
                return
            at += cython.cast(uint32_t, size)

    def make_input(self) -> cython.void:
        """As any, but that every other one gets its checksums put right."""
        Mutator.make_input(self)
        if self.below(2):
            self.repair()

    # --- reading ----------------------------------------------------------------------------------------------------------

    def note_head(self, codec: Codec, outcome: cython.pointer(Outcome)) -> cython.void:
        """Hash what a head says; its id belongs to one hop."""
        i: cython.int
        field: cython.pointer(Field)
        head: Head = codec.head
        seed: uint64_t = SEED
        seed = mix(seed, head.at(head.method.at), head.method.len)
        seed = mix(seed, head.at(head.path.at), head.path.len)
        seed = mix(seed, head.at(head.authority.at), head.authority.len)
        seed = (seed ^ head.status) * PRIME
        seed = (seed ^ cython.cast(uint32_t, codec.timeout_ms)) * PRIME
        seed = (seed ^ codec.one_way) * PRIME
        seed = (seed ^ cython.cast(uint64_t, head.content_length)) * PRIME
        for i in range(head.count):
            field = head.fields + i
            if not field.flags & REMOVED:
                seed = mix(seed, head.at(field.name_at), field.name_len)
                seed = mix(seed, head.at(field.value_at), field.value_len)
        outcome.message = seed
        outcome.everything = (outcome.everything ^ seed ^ codec.stream_id ^ head.raw.len) * PRIME
        outcome.heads += 1

    def write_http(self, head: Head) -> cython.int:
        """Write a request's head as HTTP/1.1, whose codec must read one request and nothing more."""
        self.scratch.start = self.scratch.end = 0
        self.http_client.begin_message()
        if self.http_client.write_head(head, True, cython.address(self.scratch)) == UNSUPPORTED:
            return 0
        self.http_server.begin_message()
        if self.http_server.next_event(cython.address(self.scratch)) != HEAD:
            raise AssertionError("HTTP refuses what a frame became")
        if self.http_server.next_event(cython.address(self.scratch)) != END or self.scratch.start != self.scratch.end:
            raise AssertionError("a frame became more than one request")
        self.converted += 1
        return 0

    def forward(self, codec: Codec, event: cython.int, buf: cython.pointer(Buf), other: Codec) -> cython.int:
        """Write an event with the codec of the other side."""
        state: cython.int = 0
        if event == HEAD:
            other.stream_id = self.below(1 << 30)
            codec.head.edited = self.edit
            state = other.write_head(codec.head, codec.body_done, cython.address(self.out))
            if self.convert and codec is self.server:
                self.write_http(codec.head)
        elif event == DATA:
            state = other.begin_data(codec.data_len, cython.address(self.out))
            if self.out.cap - self.out.end < codec.data_len + 8:
                raise AssertionError("forwarded more than there is room for")
            if other.checksums:
                other.checksum(buf.base + codec.data_at, codec.data_len)
            memcpy(self.out.base + self.out.end, buf.base + codec.data_at, codec.data_len)
            self.out.end += codec.data_len
            state |= other.end_data(cython.address(self.out))
        elif event == END:
            state = other.write_end(None, cython.address(self.out))
            self.out_complete = self.out.end
        if state != WRITTEN:
            raise AssertionError("not forwarded")
        return 0

    def signal(self, codec: Codec, event: cython.int, outcome: cython.pointer(Outcome)) -> cython.int:
        """A heartbeat, its answer or a goaway."""
        outcome.everything = (outcome.everything ^ cython.cast(uint64_t, event) << 32 ^ codec.stream_id) * PRIME
        if event != HEARTBEAT:
            return 0
        self.scratch.start = self.scratch.end = 0
        if codec.write_heartbeat_reply(cython.address(self.scratch)) != WRITTEN:
            raise AssertionError("heartbeat not answered")
        outcome.everything = mix(outcome.everything, self.scratch.base, self.scratch.end)
        return 0

    def pull(self, codec: Codec, buf: cython.pointer(Buf), other: Codec, outcome: cython.pointer(Outcome)) -> cython.int:
        """All events that the bytes at hand give; returns the last: NEED_MORE or ERROR."""
        event: cython.int
        i: uint32_t
        while True:
            event = codec.next_event(buf)
            if event == NEED_MORE:
                return event
            if event == HEAD:
                self.note_head(codec, outcome)
            elif event == DATA:
                if codec.data_at + codec.data_len > buf.end or codec.data_len == 0:
                    raise AssertionError("data outside of the input")
                for i in range(codec.data_len):
                    outcome.message = (outcome.message ^ cython.cast(uint8_t, buf.base[codec.data_at + i])) * PRIME
            elif event == END:
                outcome.complete = (outcome.complete ^ outcome.message) * PRIME
                outcome.message = SEED
                outcome.messages += 1
            elif event == ERROR:
                outcome.reason = codec.reason
                outcome.everything = (outcome.everything ^ codec.reason) * PRIME
                return event
            else:
                self.signal(codec, event, outcome)
                continue
            if other is not None:
                self.forward(codec, event, buf, other)

    def read(
        self,
        codec: BoltCodec,
        text: cython.p_const_char,
        length: uint32_t,
        cuts: cython.int,
        other: BoltCodec,
        outcome: cython.pointer(Outcome),
    ) -> cython.int:
        """feed() on a connection of its own, and its hashes made comparable."""
        codec.restore(0)
        self.feed(codec, text, length, cuts, other, outcome)
        outcome.everything = (outcome.everything ^ outcome.complete ^ outcome.message) * PRIME
        return 0

    def check(self, responses: cython.bint) -> cython.int:
        """The input at hand, three times."""
        codec: BoltCodec = self.client if responses else self.server
        other: BoltCodec = self.server if responses else self.client
        whole: Outcome
        again: Outcome
        self.out.end = self.out_complete = 0
        self.edit = self.below(4) == 0
        self.convert = self.below(4) == 0
        other.restore(0)
        self.read(codec, self.input, self.length, 0, other, cython.address(whole))
        self.heads += whole.heads
        self.reasons[whole.reason & 31] += 1
        self.read(codec, self.input, self.length, 1 + self.below(5), None, cython.address(again))
        if again.everything != whole.everything or again.reason != whole.reason:
            raise AssertionError("cut input gives other events than whole input")
        self.read(codec, self.out.base, self.out_complete, 0, None, cython.address(again))
        if again.reason != 0:
            raise AssertionError("what was forwarded is refused by the next hop")
        if again.complete != whole.complete or again.messages != whole.messages or again.heads != whole.messages:
            raise AssertionError("what was forwarded means something else to the next hop")
        return 0

    def circumstances(self) -> str:
        """How it was forwarded."""
        return f"edit {self.edit}"
