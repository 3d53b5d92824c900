# ruff: noqa: F821 (names from the .pxd beside it)
"""What the fuzzers of codecs share: samples joined and changed, read whole and in pieces while their bytes move in memory."""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memmove
from cython.cimports.mosn_mp.buffer.buf import Buf
from cython.cimports.mosn_mp.codec.codec import NEED_MORE, Codec

SEED = cython.declare(uint64_t, 0xCBF29CE484222325)


@cython.cfunc
def point(texts: list, found: cython.pointer(Text)) -> uint32_t:
    """Let *found* point at the first of *texts*; how many."""
    text: bytes
    count: uint32_t = cython.cast(uint32_t, min(len(texts), MOST_TEXTS))
    for i in range(count):
        text = texts[i]
        found[i].at = PyBytes_AS_STRING(text)
        found[i].length = cython.cast(uint32_t, PyBytes_GET_SIZE(text))
    return count


class Mutator:
    """One random sequence of inputs; `Mutator(seed, samples, words)`. A subclass knows the protocol."""

    def __init__(self, seed: int, samples: list[bytes], words: list[bytes]) -> None:
        self.random = seed * 2 + 1
        self.keep = [samples, words]
        self.sample_count = point(samples, self.samples)
        self.word_count = point(words, self.words)
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

    # --- what a subclass does ---------------------------------------------------------------------------------------------

    def mutate_once(self) -> cython.void:
        """One change of the input."""

    def pull(self, codec: Codec, buf: cython.pointer(Buf), other: Codec, outcome: cython.pointer(Outcome)) -> cython.int:
        """All events that the bytes at hand give; returns the last. *other*, if there is one, forwards them."""
        return NEED_MORE

    def check(self, responses: cython.bint) -> cython.int:
        """Read the input at hand in more than one way; AssertionError when they differ."""
        return 0

    def circumstances(self) -> str:
        """What else was drawn by lot for the input at hand."""
        return ""

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

    def repeat_run(self, at: uint32_t) -> cython.void:
        """A run of bytes again, or elsewhere."""
        copy: cython.char[64]
        length: uint32_t = 1 + self.below(63)
        if length > self.length - at:
            length = self.length - at
        memcpy(copy, self.input + at, length)
        self.insert(self.below(self.length + 1), copy, length)

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

    def feed(
        self,
        codec: Codec,
        text: cython.p_const_char,
        length: uint32_t,
        cuts: cython.int,
        other: Codec,
        outcome: cython.pointer(Outcome),
    ) -> cython.int:
        """Read *text* in cuts + 1 pieces, moving the unread bytes before each; *other* forwards what is understood."""
        buf: Buf
        at: uint32_t = 0
        piece: uint32_t
        unread: uint32_t
        gap: uint32_t
        turn: cython.int = 0
        outcome.everything = outcome.message = outcome.body = outcome.complete = SEED
        outcome.heads = outcome.messages = outcome.reason = 0
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
                drawn: str = self.circumstances()
                raise AssertionError(f"{error!r}: input {text!r}, {drawn}, forwarded {forwarded!r}") from error

    def reason_counts(self) -> list[int]:
        """How many inputs ended with each Reason; 0 = none."""
        i: cython.int
        counts: list[int] = []
        for i in range(32):
            counts.append(self.reasons[i])
        return counts
