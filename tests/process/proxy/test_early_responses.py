"""An upstream that answers before the request is complete; what becomes of the rest of the request."""

import contextlib
import threading
import time

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import Message, Wire, chunked, request

REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
LAST = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"
LONG_TEXT = "a long text " * 1_000_000
LENGTHS = [10_000, 200_000, 3_000_000, 100_000_000]


def configure(setting: Setting, origin: Upstream) -> None:
    setting.add_listener("last", max_requests_per_connection=1)
    setting.add_route({"path": "/long"}, direct_response={"body": LONG_TEXT})


def reads_on(visit: Visit) -> None:
    visit.send(REFUSED)
    visit.body(visit.message)


def closes(visit: Visit) -> None:
    # announced: else the next request may meet the closing connection, and a POST is not sent twice
    visit.send(LAST)
    visit.shut()


def half_closes(visit: Visit) -> None:
    visit.send(LAST)
    visit.finish()
    visit.body(visit.message)


def resets(visit: Visit) -> None:
    """Unread bytes of the body make this a reset, as with any server that answers and closes."""
    visit.send(REFUSED)
    time.sleep(0.02)
    visit.reset()


def upload(client: Wire, length: int, limit: int = 4_000_000) -> threading.Thread:
    """Send a request of *length* bytes in the background until done, or until the connection breaks."""
    client.send(request("/", f"Content-Length: {length}", method="POST"))

    def pour() -> None:
        with contextlib.suppress(OSError):
            sent = 0
            while sent < min(length, limit):
                piece = bytes(min(32_768, length - sent))
                client.sock.sendall(piece)
                sent += len(piece)

    thread = threading.Thread(target=pour)
    thread.start()
    return thread


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("script", [reads_on, closes, half_closes])
def test_the_client_gets_the_early_response(setting: Setting, upstream: Upstream, script: object, length: int) -> None:
    upstream.script = script  # type: ignore[assignment]
    for _ in range(3):
        with setting.connect() as client:
            thread = upload(client, length)
            response = client.response()
            assert (response.status, response.body) == (413, b"big")
            if response.get(b"connection") == b"close":
                assert client.ends() == b""
            thread.join()


def test_a_response_before_a_reset_is_not_lost(setting: Setting, upstream: Upstream) -> None:
    upstream.script = resets
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 100000", method="POST"))
        response = client.response()
        assert (response.status, response.body) == (413, b"big")


def test_a_small_rest_is_read_and_the_connection_goes_on(setting: Setting, upstream: Upstream) -> None:
    upstream.script = closes
    with setting.connect() as client:
        for _ in range(3):
            client.send(request("/", "Content-Length: 100000", method="POST") + bytes(1000))
            response = client.response()
            assert response.status == 413 and response.get(b"connection") is None
            client.send(bytes(99_000))
        upstream.script = answer(ok())
        assert client.get("/").status == 200
    assert len(upstream.messages) == 4


def test_a_long_rest_is_announced_to_be_the_end(setting: Setting, upstream: Upstream) -> None:
    upstream.script = closes
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 100000000", method="POST") + bytes(1000))
        response = client.response()
        assert response.status == 413 and response.get(b"connection") == b"close"
        client.finish()
        assert client.rest() == b""


def test_the_connection_of_an_early_response_is_not_used_again(setting: Setting, upstream: Upstream) -> None:
    """Whatever the upstream makes of the rest, it must not be taken for the next request."""
    upstream.script = reads_on
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 1000", method="POST") + bytes(10))
        assert client.response().status == 413
        client.send(bytes(990))
        upstream.script = answer(ok())
        assert client.get("/").status == 200
    assert tally.of("up.connection_total") == 2


def test_an_upload_that_the_upstream_swallows_after_its_answer_may_complete(setting: Setting, upstream: Upstream) -> None:
    """The answer begins early and ends after the request: nothing is lost and both connections live on."""
    seen: list[Message] = []

    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
        seen.append(visit.body(visit.message))
        visit.send(b"3\r\nend\r\n0\r\n\r\n")

    upstream.script = script
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(3):
            client.send(request("/", "Content-Length: 100000", method="POST"))
            client.head()
            assert client.until(b"begin\r\n")
            client.send(bytes(100_000))
            assert client.until(b"0\r\n\r\n").startswith(b"3\r\nend")
    assert [len(m.body) for m in seen] == [100_000] * 3
    assert tally.of("up.connection_total") == 1 and tally.of("front.connection_total") == 1


@pytest.mark.parametrize("data", [request("/ping", method="POST", body=bytes(100_000)), b"chunked"])
def test_a_local_reply_to_an_upload_is_heard(setting: Setting, upstream: Upstream, data: bytes) -> None:
    if data == b"chunked":
        data = b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(bytes(50_000), bytes(50_000))
    for _ in range(10):
        with setting.connect() as client:
            client.send(data)
            response = client.response()
            assert response.body == b"pong"
            if response.get(b"connection") is None:
                assert client.get("/ping").status == 200
            else:
                client.finish()
                assert client.rest() == b""


@pytest.mark.parametrize("length", LENGTHS)
def test_a_local_reply_to_a_long_upload_is_no_reset(setting: Setting, upstream: Upstream, length: int) -> None:
    for _ in range(3):
        with setting.connect() as client:
            client.send(request("/ping", f"Content-Length: {length}", method="POST"))
            with contextlib.suppress(OSError):
                client.send(bytes(min(length, 2_000_000)))
            response = client.response()
            assert response.body == b"pong"


def test_a_client_that_goes_on_sending_for_ever_is_cut_off(setting: Setting, upstream: Upstream) -> None:
    upstream.script = closes
    with setting.connect() as client:
        thread = upload(client, 10**12, 10**12)
        assert client.response().status == 413
        thread.join(15)
        assert not thread.is_alive()


def test_the_last_words_to_a_client_that_still_sends_are_not_taken_back(setting: Setting, upstream: Upstream) -> None:
    """The response is stuck in the socket when its connection ends, and input that nobody will read has come."""
    with setting.connect("last", receive_buffer=20_000) as client:
        client.send(request("/long"))
        client.until(b"\r\n\r\n")
        client.send(request("/long"))
        got = 0
        while piece := client.sock.recv(20_000):
            got += len(piece)
        assert got + len(client.unread) == len(LONG_TEXT)


def test_early_responses_do_not_spoil_the_histograms(setting: Setting, upstream: Upstream) -> None:
    upstream.script = closes
    tally = setting.tally()
    with setting.connect() as client:
        client.send(request("/", "Content-Length: 1000", method="POST"))
        assert client.response().status == 413
    tally.wait("front.process_time_count", 1)
    assert 0 <= tally.of("front.process_time_total") < 5_000_000_000
