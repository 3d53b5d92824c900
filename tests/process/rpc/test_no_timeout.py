"""A frame that says that it has no timeout."""

from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, after
from tests.rpc.wire import SUCCESS


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_service("hurried", "up", timeout="300ms")


def test_a_timeout_of_minus_one_is_none(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = after(1.0)
    with setting.client() as client:
        answer = client.call(b"late", [(b"service", b"hurried")], timeout_ms=-1)
        assert (answer.status, answer.content) == (SUCCESS, b"late")
