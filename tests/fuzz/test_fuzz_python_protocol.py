"""Protocols in plain Python that do anything at all: the bridge lets nothing out but events, and half a frame never.

decode(), encode() and match() follow a plan that hypothesis draws: right frames, frames with numbers and objects that cannot be,
things that are no frames, exceptions of every kind.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bridge import bridge
from mosn_mp.codec.driver import CodecDriver
from mosn_mp.codec.protocol import Match, PoolMode
from mosn_mp.codec.python_protocol import Frame, PythonProtocol
from mosn_mp.errors import Reason
from tests.contract.codec_kit import CLIENT, DATA, ERROR, NEED_MORE, SERVER

ROUNDS = 64  # events pulled of one input: more is an endless loop
HEAD_LIMIT, FRAME_LIMIT = 4096, 1 << 16


class UnprintableError(Exception):
    """An error whose text is an error too."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


ERRORS: list[BaseException] = [
    ValueError("no"),
    KeyError("k"),
    RecursionError(),
    MemoryError(),
    StopIteration(),
    GeneratorExit(),
    SystemExit(3),
    KeyboardInterrupt(),
    AssertionError("\ud800 \x00 ä" * 400),
    UnprintableError(),
]
NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.integers(-3, 40) | st.sampled_from([1 << 31, 1 << 32, (1 << 64) - 1, -1])
ODD = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.just(object())
ROLES = st.sampled_from([SERVER, CLIENT])
PIECES = st.lists(st.binary(min_size=1, max_size=300), max_size=5)
NAMES = st.sampled_from(["service", "method", "x-mosn-path", "x-mosn-method", "x-mosn-host", "content-length", "a b", ""])
PAIRS = st.tuples(NAMES | st.text(max_size=9) | st.binary(max_size=9), st.text(max_size=9) | st.binary(max_size=9))
HEADERS = st.lists(PAIRS, max_size=6) | st.lists(PAIRS | ODD, max_size=6) | ODD | st.just([(b"n", b"v")] * 300)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "kind": NUMBERS | ODD,
        "id": NUMBERS | ODD,
        "head_size": NUMBERS | ODD,
        "body_size": NUMBERS | ODD,
        "status": NUMBERS | ODD,
        "headers": HEADERS,
        "timeout_ms": NUMBERS | ODD,
    },
)
Step = tuple[str, Any]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("frame"), st.fixed_dictionaries({})),
    st.tuples(st.just("frame"), FIELDS),
    st.tuples(st.just("return"), ODD),
    st.tuples(st.just("raise"), st.sampled_from(ERRORS)),
    st.tuples(st.just("bytes"), st.integers(0, 70_000)),
)


class Wild(PythonProtocol):
    """Follows `plan`, again and again. A right frame is 4 bytes and a body of 3."""

    name = "wild"
    magic = b"W"

    def __init__(self, plan: list[Step]) -> None:
        self.plan, self.turn, self.encoded = plan, 0, b""

    def _next(self) -> Step:
        self.turn += 1
        return self.plan[self.turn % len(self.plan)]

    def decode(self, data: bytes) -> Frame | None:
        what, argument = self._next()
        if what == "raise":
            raise argument
        if what == "return":
            return argument
        if what == "bytes":
            return None
        right = {"kind": 1, "id": 7, "head_size": 4, "body_size": 3, "status": 200, "headers": (), "timeout_ms": 0}
        return Frame(**{**right, **argument})

    def encode(self, frame: Frame) -> bytes | None:
        what, argument = self._next()
        if what == "raise":
            raise argument
        self.encoded = b"e" * argument if what == "bytes" else argument if what == "return" else b"head"
        return self.encoded

    def match(self, first_bytes: bytes) -> Match:
        what, argument = self._next()
        if what == "raise":
            raise argument
        return argument if what == "return" else Match.YES


def codec_of(plan: list[Step], role: int, mode: PoolMode) -> tuple[Wild, CodecDriver]:
    made: Wild = type("Made", (Wild,), {"pool_mode": mode})(plan)
    protocol = bridge(made, "Made")
    return made, CodecDriver(protocol.make_codec(role, protocol.make_limits(HEAD_LIMIT, 100, FRAME_LIMIT)))


PLANS = st.lists(STEPS, min_size=1, max_size=6)
MODES = st.sampled_from(list(PoolMode))


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(plan=PLANS, mode=MODES, role=ROLES, pieces=PIECES)
def test_nothing_comes_out_of_reading_but_events(plan: list[Step], mode: PoolMode, role: int, pieces: list[bytes]) -> None:
    _, side = codec_of(plan, role, mode)
    fed = b"".join(pieces)
    for piece in pieces:
        side.feed(piece)
        for _ in range(ROUNDS + len(fed)):
            event, what = side.next_event()
            if event == DATA:
                assert what in fed
            if event == ERROR:
                reason, detail = what
                assert isinstance(reason, Reason) and detail
                assert side.next_event() == (ERROR, what), "an error that does not stay"
                return
            if event == NEED_MORE:
                break
        else:
            raise AssertionError("an endless loop")
    assert side.end_of_input()[0] in (NEED_MORE, ERROR)


def heads() -> list[Head]:
    request, response = Head(), Head()
    request.method, request.path = "POST", "/a/b"
    request.add("own", b"1")
    response.status = 503
    return [request, response]


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(plan=PLANS, mode=MODES, role=ROLES, body=st.binary(max_size=50))
def test_what_is_written_is_a_whole_frame_or_nothing(plan: list[Step], mode: PoolMode, role: int, body: bytes) -> None:
    wild, side = codec_of(plan, role, mode)
    signals: list[Callable[[], None]] = [side.write_heartbeat, side.write_heartbeat_reply, side.write_goaway]
    for write in (*signals, lambda: side.write_error(Reason.INTERNAL)):
        try:
            write()
        except NotImplementedError:
            assert side.take_output() == b""
        else:
            assert side.take_output() == wild.encoded
    try:
        side.write_message(200, [("a", "b")], body)
    except NotImplementedError:
        assert side.take_output() == b""
    else:
        assert side.take_output() == wild.encoded + body
    for head in heads():
        try:
            side.write_head(head, True)
            side.write_end()
        except NotImplementedError:
            assert side.take_output() == b""
        else:
            assert side.take_output() == wild.encoded


@settings(max_examples=200)
@given(plan=PLANS, mode=MODES, first=st.binary(max_size=10))
def test_match_says_one_of_three_things(plan: list[Step], mode: PoolMode, first: bytes) -> None:
    made = type("Made", (Wild,), {"pool_mode": mode})(plan)
    assert isinstance(bridge(made, "Made").match(first), Match)  # type: ignore[attr-defined]
