"""GOAWAY to clients on a graceful stop, where `enable_bolt_goaway` asks for it: once, and nothing on its way is lost."""

import signal
import time

import pytest

from tests.process.program import wait_until
from tests.process.rpc.conftest import Start
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import GOAWAY, SUCCESS


@pytest.mark.parametrize("kind", [{}, {"protocol": 2}], ids=["v1", "v2"])
def test_a_graceful_stop_says_goaway_and_lets_streams_end(start: Start, server: Upstream, kind: dict[str, int]) -> None:
    setting = start({"bolt": {"enable_bolt_goaway": True}})
    held: list[Visit] = []
    server.script = held.append
    with setting.client(**kind) as busy, setting.client(**kind) as idle:
        id_ = busy.ask(b"under way")
        wait_until(lambda: held, "the request at the upstream")
        idle.ask(b"so that the proxy knows its version")
        wait_until(lambda: len(held) == 2, "the other request")
        held[1].reply()
        setting.signal(signal.SIGTERM)
        for client in (busy, idle):
            assert client.wait_goaway().protocol == kind.get("protocol", 1)
        held[0].reply()
        assert busy.wait(id_).status == SUCCESS
    assert setting.wait_exit() == 0


def test_goaway_is_said_once_and_what_comes_behind_it_is_served(start: Start, server: Upstream) -> None:
    setting = start({"bolt": {"enable_bolt_goaway": True}})
    held: list[Visit] = []
    with setting.client() as busy, setting.client() as idle:
        assert idle.call(b"before").content == b"before"
        server.script = held.append
        id_ = busy.ask(b"under way")
        wait_until(lambda: held, "the request at the upstream")
        setting.signal(signal.SIGTERM)
        for client in (busy, idle):
            client.wait_goaway()
        server.script = lambda visit: visit.reply()
        held[0].reply()
        assert busy.wait(id_).status == SUCCESS
        for _ in range(3):
            for client in (busy, idle):
                assert client.call(b"was on its way").content == b"was on its way"
        time.sleep(1.0)  # longer than a connection without GOAWAY would wait
        assert idle.call(b"late").content == b"late"
        for client in (busy, idle):
            assert [frame.command for frame in client.frames].count(GOAWAY) == 1
            assert not client.closed.is_set()
    began = time.monotonic()
    assert setting.wait_exit() == 0
    assert time.monotonic() - began < 4, "nobody was left to wait for"


def test_who_ignores_goaway_is_closed_at_the_deadline(start: Start, server: Upstream) -> None:
    setting = start({"bolt": {"enable_bolt_goaway": True}}, graceful_timeout="1s")
    with setting.client() as client:
        client.call()
        began = time.monotonic()
        setting.signal(signal.SIGTERM)
        client.wait_goaway()
        client.wait_closed()
        assert 0.8 < time.monotonic() - began < 8
    assert setting.wait_exit() == 0
