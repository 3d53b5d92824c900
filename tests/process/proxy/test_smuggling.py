"""Request smuggling: whatever two readers could read in two ways is refused, and nothing of it goes on (peers' known classes)."""

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream
from tests.process.proxy.wire import ClosedError, Message

INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"

FRAMING = {
    "CL.TE": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + LAST + INNER,
    "TE.CL": POST + CHUNKED + b"Content-Length: 5\r\n\r\n" + LAST + INNER,
    "CL twice, different": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    "CL twice, equal": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab" + INNER,
    "CL list": POST + b"Content-Length: 5, 5\r\n\r\nhello" + INNER,
    "CL plus": POST + b"Content-Length: +5\r\n\r\nhello" + INNER,
    "CL hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nhello" + INNER,
    "CL underscore": POST + b"Content-Length: 5_0\r\n\r\n" + b"x" * 50 + INNER,
    "CL negative": POST + b"Content-Length: -1\r\n\r\n" + INNER,
    "CL overflow": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello" + INNER,
    "CL empty": POST + b"Content-Length: \r\n\r\n" + INNER,
    "CL blank inside": POST + b"Content-Length: 1 0\r\n\r\n" + INNER,
    "CL quoted": POST + b'Content-Length: "5"\r\n\r\nhello' + INNER,
    "CL vertical tab": POST + b"Content-Length: \x0b5\r\n\r\nhello" + INNER,
    "TE xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + LAST + INNER,
    "TE chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + LAST + INNER,
    "TE identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + LAST + INNER,
    "TE twice": POST + CHUNKED + CHUNKED + b"\r\n" + LAST + INNER,
    "TE identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc" + INNER,
    "TE quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + LAST + INNER,
    "TE parameter": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n" + LAST + INNER,
    "TE blank before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + LAST + INNER,
    "TE vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + LAST + INNER,
    "TE form feed": POST + b"Transfer-Encoding: chunked\x0c\r\n\r\n" + LAST + INNER,
    "TE NUL": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n" + LAST + INNER,
    "TE folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + LAST + INNER,
    "TE in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + LAST + INNER,
    "TE empty": POST + b"Transfer-Encoding:\r\n\r\n" + INNER,
}

CHUNKS = {
    "bare LF": b"5\nhello\n0\n\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "bare CR": b"5\rhello\r0\r\r",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "blank before size": b" 5\r\nhello\r\n0\r\n\r\n",
    "no size": b";a=b\r\nhello\r\n0\r\n\r\n",
    "no line end behind the data": b"5\r\nhello0\r\n\r\n",
    "wrong line end behind the data": b"5\r\nhelloXX0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "garbage behind the last chunk": b"0\r\nxx\r\n\r\n",
    "forbidden trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "forbidden trailer TE": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "forbidden trailer Host": b"0\r\nHost: b\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
}

SYNTAX = {
    "NUL in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\x00Y: 1\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "CR in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "LF in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nSmuggled: b\r\n\r\n",
    "control in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x01b\r\n\r\n",
    "blank before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"X : 1\r\n\r\n",
    "blank first": b"GET / HTTP/1.1\r\n X: 1\r\n" + HOST + b"\r\n",
    "empty name": b"GET / HTTP/1.1\r\n" + HOST + b": 1\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n",
    "name with a separator": b"GET / HTTP/1.1\r\n" + HOST + b"X(Y): 1\r\n\r\n",
    "high byte in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\xff: 1\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n\tb\r\n\r\n",
    "Host twice": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host list": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "Host with userinfo": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "two blanks": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two blanks behind": b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "high byte in the target": b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form, other Host": b"GET http://b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form, userinfo": b"GET http://u:p@a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form, other scheme": b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority form outside CONNECT": b"GET a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk outside OPTIONS": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "relative target": b"GET x HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT with a path": b"CONNECT /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT with a body": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "bad version": b"GET / HTTP/1.1x\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "method with a separator": b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two empty lines": b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
}


def configure(setting: Setting, origin: Upstream) -> None:
    # a FIN behind the bytes tells what the answer to them is, and that there is no other
    setting.change_listener("front", allow_half_close=True)


def refused(setting: Setting, data: bytes) -> Message:
    """The one answer to *data*, which is an error and the end of the connection."""
    with setting.connect() as client:
        client.send(data)
        client.finish()
        response = client.response()
        assert client.rest() == b"", "more than one answer"
    assert response.get(b"connection") == b"close"
    return response


@pytest.mark.parametrize("data", FRAMING.values(), ids=FRAMING)
def test_ambiguous_framing_is_refused(setting: Setting, upstream: Upstream, data: bytes) -> None:
    assert refused(setting, data).status in (400, 501)
    assert upstream.messages == []


@pytest.mark.parametrize("data", SYNTAX.values(), ids=SYNTAX)
def test_a_malformed_head_is_refused(setting: Setting, upstream: Upstream, data: bytes) -> None:
    assert refused(setting, data + INNER).status == 400
    assert upstream.messages == []


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_malformed_chunks_are_refused_and_never_completed(setting: Setting, upstream: Upstream, body: bytes) -> None:
    assert refused(setting, POST + CHUNKED + b"\r\n" + body + INNER).status == 400
    assert [m.first_line for m in upstream.messages if b"smuggled" in m.first_line] == []
    assert len(upstream.messages) <= 1


@pytest.mark.parametrize("data", [FRAMING["CL.TE"], SYNTAX["bare LF"], SYNTAX["Host twice"]])
def test_a_good_request_before_a_bad_one_is_answered(setting: Setting, upstream: Upstream, data: bytes) -> None:
    with setting.connect() as client:
        client.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n" + data)
        client.finish()
        assert client.response().body == b"/good"
        assert client.response().status == 400
        assert client.rest() == b""
    assert [m.first_line for m in upstream.messages] == [b"GET /good HTTP/1.1"]


def test_bodies_of_methods_that_seldom_have_one_are_bodies(setting: Setting, upstream: Upstream) -> None:
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
        with setting.connect() as client:
            client.send(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER)
            assert client.response(method.decode()).status == 200
            client.finish()
            assert client.rest() == b""
    assert len(upstream.messages) == 4


def test_a_body_that_looks_like_a_request_stays_a_body(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for head in (
            b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,
            CHUNKED + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER),
        ):
            client.send(POST + head)
            assert client.response().body == INNER
    assert len(upstream.messages) == 2


def test_names_and_values_are_never_split_by_the_proxy(setting: Setting, upstream: Upstream) -> None:
    """What may stand in a value must not become a line of its own."""
    value = b"a%0d%0aSmuggled: 1\xc4\x8a\xc4\x8d b"
    with setting.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + value + b"\r\n\r\n")
        assert client.response().status == 200
    assert upstream.last.lines == [b"Host: a", b"X: " + value]


def test_refusals_are_counted(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    for data in list(SYNTAX.values())[:10]:
        with setting.connect() as client:
            client.send(data)
            try:
                client.response()
            except ClosedError:
                raise AssertionError("closed without an answer") from None
    tally.wait("front.protocol_error", 10)
    assert tally.of("front.request_400_total") == 10
