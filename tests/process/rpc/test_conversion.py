"""Between HTTP/1.1 and bolt, both ways: one head for all protocols, MOSN's mapping of status and headers."""

import http.client
from collections.abc import Iterator

import pytest

from tests.process.proxy.upstream import Upstream as HttpUpstream
from tests.process.proxy.upstream import Visit as HttpVisit
from tests.process.proxy.upstream import answer, ok
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream, silent
from tests.rpc.wire import BUSY, CODEC_EXCEPTION, ERROR, NO_PROCESSOR, REQUEST, SERVER_EXCEPTION, SUCCESS, TIMEOUT, UNKNOWN

HTTP_ORIGIN = HttpUpstream()


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_cluster("http", HTTP_ORIGIN.port)
    setting.add_service("http", "http")
    setting.add_protocol("http_to_bolt", "Http1", "bolt")
    setting.add_protocol("http_to_boltv2", "Http1", "boltv2")
    setting.add_protocol("bolt_to_http", "bolt", "Http1")
    setting.add_protocol("hurried", "Http1", "bolt", extend={"Http1": {"request_body_timeout": "300ms"}})


@pytest.fixture
def http_upstream(setting: RpcSetting) -> Iterator[HttpUpstream]:
    HTTP_ORIGIN.reset()
    yield HTTP_ORIGIN
    assert not HTTP_ORIGIN.errors, HTTP_ORIGIN.errors


Response = tuple[int, dict[str, str], bytes]


def ask(setting: RpcSetting, listener: str, method: str, path: str, body: bytes = b"", **fields: str) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", setting.ports[listener], timeout=5)
    try:
        connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("listener", ["http_to_bolt", "http_to_boltv2"])
def test_an_http_request_becomes_an_rpc_request_with_its_headers(setting: RpcSetting, upstream: Upstream, listener: str) -> None:
    status, fields, body = ask(setting, listener, "POST", "/echo/say?x=1", b"a body", service="com.example.Echo:1.0", x_own="1")
    assert (status, body) == (200, b"a body")
    assert fields["echo-x-own"] == "1"
    (seen,) = upstream.requests
    assert (seen.kind, seen.command, seen.content) == (REQUEST, 1, b"a body")
    assert seen.protocol == (2 if listener.endswith("v2") else 1)
    assert (seen.get(b"service"), seen.get(b"x-own")) == (b"com.example.Echo:1.0", b"1")
    assert seen.get(b"x-mosn-path") == b"/echo/say?x=1"
    assert seen.get(b"x-mosn-method") == b"POST"


def test_requests_without_a_body_and_with_chunks_are_converted(setting: RpcSetting, upstream: Upstream) -> None:
    assert ask(setting, "http_to_bolt", "GET", "/a")[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", setting.ports["http_to_bolt"], timeout=5)
    connection.request(
        "POST", "/b", iter([b"piece " * 1000, b"by piece"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().read() == b"piece " * 1000 + b"by piece"
    connection.close()
    assert [frame.content[:8] for frame in upstream.requests] == [b"", b"piece pi"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(SUCCESS, 200), (BUSY, 503), (TIMEOUT, 504), (16, 502), (ERROR, 500), (SERVER_EXCEPTION, 500), (UNKNOWN, 500)],
)
def test_the_status_of_a_bolt_response_becomes_an_http_status(
    setting: RpcSetting, upstream: Upstream, status: int, expected: int
) -> None:
    upstream.script = lambda visit: visit.reply(b"content", status=status)
    assert ask(setting, "http_to_bolt", "GET", "/")[::2] == (expected, b"content")


def test_a_bolt_server_that_does_not_answer_gives_504(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    assert ask(setting, "http_to_bolt", "GET", "/", x_mosn_global_timeout="300")[0] == 504


def test_a_body_that_drips_becomes_no_rpc_request(setting: RpcSetting, upstream: Upstream) -> None:
    tally = setting.tally()
    with setting.connect("hurried") as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        while client.is_quiet(0.05):
            client.send(b"x")
            assert tally.of("hurried.bytes_read_total") < 100
        assert client.response().status == 408
    tally.wait("hurried.timeout_body", 1)
    assert upstream.requests == []


def test_an_http_client_that_leaves_ends_its_rpc_request(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = silent
    tally = setting.tally()
    with setting.connect("http_to_bolt") as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        upstream.wait_requests(1)
        client.finish()
        tally.wait("http_to_bolt.request_reset", 1, 1)
        assert setting.counts()["up.request_active"] == 0


def test_a_bolt_server_that_hangs_up_gives_502(setting: RpcSetting, upstream: Upstream) -> None:
    upstream.script = lambda visit: visit.connection.close()
    assert ask(setting, "http_to_bolt", "GET", "/")[0] == 502


def test_a_bolt_request_becomes_an_http_request_with_its_fields(
    setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream
) -> None:
    with setting.client("bolt_to_http") as client:
        answered = client.call(b"a body", [(b"service", b"http"), (b"x-own", b"1")])
        assert (answered.status, answered.content) == (SUCCESS, b"a body")
    assert http_upstream.last.first_line == b"POST /http/say HTTP/1.1"
    assert http_upstream.last.get(b"x-own") == b"1"
    assert http_upstream.last.get(b"content-length") == b"6"


def test_a_bolt_request_may_name_method_path_and_host(
    setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream
) -> None:
    fields = [
        (b"service", b"http"),
        (b"x-mosn-method", b"PUT"),
        (b"x-mosn-path", b"/there?a=b"),
        (b"x-mosn-host", b"example.com"),
    ]
    with setting.client("bolt_to_http", protocol=2) as client:
        assert client.call(b"", fields).status == SUCCESS
    assert http_upstream.last.first_line == b"PUT /there?a=b HTTP/1.1"
    assert http_upstream.last.get(b"host") == b"example.com"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, SUCCESS),
        (404, NO_PROCESSOR),
        (502, NO_PROCESSOR),
        (503, BUSY),
        (504, TIMEOUT),
        (403, SERVER_EXCEPTION),
        (500, UNKNOWN),
    ],
)
def test_the_http_status_becomes_a_bolt_status(
    setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream, status: int, expected: int
) -> None:
    http_upstream.script = answer(ok(b"content", b"X-Kept: yes").replace(b"200 OK", b"%d As Asked" % status))
    with setting.client("bolt_to_http") as client:
        answered = client.call(b"", [(b"service", b"http")])
        assert (answered.status, answered.content) == (expected, b"content")
        assert b"yes" in [value for name, value in answered.fields if name.lower() == b"x-kept"]


def test_a_chunked_http_response_becomes_one_frame(setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [b"a" * 5000, b"b" * 70_000, b"c"])
    http_upstream.script = answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    with setting.client("bolt_to_http") as client:
        assert client.call(b"", [(b"service", b"http")]).content == b"a" * 5000 + b"b" * 70_000 + b"c"


def test_many_bolt_streams_of_one_client_use_many_http_connections(
    setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream
) -> None:
    def slow(visit: HttpVisit) -> None:
        visit.body(visit.message)
        visit.send(ok(visit.message.body))

    http_upstream.script = slow
    with setting.client("bolt_to_http") as client:
        ids = [client.ask(b"%d" % i, [(b"service", b"http")]) for i in range(50)]
        assert [client.wait(id_).content for id_ in ids] == [b"%d" % i for i in range(50)]


def test_a_frame_that_cannot_be_http_gets_an_error_frame(
    setting: RpcSetting, upstream: Upstream, http_upstream: HttpUpstream
) -> None:
    with setting.client("bolt_to_http") as client:
        for fields in ([(b"x-mosn-path", b"/a b\r\nX: y")], [(b"bad name", b"v")], [(b"x-line", b"a\r\nInjected: yes")]):
            answered = client.call(b"", [(b"service", b"http"), *fields])
            assert answered.status in (SUCCESS, CODEC_EXCEPTION, UNKNOWN, SERVER_EXCEPTION)
    for message in http_upstream.messages:
        assert message.get(b"injected") is None
        assert message.get(b"x") is None
