"""A frame that says that it has no timeout, or a longer one than its route gives."""

import time

import pytest

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, after
from tests.rpc.wire import SUCCESS, TIMEOUT

ANSWERED_AFTER_S = 1.5


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_service("hurried", "up", timeout="300ms")
    believer = setting.add_protocol("believer", "bolt")
    believer["filter_chains"][0]["filters"][0]["config"]["long_timeouts_from"] = ["127.0.0.1"]


@pytest.mark.parametrize("timeout_ms", [-1, 86_400_000])
def test_a_client_that_is_believed_has_the_timeout_that_its_frame_says(
    setting: RpcSetting, upstream: Upstream, timeout_ms: int
) -> None:
    upstream.script = after(ANSWERED_AFTER_S)
    with setting.client("believer") as client:
        answer = client.call(b"late", [(b"service", b"hurried")], timeout_ms=timeout_ms)
        assert (answer.status, answer.content) == (SUCCESS, b"late")


@pytest.mark.parametrize("timeout_ms", [-1, 86_400_000])
def test_any_other_client_has_at_most_the_timeout_of_its_route(setting: RpcSetting, upstream: Upstream, timeout_ms: int) -> None:
    upstream.script = after(ANSWERED_AFTER_S)
    with setting.client() as client:
        start = time.monotonic()
        assert client.call(b"late", [(b"service", b"hurried")], timeout_ms=timeout_ms).status == TIMEOUT
        assert 0.25 < time.monotonic() - start < ANSWERED_AFTER_S
