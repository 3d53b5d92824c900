# ruff: noqa: F821 (names from the .pxd beside it)
"""Makes HTTP/1.1 messages wrong and checks what the codec does with them; compiled by fuzz_http1.py.

An input is one to three samples joined and changed a few times: a byte, a run, a line, a word from the dictionary. It is read
whole and read again cut at random places with its bytes moving in memory: every event must be the same. What was accepted is
written by the codec of the other side and read again: that hop must understand the same messages, neither more nor fewer.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memmove
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import HOP, K_CONTENT_LENGTH, K_HOST, Field, Head
from cython.cimports.mosn_mp.buffer.octets import LOWER
from cython.cimports.mosn_mp.codec.codec import DATA, END, ERROR, HEAD, NEED_MORE, NO_ROOM, TRAILERS
from cython.cimports.mosn_mp.codec.http1.codec import Http1Codec

PRIME = cython.declare(uint64_t, 0x100000001B3)
SEED = cython.declare(uint64_t, 0xCBF29CE484222325)
ODD_BYTES = cython.declare(bytes, b'\r\n\t \0:;,"\\#/?@%_-+0159afAFxX\x0b\x0c\x7f\x80\xc4\xff')


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def mix(seed: uint64_t, text: cython.p_const_char, length: uint32_t) -> uint64_t:
    """FNV-1a of the bytes, without regard to ASCII case, and their number."""
    i: uint32_t
    for i in range(length):
        seed = (seed ^ LOWER[cython.cast(uint8_t, text[i])]) * PRIME
    return (seed ^ (length + 257)) * PRIME


class Fuzzer:
    """One random sequence of inputs; `Fuzzer(seed, samples, words, server, client)`."""

    def __init__(self, seed: int, samples: list[bytes], words: list[bytes], server: Http1Codec, client: Http1Codec) -> None:
        self.random = seed * 2 + 1
        self.keep = [samples, words]
        self.sample_count = min(len(samples), 1024)
        self.word_count = min(len(words), 1024)
        i: uint32_t
        text: bytes
        for i in range(self.sample_count):
            text = samples[i]
            self.samples[i].at = PyBytes_AS_STRING(text)
            self.samples[i].length = cython.cast(uint32_t, PyBytes_GET_SIZE(text))
        for i in range(self.word_count):
            text = words[i]
            self.words[i].at = PyBytes_AS_STRING(text)
            self.words[i].length = cython.cast(uint32_t, PyBytes_GET_SIZE(text))
        self.server = server
        self.client = client
        self.head = Head()
        self.request = Head()
        self.server.head = self.client.head = self.head
        self.input = cython.cast(cython.p_char, malloc(ROOM))
        self.places[0] = cython.cast(cython.p_char, malloc(OUT_ROOM + 64))
        self.places[1] = cython.cast(cython.p_char, malloc(OUT_ROOM + 64))
        self.out.base = cython.cast(cython.p_char, malloc(OUT_ROOM))
        self.out.cap = OUT_ROOM
        self.out.start = self.out.end = 0
        for i in range(32):
            self.reasons[i] = 0

    def __dealloc__(self) -> None:
        free(self.input)
        free(self.places[0])
        free(self.places[1])
        free(self.out.base)

    # --- inputs -----------------------------------------------------------------------------------------------------------

    def below(self, limit: uint32_t) -> uint32_t:
        """A random number below *limit* (xorshift64*, Vigna)."""
        self.random ^= self.random >> 12
        self.random ^= self.random << 25
        self.random ^= self.random >> 27
        return cython.cast(uint32_t, ((self.random * 0x2545F4914F6CDD1D) >> 33) % limit)

    def insert(self, at: uint32_t, text: cython.p_const_char, length: uint32_t) -> cython.void:
        """Put bytes in at *at*, if there is room."""
        if self.length + length > ROOM:
            return
        memmove(self.input + at + length, self.input + at, self.length - at)
        memcpy(self.input + at, text, length)
        self.length += length

    def cut_out(self, at: uint32_t, length: uint32_t) -> cython.void:
        """Take bytes out."""
        if length > self.length - at:
            length = self.length - at
        memmove(self.input + at, self.input + at + length, self.length - at - length)
        self.length -= length

    def mutate_once(self) -> cython.void:
        """One change."""
        kind: uint32_t = self.below(8)
        at: uint32_t = self.below(self.length + 1)
        word: Text = self.words[self.below(self.word_count)]
        odd: cython.p_char = PyBytes_AS_STRING(ODD_BYTES)
        copy: cython.char[64]
        length: uint32_t
        if kind == 0 and at < self.length:
            self.input[at] = odd[self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES)))]
        elif kind == 1 and at < self.length:
            self.input[at] ^= 1 << self.below(8)
        elif kind == 2:
            self.insert(at, odd + self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES))), 1)
        elif kind == 3:
            self.cut_out(at, 1 + self.below(4))
        elif kind == 4:
            # a run again, or elsewhere
            length = 1 + self.below(63)
            if length > self.length - at:
                length = self.length - at
            memcpy(copy, self.input + at, length)
            self.insert(self.below(self.length + 1), copy, length)
        else:
            # a word, where a line begins as often as not
            if kind > 5:
                while at < self.length and at > 0 and self.input[at - 1] != ord("\n"):
                    at += 1
            self.insert(at, word.at, word.length)

    def make_input(self) -> cython.void:
        """One to three samples, changed up to four times."""
        i: uint32_t
        sample: Text
        self.length = 0
        for i in range(1 + (self.below(3) if self.below(4) == 0 else 0)):
            sample = self.samples[self.below(self.sample_count)]
            self.insert(self.length, sample.at, sample.length)
        for i in range(self.below(5)):
            self.mutate_once()

    # --- reading ----------------------------------------------------------------------------------------------------------

    def note_head(self, head: Head, outcome: cython.pointer(Outcome)) -> cython.void:
        """Hash what a head says; version, persistence and framing belong to one hop."""
        i: cython.int
        field: cython.pointer(Field)
        seed: uint64_t = outcome.end_to_end
        everything: uint64_t = 0
        seed = mix(seed, head.at(head.method.at), head.method.len)
        seed = mix(seed, head.at(head.path.at), head.path.len)
        seed = mix(seed, head.at(head.authority.at), head.authority.len)
        seed = (seed ^ head.status) * PRIME
        seed = (seed ^ head.upgrade) * PRIME
        for i in range(head.count):
            field = head.fields + i
            everything = mix(everything, head.at(field.name_at), field.name_len)
            everything = mix(everything, head.at(field.value_at), field.value_len)
            everything = (everything ^ field.flags ^ field.known << 8) * PRIME
            if not field.flags & HOP and field.known != K_HOST and field.known != K_CONTENT_LENGTH:
                seed = mix(seed, head.at(field.name_at), field.name_len)
                seed = mix(seed, head.at(field.value_at), field.value_len)
        outcome.end_to_end = seed
        everything = mix(everything, head.at(head.reason.at), head.reason.len)
        everything = mix(everything, head.at(head.scheme.at), head.scheme.len)
        everything ^= head.version << 8 ^ head.framing << 16 ^ head.keep_alive << 24 ^ head.expect_continue << 25
        everything = (everything ^ cython.cast(uint64_t, head.content_length)) * PRIME
        outcome.everything = (outcome.everything ^ everything ^ seed) * PRIME
        outcome.heads += 1

    def note_trailers(self, head: Head, outcome: cython.pointer(Outcome)) -> cython.void:
        """Hash trailer fields."""
        i: cython.int
        for i in range(head.count):
            outcome.end_to_end = mix(outcome.end_to_end, head.at(head.fields[i].name_at), head.fields[i].name_len)
            outcome.end_to_end = mix(outcome.end_to_end, head.at(head.fields[i].value_at), head.fields[i].value_len)

    def forward(self, codec: Http1Codec, event: cython.int, buf: cython.pointer(Buf), other: Http1Codec) -> cython.int:
        """Write an event with the codec of the other side."""
        state: cython.int = 0
        if event == HEAD:
            if other is self.client:
                other.begin_message()
            state = other.write_head(codec.head, codec.body_done, cython.address(self.out))
        elif event == DATA and not other.data_refused:
            state = other.begin_data(codec.data_len, cython.address(self.out))
            if self.out.cap - self.out.end < codec.data_len + 8:
                raise AssertionError("forwarded more than there is room for")
            memcpy(self.out.base + self.out.end, buf.base + codec.data_at, codec.data_len)
            self.out.end += codec.data_len
            state |= other.end_data(cython.address(self.out))
        elif event == TRAILERS or event == END:
            state = other.write_end(codec.trailers if event == TRAILERS else None, cython.address(self.out))
        if state == NO_ROOM:
            raise AssertionError("no room to forward")
        return 0

    def pull(
        self, codec: Http1Codec, buf: cython.pointer(Buf), other: Http1Codec, outcome: cython.pointer(Outcome)
    ) -> cython.int:
        """All events that the bytes at hand give; returns the last: NEED_MORE, ERROR, or END of a response."""
        event: cython.int
        i: uint32_t
        while True:
            event = codec.next_event(buf)
            if event == NEED_MORE:
                return event
            if event == HEAD:
                self.note_head(codec.head, outcome)
            elif event == DATA:
                for i in range(codec.data_len):
                    outcome.body = (outcome.body ^ cython.cast(uint8_t, buf.base[codec.data_at + i])) * PRIME
            elif event == TRAILERS:
                self.note_trailers(codec.trailers, outcome)
            elif event == ERROR:
                outcome.reason = codec.reason
                outcome.everything = (outcome.everything ^ codec.reason) * PRIME
                return event
            if other is not None:
                self.forward(codec, event, buf, other)
            if event == END:
                outcome.end_to_end = (outcome.end_to_end ^ outcome.body) * PRIME
                outcome.body = SEED
                if codec is self.client:
                    return event
                codec.begin_message()

    def read(
        self,
        codec: Http1Codec,
        text: cython.p_const_char,
        length: uint32_t,
        cuts: cython.int,
        other: Http1Codec,
        outcome: cython.pointer(Outcome),
    ) -> cython.int:
        """Read *text* in cuts + 1 pieces, moving the unread bytes before each; *other* forwards what is understood."""
        buf: Buf
        at: uint32_t = 0
        piece: uint32_t
        unread: uint32_t
        gap: uint32_t
        turn: cython.int = 0
        outcome.everything = outcome.end_to_end = outcome.body = SEED
        outcome.heads = outcome.reason = 0
        buf.base = self.places[0]
        buf.start = buf.end = 0
        buf.cap = OUT_ROOM + 64
        while True:
            piece = length - at if turn >= cuts else self.below(length - at + 1)
            gap = 0 if cuts == 0 else self.below(64)
            unread = buf.end - buf.start
            memmove(self.places[turn & 1] + gap, buf.base + buf.start, unread)
            memcpy(self.places[turn & 1] + gap + unread, text + at, piece)
            buf.base = self.places[turn & 1]
            buf.start = gap
            buf.end = gap + unread + piece
            at += piece
            turn += 1
            if self.pull(codec, cython.address(buf), other, outcome) != NEED_MORE or turn > cuts:
                break
        outcome.everything = (outcome.everything ^ outcome.end_to_end ^ outcome.body) * PRIME
        outcome.end_to_end = (outcome.end_to_end ^ outcome.body) * PRIME
        return 0

    def ask(self, codec: Http1Codec) -> cython.int:
        """Let *codec* have seen the request that the response at hand answers: GET, HEAD, CONNECT or an upgrade."""
        out: Buf
        texts: cython.p_const_char[4]
        texts[0] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        texts[1] = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
        texts[2] = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
        texts[3] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        text: cython.p_const_char = texts[self.method]
        out.base = self.places[0]
        out.start = 0
        out.cap = 1024
        out.end = 0
        while text[out.end] != 0:
            self.places[0][out.end] = text[out.end]
            out.end += 1
        self.server.begin_message()
        self.server.head = self.request
        if self.server.next_event(cython.address(out)) != HEAD:
            raise AssertionError("request refused")
        self.server.head = self.head
        codec.begin_message()
        out.base = self.places[1]
        out.end = 0
        codec.write_head(self.request, True, cython.address(out))
        return 0

    def check(self, responses: cython.bint) -> cython.int:
        """The input at hand, three times."""
        codec: Http1Codec = self.client if responses else self.server
        other: Http1Codec = self.server if responses else self.client
        whole: Outcome
        again: Outcome
        self.out.end = 0
        if responses:
            self.method = self.below(4)
            self.ask(self.client)
        else:
            codec.begin_message()
        self.read(codec, self.input, self.length, 0, other, cython.address(whole))
        self.heads += whole.heads
        self.refused += whole.reason != 0
        self.reasons[whole.reason & 31] += 1
        if responses:
            self.ask(self.client)
        else:
            codec.begin_message()
        self.read(codec, self.input, self.length, 1 + self.below(5), None, cython.address(again))
        if again.everything != whole.everything or again.reason != whole.reason:
            raise AssertionError("cut input gives other events than whole input")
        if responses:
            self.ask(self.client)
        else:
            codec.begin_message()
        self.read(codec, self.out.base, self.out.end, 0, None, cython.address(again))
        if again.reason != 0:
            raise AssertionError("what was forwarded is refused by the next hop")
        if again.end_to_end != whole.end_to_end or again.heads != whole.heads:
            raise AssertionError("what was forwarded means something else to the next hop")
        return 0

    def run(self, count: int, responses: bool) -> None:
        """*count* inputs; AssertionError with the input that failed."""
        i: uint64_t
        rounds: uint64_t = count
        for i in range(rounds):
            self.make_input()
            self.inputs += 1
            self.bytes_read += self.length
            try:
                self.check(responses)
            except Exception as error:
                text: bytes = PyBytes_FromStringAndSize(self.input, self.length)
                forwarded: bytes = PyBytes_FromStringAndSize(self.out.base, self.out.end)
                raise AssertionError(f"{error!r}: input {text!r}, method {self.method}, forwarded {forwarded!r}") from error

    def reason_counts(self) -> list[int]:
        """How many inputs ended with each Reason; 0 = none."""
        i: cython.int
        counts: list[int] = []
        for i in range(32):
            counts.append(self.reasons[i])
        return counts
