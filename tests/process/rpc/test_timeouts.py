"""Timeouts of single streams on shared connections."""

import time

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, Visit, after, echo
from tests.rpc.wire import TIMEOUT


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_service("hurried", "up", timeout="300ms")


def late_if_asked(visit: Visit) -> None:
    """`late` is answered after a second, `never` never."""
    if visit.frame.content == b"late":
        after(1.0)(visit)
    elif visit.frame.content != b"never":
        echo(visit)


def test_the_frames_timeout_ends_its_stream_with_the_status_timeout(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = late_if_asked
    with setting.client() as client:
        start = time.monotonic()
        late = client.ask(b"late", timeout_ms=300)
        assert client.call(b"soon").content == b"soon"
        answer = client.wait(late)
        assert answer.status == TIMEOUT
        assert 0.25 < time.monotonic() - start < 5


def test_a_late_answer_is_given_to_nobody(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = late_if_asked
    with setting.client() as client:
        late = client.ask(b"late", timeout_ms=200)
        assert client.wait(late).status == TIMEOUT
        until = time.monotonic() + 1.3
        while time.monotonic() < until:
            assert client.call(b"meanwhile").content == b"meanwhile"
        assert len(client.answers(late)) == 1
        assert len(upstream.connections) == 1, "a timeout of one stream costs no connection"


def test_hundreds_of_streams_time_out_each_at_its_own_time(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = late_if_asked
    with setting.client() as client:
        start = time.monotonic()
        ids = [client.ask(b"never", timeout_ms=200 + i) for i in range(300)]
        assert {client.wait(id_).status for id_ in ids} == {TIMEOUT}
        assert 0.45 < time.monotonic() - start < 5
        assert client.call(b"soon").content == b"soon"


def test_without_a_timeout_in_the_frame_the_route_decides(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = late_if_asked
    with setting.client() as client:
        start = time.monotonic()
        answer = client.call(b"never", [(b"service", b"hurried")], timeout_ms=0)
        assert answer.status == TIMEOUT
        assert 0.25 < time.monotonic() - start < 5
