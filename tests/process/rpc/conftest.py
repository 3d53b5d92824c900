"""A module's own proxy and bolt upstream: started once, used by all of its tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream

Configure = Callable[[RpcSetting, Upstream], None]
Start = Callable[..., RpcSetting]


@pytest.fixture(scope="module")
def origin() -> Iterator[Upstream]:
    """The upstream server of a module."""
    made = Upstream()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def setting(request: pytest.FixtureRequest, origin: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpcSetting]:
    """The proxy of a module: a cluster `up` of the upstream, and what the module's configure() makes of it."""
    made = RpcSetting(Path(tmp_path_factory.mktemp("rpc")))
    made.add_cluster("up", origin.port)
    made.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    configure: Configure | None = getattr(request.module, "configure", None)
    if configure is not None:
        configure(made, origin)
    try:
        made.start()
        yield made
        check_nothing_left(made)
    finally:
        made.end()


def check_nothing_left(setting: RpcSetting) -> None:
    """All downstream connections end, all streams with them, and nothing was logged that should not be."""

    def left() -> dict[str, int]:
        counts = setting.counts()
        return {name: value for name, value in counts.items() if value and name.rpartition(".")[2] == "request_active"}

    wait_until(lambda: not left(), "the end of all requests")
    assert "serving greenlet failed" not in setting.log_text()


@pytest.fixture
def upstream(setting: RpcSetting, origin: Upstream) -> Iterator[Upstream]:
    """The upstream server, without connections or memory of earlier tests."""
    origin.reset()
    wait_until(lambda: setting.counts()["up.connection_active"] == 0, "the pools are empty")
    yield origin
    assert not origin.errors, origin.errors


@pytest.fixture
def server() -> Iterator[Upstream]:
    """An upstream of the test's own."""
    made = Upstream()
    yield made
    made.stop()
    assert not made.errors, made.errors


@pytest.fixture
def start(tmp_path: Path, server: Upstream) -> Iterator[Start]:
    """Starts a proxy of its own with the extend_config of the listener `bolt` and *options* of the server."""
    made: list[RpcSetting] = []

    def begin(extend: dict[str, object] | None = None, **options: object) -> RpcSetting:
        setting = RpcSetting(tmp_path)
        setting.server.update(options)
        setting.add_cluster("up", server.port)
        setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
        setting.add_protocol("bolt", "bolt", extend=extend)
        made.append(setting)
        setting.start()
        return setting

    yield begin
    for setting in made:
        setting.end()
