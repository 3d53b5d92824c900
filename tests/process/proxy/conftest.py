"""A module's own proxy and upstream: started once, used by all of its tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, ok
from tests.process.proxy.wire import Message

Configure = Callable[[Setting, Upstream], None]


@pytest.fixture(scope="module")
def origin() -> Iterator[Upstream]:
    """The upstream server of a module."""
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def setting(request: pytest.FixtureRequest, origin: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """The proxy of a module: a cluster `up` of the upstream, and what the module's configure() makes of it."""
    made = Setting(Path(tmp_path_factory.mktemp("proxy")))
    configure: Configure | None = getattr(request.module, "configure", None)
    if configure is not None:
        configure(made, origin)
    made.add_cluster("up", origin.port)
    made.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    made.start()
    try:
        yield made
        check_nothing_left(made)
    finally:
        made.end()


def check_nothing_left(setting: Setting) -> None:
    """All connections end, all gauges fall to zero, no buffer is held, nothing was logged that should not be."""

    def left() -> dict[str, int]:
        counts = setting.counts()
        gauges = ("request_active", "connection_active", "connection_parked", "tunnels_active")
        held = {name: value for name, value in counts.items() if value and name.rpartition(".")[2] in gauges}
        return {name: value for name, value in held.items() if name.partition(".")[0] in setting.ports}

    wait_until(lambda: not left(), "the end of all requests and connections")
    assert "serving greenlet failed" not in setting.log_text()


@pytest.fixture
def upstream(setting: Setting, origin: Upstream) -> Iterator[Upstream]:
    """The upstream server, without connections or memory of earlier tests."""
    origin.reset()
    wait_until(lambda: setting.counts()["up.connection_active"] == 0, "the pools are empty")
    yield origin
    assert not origin.errors, origin.errors


@pytest.fixture
def bodies(upstream: Upstream) -> list[Message]:
    """Whole requests as the upstream read them; each is answered by its length."""
    seen: list[Message] = []

    def script(visit: Visit) -> None:
        seen.append(visit.body(visit.message))
        visit.send(ok(b"%d" % len(visit.message.body)))

    upstream.script = script
    return seen
