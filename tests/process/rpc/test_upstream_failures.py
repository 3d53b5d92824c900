"""Upstream connections that die, drain, talk nonsense or refuse: only their own streams suffer, and those hear of it."""

import time

from tests.ports import free_port
from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, Visit, echo, silent
from tests.rpc.wire import BUSY, COMM_ERROR, CONNECTION_CLOSED, NO_PROCESSOR, SUCCESS, UNKNOWN, Frame, response

FAILED = (UNKNOWN, BUSY, COMM_ERROR, NO_PROCESSOR, CONNECTION_CLOSED)  # what a SOFABolt client accepts for 'not my fault'


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("dead", free_port())
    setting.add_cluster("half", free_port(), origin.port)
    setting.add_service("dead", "dead")
    setting.add_service("half", "half")


def hold_if_asked(visit: Visit) -> None:
    """`hold` is not answered."""
    if visit.frame.content != b"hold":
        echo(visit)


def test_streams_of_a_connection_that_dies_get_an_error_frame_at_once(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    with setting.client() as client:
        ids = [client.ask(b"%d" % i) for i in range(20)]
        upstream.wait_requests(20)
        start = time.monotonic()
        upstream.hang_up()
        assert {client.wait(id_).status for id_ in ids} <= set(FAILED)
        assert time.monotonic() - start < 8  # not after the requests' own ten seconds
        upstream.script = echo
        assert client.call(b"again").content == b"again"


def test_streams_of_another_version_live_on(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = hold_if_asked
    with setting.client() as client:
        first = client.ask(b"hold")
        upstream.wait_requests(1)
        other = client.ask(b"hold", protocol=2)
        upstream.wait_requests(2)
        upstream.connections[0].close()
        assert client.wait(first).status in FAILED
        upstream.connections[1].send(response(upstream.requests[1], b"alive"))
        assert client.wait(other).content == b"alive"


def test_a_host_that_refuses_gives_an_error_frame(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        start = time.monotonic()
        ids = [client.ask(b"", [(b"service", b"dead")]) for _ in range(10)]
        assert {client.wait(id_).status for id_ in ids} <= set(FAILED)
        assert time.monotonic() - start < 8
        assert client.call().status == SUCCESS


def test_a_request_that_could_not_be_sent_is_tried_at_another_host(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        answers = [client.call(b"%d" % i, [(b"service", b"half")]) for i in range(20)]
        assert [(answer.status, answer.content) for answer in answers] == [(SUCCESS, b"%d" % i) for i in range(20)]


def test_goaway_drains_its_connection_and_new_streams_go_elsewhere(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = hold_if_asked
    with setting.client() as client:
        held = client.ask(b"hold")
        upstream.wait_requests(1)
        drained = upstream.connections[0]
        drained.goaway()
        wait_until(lambda: client.call(b"new") and len(upstream.connections) > 1, "a second connection")
        count = len(drained.frames)
        for i in range(20):
            assert client.call(b"%d" % i).content == b"%d" % i
        assert len(drained.frames) == count, "a request came after GOAWAY"
        assert drained.is_open, "closed with a stream under way"
        drained.send(response(upstream.requests[0], b"at last"))
        assert client.wait(held).content == b"at last"
        wait_until(lambda: not drained.is_open, "the drained connection closed")


def test_goaway_on_an_idle_connection_closes_it(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.call()
        upstream.connections[0].goaway()
        wait_until(lambda: not upstream.connections[0].is_open, "the idle connection closed")
        assert client.call().status == SUCCESS
        assert len(upstream.connections) == 2


def test_nonsense_of_an_upstream_fails_its_streams_and_closes_it(setting: RpcSetting, upstream: Upstream) -> None:
    for nonsense in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x07" + bytes(30), b"\x01\x00\x00\x02\x01" + b"\xff" * 40):
        upstream.script = lambda visit, raw=nonsense: visit.connection.send_raw(raw)  # type: ignore[misc]
        with setting.client() as client:
            assert client.call().status in FAILED
            upstream.script = echo
            assert client.call().status == SUCCESS


def test_a_frame_that_ends_in_the_middle_is_no_answer(setting: RpcSetting, upstream: Upstream) -> None:
    def cut(visit: Visit) -> None:
        visit.connection.send_raw(response(visit.frame, b"content" * 20_000).encode()[:90_000])
        visit.connection.close()

    upstream.script = cut
    with setting.client() as client:
        assert client.call(timeout_ms=3000).status in FAILED
        upstream.script = echo
        assert client.call(b"whole").content == b"whole"


def test_an_answer_with_an_unknown_id_is_ignored(setting: RpcSetting, upstream: Upstream) -> None:
    def twice_and_wrong(visit: Visit) -> None:
        wrong = Frame(id=visit.frame.id + 1000)
        visit.connection.send(response(wrong, b"whose?"), response(visit.frame, b"yours"), response(visit.frame, b"twice"))

    upstream.script = twice_and_wrong
    with setting.client() as client:
        for _ in range(10):
            assert client.call().content == b"yours"
        assert len(client.frames) == 10
    assert len(upstream.connections) == 1


def test_a_restarted_upstream_is_found_again(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.call()
        upstream.stop()
        try:
            assert client.call().status in FAILED
        finally:
            upstream.start()
        wait_until(lambda: client.call().status == SUCCESS, "an answer of the restarted upstream")


def test_a_silent_upstream_costs_timeouts_and_nothing_else(setting: RpcSetting, upstream: Upstream) -> None:
    with setting.client() as client:
        client.call()
        upstream.pause()
        ids = [client.ask(b"x" * 1000, timeout_ms=300) for _ in range(100)]
        assert {client.wait(id_).status for id_ in ids} == {7}
        upstream.resume()
        wait_until(lambda: client.call(timeout_ms=300).status == SUCCESS, "an answer after the silence")
