"""How HTTP/1.1 is recognised and what it says of itself."""

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.codec.http1.protocol import HTTP1, METHODS
from mosn_mp.codec.protocol import Match, PoolMode


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_recognised_with_the_blank_behind_it(method: bytes) -> None:
    assert HTTP1.match(method + b"/ HTTP/1.1\r\n") is Match.YES
    assert all(HTTP1.match(method[:length]) is Match.AGAIN for length in range(len(method)))


@pytest.mark.parametrize(
    "first", [b"get /", b"GETX", b"PRI * HTTP/2.0\r\n", b"\x16\x03\x01", b"\x01\x01\x00\x01", b"\xda\xbb", b" GET /"]
)
def test_other_protocols_are_not(first: bytes) -> None:
    assert HTTP1.match(first) is Match.NO


def test_an_empty_line_may_come_first() -> None:
    assert HTTP1.match(b"\r") is HTTP1.match(b"\r\n") is Match.AGAIN
    assert HTTP1.match(b"\r\nGET /") is Match.YES


def test_it_takes_one_request_at_a_time_and_has_no_ids() -> None:
    assert HTTP1.pool_mode is PoolMode.PING_PONG and not HTTP1.multiplexed and HTTP1.movable
    assert HTTP1.next_id(0) == 0 and HTTP1.pool_key(Head()) == b""


def test_limits_of_another_protocol_are_refused() -> None:
    with pytest.raises(TypeError, match="Http1Limits, not object"):
        HTTP1.make_codec(0, object())
