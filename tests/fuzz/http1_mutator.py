# ruff: noqa: F821 (names from the .pxd beside it)
"""Makes HTTP/1.1 messages wrong and checks what the codec does with them; compiled by fuzz_http1.py.

An input is one to three samples joined and changed a few times: a byte, a run, a line, a word from the dictionary. It is read
whole and read again cut at random places with its bytes moving in memory: every event must be the same. What was accepted is
written by the codec of the other side and read again: that hop must understand the same messages, neither more nor fewer.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.buffer.head import HOP, K_CONTENT_LENGTH, K_HOST, Field, Head
from cython.cimports.mosn_mp.buffer.octets import LOWER
from cython.cimports.mosn_mp.codec.codec import DATA, END, ERROR, HEAD, NEED_MORE, NO_ROOM, TRAILERS, Codec
from cython.cimports.mosn_mp.codec.http1.codec import Http1Codec
from cython.cimports.mutator import Mutator, Outcome, Text

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


class Fuzzer(Mutator):
    """One random sequence of inputs; `Fuzzer(seed, samples, words, server, client)`."""

    def __init__(self, seed: int, samples: list[bytes], words: list[bytes], server: Http1Codec, client: Http1Codec) -> None:
        Mutator.__init__(self, seed, samples, words)
        self.server = server
        self.client = client
        self.head = Head()
        self.request = Head()
        self.server.head = self.client.head = self.head

    # --- inputs -----------------------------------------------------------------------------------------------------------

    def mutate_once(self) -> cython.void:
        """One change."""
        kind: uint32_t = self.below(8)
        at: uint32_t = self.below(self.length + 1)
        word: Text = self.words[self.below(self.word_count)]
        odd: cython.p_char = PyBytes_AS_STRING(ODD_BYTES)
        if kind == 0 and at < self.length:
            self.input[at] = odd[self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES)))]
        elif kind == 1 and at < self.length:
            self.input[at] ^= 1 << self.below(8)
        elif kind == 2:
            self.insert(at, odd + self.below(cython.cast(uint32_t, PyBytes_GET_SIZE(ODD_BYTES))), 1)
        elif kind == 3:
            self.cut_out(at, 1 + self.below(4))
        elif kind == 4:
            self.repeat_run(at)
        else:
            # a word, where a line begins as often as not
            if kind > 5:
                while at < self.length and at > 0 and self.input[at - 1] != ord("\n"):
                    at += 1
            self.insert(at, word.at, word.length)

    # --- reading ----------------------------------------------------------------------------------------------------------

    def note_head(self, head: Head, outcome: cython.pointer(Outcome)) -> cython.void:
        """Hash what a head says; version, persistence and framing belong to one hop."""
        i: cython.int
        field: cython.pointer(Field)
        seed: uint64_t = outcome.message
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
        outcome.message = seed
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
            outcome.message = mix(outcome.message, head.at(head.fields[i].name_at), head.fields[i].name_len)
            outcome.message = mix(outcome.message, head.at(head.fields[i].value_at), head.fields[i].value_len)

    def forward(self, codec: Codec, event: cython.int, buf: cython.pointer(Buf), other: Codec) -> cython.int:
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

    def pull(self, codec: Codec, buf: cython.pointer(Buf), other: Codec, outcome: cython.pointer(Outcome)) -> cython.int:
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
                outcome.message = (outcome.message ^ outcome.body) * PRIME
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
        """feed(), and its hashes made comparable."""
        self.feed(codec, text, length, cuts, other, outcome)
        outcome.everything = (outcome.everything ^ outcome.message ^ outcome.body) * PRIME
        outcome.message = (outcome.message ^ outcome.body) * PRIME
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
        if again.message != whole.message or again.heads != whole.heads:
            raise AssertionError("what was forwarded means something else to the next hop")
        return 0

    def circumstances(self) -> str:
        """The request that is answered, when it is a response."""
        return f"method {self.method}"
