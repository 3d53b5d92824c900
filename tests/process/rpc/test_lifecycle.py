"""RPC connections when the program stops: streams end, nobody waits for ever."""

import signal
import time

from tests.process.program import wait_until
from tests.process.rpc.conftest import Start
from tests.rpc.upstream import Upstream, Visit
from tests.rpc.wire import GOAWAY, SUCCESS


def test_without_the_option_no_goaway_is_sent_and_streams_still_end(start: Start, server: Upstream) -> None:
    setting = start()
    held: list[Visit] = []
    server.script = held.append
    with setting.client() as client:
        id_ = client.ask(b"under way")
        wait_until(lambda: held, "the request at the upstream")
        setting.signal(signal.SIGTERM)
        time.sleep(0.2)
        held[0].reply()
        assert client.wait(id_).status == SUCCESS
        client.wait_closed()
        assert all(frame.command != GOAWAY for frame in client.frames)
    assert setting.wait_exit() == 0


def test_a_stream_that_does_not_end_holds_the_stop_up_no_longer_than_allowed(start: Start, server: Upstream) -> None:
    setting = start(graceful_timeout="1s")
    held: list[Visit] = []
    server.script = held.append
    with setting.client() as client:
        client.ask(b"for ever", timeout_ms=-1)
        wait_until(lambda: held, "the request at the upstream")
        began = time.monotonic()
        setting.signal(signal.SIGTERM)
        assert setting.wait_exit() == 0
        assert 0.8 < time.monotonic() - began < 8
        client.wait_closed()
