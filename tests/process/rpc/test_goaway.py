"""GOAWAY to clients on a graceful stop, where `enable_bolt_goaway` asks for it."""

import signal

import pytest

from tests.process.program import wait_until
from tests.process.rpc.conftest import Start
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import SUCCESS


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
