"""Stream filters in plain Python through the real program: every phase, every way out, every kind of trouble."""

import threading
import time
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.proxy.bent import PHASES
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, Message, chunked, request

HERE = str(Path(__file__).parent)
WITH_EVERYTHING = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"body", trailers=b"X-T: 1\r\n")
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"answer", trailers=b"X-T: 2\r\n")


def configure(setting: Setting, origin: Upstream) -> None:
    def own(name: str, **config: str) -> dict[str, object]:
        return {"type": f"bent:{name}", "python_path": HERE, "config": config}

    setting.change_listener("front", stream_filters=[own("Raiser")])
    setting.add_listener("edited", stream_filters=[own("Editor", label="one"), own("Editor", label="two")])
    setting.add_listener("loud", stream_filters=[own("Shouter")])
    setting.add_listener("kept", stream_filters=[own("Keeper")])
    edits = {
        "request": {"set": {"x-set": "1"}, "remove": ["x-gone"], "append": {"via": "1.1 edge"}},
        "response": {"add": {"x-more": "2"}, "remove": ["server"]},
    }
    setting.add_listener("shipped", stream_filters=[{"type": "header_edit", "config": edits}])
    closed = {"default_action": "deny", "ips": [{"action": "allow", "addrs": ["10.0.0.0/8"]}]}
    opened = {"default_action": "deny", "header": "x-real-ip", "ips": [{"action": "allow", "addrs": ["10.0.0.0/8"]}]}
    setting.add_listener("closed", stream_filters=[{"type": "ip_access", "config": closed}])
    setting.add_listener("opened", stream_filters=[{"type": "ip_access", "config": opened}])


def post(*lines: str) -> bytes:
    """A chunked request with trailers."""
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + "".join(line + "\r\n" for line in lines).encode() + WITH_EVERYTHING


def test_filters_read_add_change_and_remove_headers_in_order(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("edited") as client:
        for _ in range(3):
            response = client.get("/up?q", "X-Change: before", "X-Stays: 1", "X-Remove: 2")
            assert response.all(b"x-trail") == [b"two", b"one"]
            assert response.get(b"x-upstream").startswith(b"up ")  # type: ignore[union-attr]
    seen = upstream.last
    assert seen.lines[:3] == [b"Host: test", b"X-Change: changed by two", b"X-Stays: 1"]
    assert seen.all(b"x-seen") == [b"GET /up?q test"] and seen.all(b"x-add") == [b"one", b"two"]
    assert seen.get(b"x-remove") is None


def test_a_filter_may_send_a_request_elsewhere(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("edited") as client:
        assert client.get("/", "x-path: /ping").body == b"pong"
        assert client.get("/", "x-path: /up/there?x").body == b"/up/there?x"


def test_a_filter_may_answer_by_itself(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("edited") as client:
        for method in ("GET", "HEAD", "GET"):
            response = client.get("/", "x-answer: 402", method=method)
            assert response.status == 402 and response.get(b"x-by") == b"one" and response.all(b"x-trail") == [b"two", b"one"]
            assert response.body == (b"" if method == "HEAD" else b"answered\n")
        client.send(request("/", "x-answer: 201", method="POST", body=bytes(20_000)) + request("/ping"))
        assert [client.response().status, client.response().status] == [201, 200]
    assert upstream.messages == []


def test_a_filter_may_change_the_length_of_bodies(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("loud") as client:
        for data in (request("/", method="POST", body=b"hello"), b"POST / HTTP/1.1\r\nHost: a\r\n" + WITH_EVERYTHING):
            client.send(data)
            response = client.response()
            word = b"HELLO" if b"hello" in data else b"BODY"
            up = word * 2
            pieces = response.body.partition(b" IN ")[2][:1]
            assert response.body.startswith(up) and pieces in (b"1", b"2")
            assert response.get(b"content-length") is None and response.body.endswith(b"!")
        assert client.get("/up").body in (b"/UP/UP!", b"/UP!")
        assert client.get("/", method="HEAD").body == b""


def test_bodies_of_any_size_pass_a_filter_in_pieces(setting: Setting, upstream: Upstream) -> None:
    body = b"aB" * 400_000
    with setting.connect("kept") as client:
        thread = threading.Thread(target=client.send, args=(request("/", method="POST", body=body),))
        thread.start()
        response = client.response()
        thread.join()
        assert response.body == body.swapcase()
        assert response.get(b"x-sum") == b"800000" and response.get(b"content-length") == b"800000"


def test_a_filter_sees_trailers(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("kept") as client:
        client.send(post())
        assert client.response().get(b"x-trailers") == b"[(b'X-T', b'1')]"


def ask(setting: Setting, *lines: str) -> Message:
    """The response to a request with body and trailers; then the same connection, or a new one, serves on."""
    with setting.connect() as client:
        client.send(post(*lines))
        response = client.response()
        if response.get(b"connection") is None:
            assert client.get("/ping").status == 200
        return response


BEFORE_THE_RESPONSE = PHASES[: PHASES.index("on_response") + 1]
INSIDE_THE_RESPONSE = ("on_response_data", "on_response_trailers")


@pytest.mark.parametrize("phase", BEFORE_THE_RESPONSE)
def test_an_exception_before_the_response_is_500(setting: Setting, upstream: Upstream, phase: str) -> None:
    upstream.script = answer(ANSWER)
    tally = setting.tally()
    for _ in range(3):
        response = ask(setting, f"x-raise: {phase}")
        assert (response.status, response.body) == (500, b"internal error\n")
    tally.wait("front.filter_error", 3)
    tally.wait("front.request_500_total", 3)
    assert tally.of("front.request_active") == 0
    said = f"filter bent:Raiser.{phase} of listener front, POST /: RuntimeError: bent in {phase} ({HERE}/bent.py:"
    wait_until(lambda: said in setting.log_text(), "the log")
    assert "Traceback (most recent call last)" in setting.log_text() and "bent.py" in setting.log_text()


def test_a_filter_that_always_raises_does_not_flood_the_log(setting: Setting, upstream: Upstream) -> None:
    before = setting.log_text()
    with setting.connect() as client:
        for _ in range(300):
            assert client.get("/flood", "x-raise: on_route").status == 500
    wait_until(lambda: "GET /flood: RuntimeError: bent in on_route" in setting.log_text(), "the log")
    more = setting.log_text().removeprefix(before)
    assert more.count("bent in on_route") <= 2 * 9 + 2  # of two workers; 256 is the 9th power
    assert more.count("\n") < 100


@pytest.mark.parametrize("phase", INSIDE_THE_RESPONSE)
def test_an_exception_inside_the_response_breaks_it_off(setting: Setting, upstream: Upstream, phase: str) -> None:
    upstream.script = answer(ANSWER)
    tally = setting.tally()
    with setting.connect() as client:
        client.send(post(f"x-raise: {phase}"))
        with pytest.raises((ClosedError, ConnectionResetError)):
            client.response()
    tally.wait("front.filter_error", 1)
    assert tally.of("front.request_active") == 0
    wait_until(lambda: f"RuntimeError: bent in {phase}\n" in setting.log_text(), "the log")


def test_an_exception_at_the_end_costs_nothing(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(3):
            assert client.get("/", "x-raise: on_end").status == 200
    tally.wait("front.filter_error", 3)
    wait_until(lambda: "RuntimeError: bent in on_end\n" in setting.log_text(), "the log")


@pytest.mark.parametrize("path", ["/ping", "/none"])
def test_an_exception_over_a_local_reply_is_500(setting: Setting, upstream: Upstream, path: str) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        for _ in range(2):
            assert client.get("/ping", "x-raise: on_response").status == 500
            assert client.get("/ping").status == 200
    tally.wait("front.filter_error", 2)
    assert tally.of("front.request_active") == 0


def test_a_bad_request_passes_filters_that_raise(setting: Setting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nx-raise: on_response\r\nx-raise : x\r\n\r\n")
        assert client.response().status in (400, 500)
        client.finish()
        assert client.rest() == b""
    tally.wait("front.connection_active", 0)
    tally.wait("front.request_active", 0)


@pytest.mark.parametrize("phase", ["on_request", "on_route", "on_host", "on_request_data", "on_request_trailers", "on_response"])
def test_a_filter_may_answer_in_every_phase_before_the_response(setting: Setting, upstream: Upstream, phase: str) -> None:
    upstream.script = answer(ANSWER)
    tally = setting.tally()
    for _ in range(2):
        response = ask(setting, f"x-stop: {phase}")
        assert (response.status, response.body) == (203, b"stopped in " + phase.encode())
    assert tally.of("front.filter_error") == 0


@pytest.mark.parametrize("phase", ["on_request", "on_route", "on_host", "on_request_trailers", "on_response"])
def test_a_filter_may_end_a_stream_without_an_answer(setting: Setting, upstream: Upstream, phase: str) -> None:
    upstream.script = answer(ANSWER)
    with setting.connect() as client:
        client.send(post(f"x-end: {phase}"))
        assert client.ends() == b""


def test_a_filter_may_ask_for_another_route_and_another_host(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        assert client.get("/", "x-reroute: /ping").body == b"pong"
        assert client.get("/", f"x-avoid: {upstream.port}").status in (200, 502)  # there is no other host


@pytest.mark.parametrize("phase", PHASES)
def test_other_requests_go_on_while_a_filter_sleeps(setting: Setting, upstream: Upstream, phase: str) -> None:
    upstream.script = answer(ANSWER)
    with setting.connect() as sleeper, setting.connect() as other:
        begun = time.monotonic()
        sleeper.send(post(f"x-sleep: {phase}"))
        served = 0
        while time.monotonic() - begun < 0.25:
            assert other.get("/ping").status == 200
            served += 1
        assert served > 2  # the first would wait until the sleep is over
        assert sleeper.response().status == 200
        assert sleeper.get("/ping").status == 200


def test_a_client_that_leaves_while_a_filter_sleeps_is_no_trouble(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ANSWER)
    tally = setting.tally()
    for phase in PHASES:
        for leave in ("close", "reset"):
            client = setting.connect()
            client.send(post(f"x-sleep: {phase}"))
            time.sleep(0.05)
            getattr(client, leave)()
    wait_until(lambda: tally.of("front.request_active") == 0, "the end of the requests")
    tally.wait("front.connection_active", 0)
    assert tally.of("front.filter_error") == 0


def test_an_upstream_that_leaves_while_a_filter_sleeps_is_no_trouble(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(ANSWER[:-10])
        time.sleep(0.05)
        visit.reset()

    upstream.script = script
    for phase in ("on_response", "on_response_data"):
        with setting.connect() as client:
            client.send(post(f"x-sleep: {phase}"))
            assert b"X-T: 2\r\n\r\n" not in client.ends()


def test_header_edit_edits_both_heads(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(b"ok", b"Server: secret", b"X-More: 1"))
    with setting.connect("shipped") as client:
        for _ in range(2):
            response = client.get("/", "X-Gone: 1", "Via: 1.0 first", "X-Set: before")
            assert response.get(b"server") is None and response.all(b"x-more") == [b"1", b"2"]
            seen = upstream.last
            assert seen.all(b"x-set") == [b"1"] and seen.get(b"x-gone") is None and seen.all(b"via") == [b"1.0 first, 1.1 edge"]
        assert client.get("/ping").all(b"x-more") == [b"2"]


def test_ip_access_lets_by_and_refuses(setting: Setting, upstream: Upstream) -> None:
    with setting.connect("closed") as client:
        for _ in range(2):
            assert client.get("/").status == 403
    assert upstream.messages == []
    with setting.connect("opened") as client:
        assert client.get("/", "X-Real-IP: 10.1.2.3").status == 200
        assert client.get("/", "X-Real-IP: 11.1.2.3").status == 403
        assert client.get("/", "X-Real-IP: nonsense").status == 403
        assert client.get("/").status == 403
        client.send(request("/", method="POST", body=bytes(1000)) + request("/", "X-Real-IP: 10.0.0.1"))
        assert [client.response().status, client.response().status] == [403, 200]
