"""Real SOFABolt clients and servers (Java, com.alipay.sofa:bolt), with and without the proxy between them.

`direct` is the control: it shows that what is expected of the proxy is what the peers do by themselves.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.java import Jvm, build
from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.client import Client
from tests.rpc.upstream import Upstream
from tests.rpc.wire import without_id

pytestmark = [pytest.mark.interop("java", "mvn"), pytest.mark.timeout(400)]

HEARTBEAT_MS = 300  # of idle Java connections; three unanswered close them
SERVER_IDLE_MS = 1500  # the Java server closes connections that bring nothing for so long

VARIANTS = {
    "v1": "_PROTOCOL=1",
    "v2": "_PROTOCOL=2&_VERSION=1",
    "v2 crc": "_PROTOCOL=2&_VERSION=2",
    "v2 no crc": "_PROTOCOL=2&_VERSION=2",
}
SERVICE = "service=com.example.Echo:1.0;sofa_head_method_name=say"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("java"))


@pytest.fixture(scope="module")
def class_path(request: pytest.FixtureRequest) -> str:
    assert request.config.cache is not None
    return build(Path(request.config.cache.mkdir("sofabolt")))


@pytest.fixture(scope="module")
def java_server(class_path: str, home: Path) -> Iterator[int]:
    with Jvm(class_path, "Server", home, bolt_tcp_server_idle_interval=SERVER_IDLE_MS) as jvm:
        yield int(jvm.first)


@pytest.fixture(scope="module")
def java_client(class_path: str, home: Path) -> Iterator[Jvm]:
    with Jvm(class_path, "Client", home, bolt_tcp_heartbeat_interval=HEARTBEAT_MS) as jvm:
        yield jvm


@pytest.fixture(scope="module")
def recording() -> Iterator[Upstream]:
    """A bolt server that keeps the bytes of every frame."""
    made = Upstream()
    yield made
    made.stop()
    assert not made.errors, made.errors


@pytest.fixture(scope="module", params=["direct", "proxied"])
def port(
    request: pytest.FixtureRequest, java_server: int, recording: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The way to the Java server."""
    if request.param == "direct":
        yield java_server
        return
    setting = RpcSetting(Path(tmp_path_factory.mktemp("proxied")))
    setting.add_cluster("up", java_server)
    setting.add_cluster("recording", recording.port)
    setting.add_route({"prefix": "/"}, route={"cluster_name": "up"})
    setting.add_service("recorded", "recording")
    setting.add_filter("bolt", "edits:Mark")
    try:
        setting.start()
        yield setting.ports["bolt"]
    finally:
        setting.end()


Say = Callable[..., str]


@pytest.fixture(params=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def say(variant: str, port: int, java_client: Jvm) -> Iterator[Say]:
    """A command of the Java client in one variant of the protocol, on a connection that is new for each test."""
    url = f"127.0.0.1:{port}?{VARIANTS[variant]}&_CONNECTTIMEOUT=3000"

    def command(how: str, **words: object) -> str:
        switch = ["crc=off"] if variant == "v2 no crc" else []
        named = [f"{name}={value}" for name, value in {"url": url, **words}.items()]
        return java_client.say(how, *switch, *named)

    yield command
    command("close")


@pytest.mark.parametrize("how", ["sync", "future", "callback"])
def test_a_request_gets_its_response(say: Say, how: str) -> None:
    assert say(how, text="Grüße, 世界") == f"Grüße, 世界|{SERVICE}|served-by=java"


def test_headers_arrive_as_they_were_sent_null_included(say: Say) -> None:
    headers = {"h.Case-Kept": "1", "h.empty": "", "h.null": "<null>", "h.ünïcode": "wärt"}
    seen = say("sync", **headers).split("|")[1].split(";")
    assert sorted(seen[2:]) == sorted(["Case-Kept=1", "empty=", "null=null", "ünïcode=wärt"])


def test_a_one_way_request_arrives_without_an_answer(say: Say, request: pytest.FixtureRequest) -> None:
    note = f"note of {request.node.name}"
    assert say("oneway", what="note", text=note) == "sent"
    wait_until(lambda: f"{note}/-1" in say("sync", what="notes").split("|")[0].split(","), "the note")


def test_a_callers_timeout_fails_one_call_and_the_late_answer_confuses_nobody(say: Say) -> None:
    assert say("sync", delay=400, timeout=100, text="late").startswith("!InvokeTimeoutException")
    for text in ("one", "two", "three"):
        assert say("sync", text=text).startswith(text + "|")
    assert say("sync", delay=400, text="waits for the late one to pass").startswith("waits")


@pytest.mark.parametrize("how", ["sync", "future", "callback"])
def test_an_exception_of_the_server_reaches_the_caller(say: Say, how: str) -> None:
    assert say(how, what="fail", text="a reason").startswith("!InvokeServerException")
    assert say("sync", text="still here").startswith("still here|")


def test_a_class_that_nobody_serves_is_an_exception(say: Say) -> None:
    assert say("stranger").startswith("!InvokeServerException")


def test_a_busy_thread_pool_is_said_to_be_busy(say: Say) -> None:
    wait_until(lambda: say("busy").startswith("!InvokeServerBusyException"), "the server busy")


@pytest.mark.parametrize("size", [1, 1000, 70_000, 3_000_000])
def test_contents_of_every_size_come_back(say: Say, size: int) -> None:
    text = say("sync", size=size).split("|")[0]
    assert text == ("x" * size if size <= 1000 else f"{size} bytes")


def test_two_thousand_calls_a_hundred_at_a_time_get_their_own_answers(say: Say) -> None:
    assert say("many", count=2000) == "2000 right"


def test_an_idle_connection_lives_by_its_heartbeats(say: Say) -> None:
    say("sync")
    alive, unanswered = say("wait", delay=HEARTBEAT_MS * 5).split("|")
    assert (alive, unanswered) == ("true", "0")


def test_calls_go_on_after_the_server_has_closed_idle_connections(say: Say) -> None:
    assert say("sync", text="before").startswith("before|")
    say("wait", delay=SERVER_IDLE_MS * 2)
    assert say("sync", text="after").startswith("after|")


# -- what the proxy does to frames ---------------------------------------------------------------------------------------------


@pytest.fixture
def is_proxied(request: pytest.FixtureRequest) -> None:
    if "direct" in request.node.name:
        pytest.skip("nobody edits frames on the direct way")


@pytest.mark.usefixtures("is_proxied")
def test_a_header_edited_by_a_python_filter_reaches_the_java_server_intact(say: Say) -> None:
    answer = say("sync", text="edited", **{"h.edit": "by nobody", "h.x-secret": "s", "h.last": "z"})
    text, seen, answered = answer.split("|")
    fields = dict(pair.split("=", 1) for pair in seen.split(";"))
    assert text == "edited"
    assert fields["edit"] == "by the filter, äöü"
    assert fields["x-added"] == "1"
    assert "x-secret" not in fields
    assert (fields["last"], fields["service"]) == ("z", "com.example.Echo:1.0")
    assert answered == "served-by=java;x-answered=through the filter"


@pytest.mark.usefixtures("is_proxied")
def test_frames_of_java_that_nobody_edits_are_the_same_but_for_the_id(say: Say, recording: Upstream, variant: str) -> None:
    recording.reset()
    words = {"text": "of Java's own making", "h.service": "recorded", "h.null": "<null>", "h.empty": ""}
    for how in ("sync", "oneway"):
        say(how, **words)
        say(how, **words, url=f"127.0.0.1:{recording.port}?{VARIANTS[variant]}")
    through, straight, one_way_through, one_way_straight = [without_id(frame.raw) for frame in recording.wait_requests(4)]
    assert through == straight
    assert one_way_through == one_way_straight


@pytest.mark.parametrize("kind", [{}, {"protocol": 2}, {"protocol": 2, "ver1": 2, "switch": 1}], ids=["v1", "v2", "v2 crc"])
@pytest.mark.usefixtures("is_proxied")
def test_requests_and_responses_pass_byte_by_byte(port: int, recording: Upstream, kind: dict[str, Any]) -> None:
    recording.reset()
    with Client(port, **kind) as client:
        for content in (b"", b"x", bytes(range(256)) * 300):
            for fields in ([], [(b"null", None), (b"", b"empty name"), (b"twice", b"1"), (b"twice", b"2"), (b"empty", b"")]):
                client.wait(client.ask(content, [(b"service", b"recorded"), *fields]))
        (connection,) = recording.connections
        assert [without_id(frame.raw) for frame in recording.requests] == [without_id(frame.encode()) for frame in client.sent]
        assert [without_id(frame.raw) for frame in client.frames] == [without_id(frame.encode()) for frame in connection.answered]
        assert [frame.id for frame in client.frames] == [frame.id for frame in client.sent]
