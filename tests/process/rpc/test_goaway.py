"""GOAWAY to clients on a graceful stop, where `enable_bolt_goaway` asks for it: once, and nothing on its way is lost."""

import contextlib
import signal
import time

import pytest

from tests.process.program import wait_until
from tests.process.rpc.conftest import Start
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, Visit, after
from tests.rpc.wire import GOAWAY, RESPONSE, SUCCESS, request


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


STUBBORN = {"goaway_timeout": "700ms", "graceful_timeout": "30s"}
GOAWAYS = {"bolt": {"enable_bolt_goaway": True}}
SOON_S = 5.0  # of 30


def stop_and_wait(setting: RpcSetting) -> float:
    """Stop the program; how long that took."""
    began = time.monotonic()
    setting.signal(signal.SIGTERM)
    assert setting.wait_exit(SOON_S) == 0
    return time.monotonic() - began


def test_who_ignores_goaway_and_is_idle_is_closed_after_goaway_timeout(start: Start, server: Upstream) -> None:
    setting = start(GOAWAYS, **STUBBORN)
    with setting.client() as client:
        client.call()
        assert 0.5 < stop_and_wait(setting) < SOON_S
        client.wait_closed(0.5)


def test_who_goes_on_asking_after_goaway_is_closed_after_goaway_timeout(start: Start, server: Upstream) -> None:
    setting = start(GOAWAYS, **STUBBORN)
    served = 0
    with setting.client() as client:
        client.call()
        setting.signal(signal.SIGTERM)
        client.wait_goaway()
        until = time.monotonic() + SOON_S
        with contextlib.suppress(AssertionError, OSError):
            while not client.closed.is_set() and time.monotonic() < until:
                client.call(b"next")
                served += 1
        assert served > 10
        client.wait_closed(0.5)
        assert client.error is None, "closed in order, behind its answers"
        assert setting.wait_exit(SOON_S) == 0


def test_who_always_has_requests_under_way_gets_the_answers_of_those_that_were_taken(start: Start, server: Upstream) -> None:
    server.script = after(0.1)
    setting = start(GOAWAYS, **STUBBORN)
    began = time.monotonic()
    with setting.client() as client:
        client.call()
        setting.signal(signal.SIGTERM)
        client.wait_goaway()
        with contextlib.suppress(OSError):
            while not client.closed.is_set() and time.monotonic() < began + SOON_S:
                client.ask(b"more")
                time.sleep(0.005)
        client.wait_closed(0.5)
        assert client.error is None
        answered = {frame.id for frame in client.frames if frame.kind == RESPONSE}
        assert len(answered) == len(server.requests) > 20
        assert setting.wait_exit(SOON_S) == 0


def test_what_is_under_way_is_answered_however_long_after_goaway_timeout(start: Start, server: Upstream) -> None:
    held: list[Visit] = []
    server.script = held.append
    setting = start(GOAWAYS, **STUBBORN)
    with setting.client() as client:
        id_ = client.ask(b"long")
        wait_until(lambda: held, "the request at the upstream")
        setting.signal(signal.SIGTERM)
        client.wait_goaway()
        wait_until(lambda: setting.counts()["bolt.timeout_goaway"] == 1, "the timeout")
        client.send(request(99, b"too late").encode() + request(100, b"half").encode()[:10])
        held[0].reply()
        assert client.wait(id_).status == SUCCESS
        client.wait_closed()
        assert len(held) == 1
        assert setting.wait_exit(SOON_S) == 0


def test_a_listener_that_is_removed_has_the_same_timeout(start: Start, server: Upstream) -> None:
    setting = start(GOAWAYS, **STUBBORN)
    with setting.client() as client:
        client.call()
        setting.server["listeners"] = [one for one in setting.server["listeners"] if one["name"] != "bolt"]
        setting.write()
        assert setting.run("reload").returncode == 0
        client.wait_goaway()
        client.wait_closed(SOON_S)
