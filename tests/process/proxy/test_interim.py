"""Interim responses: Expect: 100-continue end to end, 103 Early Hints."""

import threading

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import Message, request

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
EXPECTING = request("/", "Expect: 100-continue", "Content-Length: 5", method="POST")


def test_100_continue_passes_end_to_end(setting: Setting, upstream: Upstream) -> None:
    bodies: list[bytes] = []

    def script(visit: Visit) -> None:
        assert visit.message.get(b"expect") == b"100-continue"
        assert visit.is_quiet(0.02)
        visit.sock.settimeout(None)
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        bodies.append(visit.body(visit.message).body)
        visit.send(ok())

    upstream.script = script
    with setting.connect() as client:
        for _ in range(2):
            client.send(EXPECTING)
            assert client.head().head == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"hello")
            assert client.response().status == 200
    assert bodies == [b"hello", b"hello"]


def test_a_client_that_does_not_wait_for_100_continue_is_served(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n" + ok(visit.body(visit.message).body))

    upstream.script = script
    with setting.connect() as client:
        for _ in range(3):
            client.send(EXPECTING + b"hello")
            assert client.response().body == b"hello"


def test_the_proxy_itself_never_says_100_continue(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok())
    with setting.connect() as client:
        client.send(EXPECTING)
        upstream.wait_messages(1)
        assert client.is_quiet(0.1)
        client.send(b"hello")
        assert client.head().status == 200


def test_an_expectation_that_is_refused_ends_with_the_refusal(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")

    upstream.script = script
    with setting.connect() as client:
        client.send(EXPECTING)
        response = client.response()
        # whether the body still comes nobody can know: the connection must not be used for another request
        assert response.status == 417 and response.get(b"connection") == b"close"
        client.finish()
        assert client.rest() == b""


def test_an_expectation_to_a_local_reply_ends_with_it(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(request("/ping", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        response = client.response()
        assert response.status == 200 and response.get(b"connection") == b"close"
        client.send(request("/ping"))
        assert client.ends() == b""


def test_the_next_request_is_never_taken_for_a_body_that_was_refused(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    upstream.script = script
    follower = request("/second")
    with setting.connect() as client:
        client.send(request("/", "Expect: 100-continue", f"Content-Length: {len(follower)}", method="POST"))
        assert client.response().status == 403
        client.send(follower)
        assert client.ends() == b""
    assert len(upstream.messages) == 1


def test_early_hints_are_forwarded(setting: Setting, upstream: Upstream) -> None:
    more = threading.Event()

    def script(visit: Visit) -> None:
        visit.send(HINTS)
        assert more.wait(5)
        visit.send(HINTS + ok(b"done"))

    upstream.script = script
    with setting.connect() as client:
        client.send(request("/"))
        assert client.head().head == HINTS
        more.set()
        assert client.head().head == HINTS
        final = client.body(client.head())
        assert (final.status, final.body) == (200, b"done")
        assert client.get("/").body == b"done"


def test_interim_responses_are_kept_from_a_client_of_http_1_0(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(HINTS + b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"done"))
    with setting.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        message: Message = client.body(client.head())
        assert (message.status, message.body) == (200, b"done")
        assert client.rest() == b""


def test_endless_interim_responses_are_an_error(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(HINTS * 500)

    upstream.script = script
    with setting.connect() as client:
        client.send(request("/"))
        assert client.response().status == 502
