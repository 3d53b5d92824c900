"""What routes do with a request: direct responses, redirects, timeouts, header edits."""

import threading
import time

import pytest

from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, request


def configure(setting: Setting, origin: Upstream) -> None:
    log_format = "%path% %response_code% %response_flags%"
    setting.change_listener("front", access_logs=[{"log_path": "logs/front.log", "log_format": log_format}])
    setting.add_cluster("spare", origin.port)
    setting.add_route({"path": "/teapot"}, direct_response={"status": 418, "body": "short and stout"})
    setting.add_route({"path": "/empty"}, direct_response={"status": 204})
    setting.add_route({"path": "/moved"}, redirect={"path_redirect": "/there", "host_redirect": "new.example"})
    setting.add_route({"path": "/found"}, redirect={"response_code": 302, "scheme_redirect": "https"})
    setting.add_route({"prefix": "/brief"}, route={"cluster_name": "spare", "timeout": "300ms"})
    setting.add_route(
        {"prefix": "/try"},
        route={"cluster_name": "spare", "timeout": "5s", "retry_policy": {"retry_timeout": "200ms"}},
    )
    setting.add_route(
        {"prefix": "/edited"},
        route={
            "cluster_name": "spare",
            "request_headers_to_add": [{"header": {"key": "x-new", "value": "1"}}],
            "request_headers_to_remove": ["x-old"],
            "response_headers_to_add": [{"header": {"key": "x-out", "value": "2"}}],
            "response_headers_to_remove": ["server"],
        },
    )
    believer = setting.add_listener("believer")
    believer["filter_chains"][0]["filters"][0]["config"]["long_timeouts_from"] = ["10.0.0.0/8", "127.0.0.1"]
    doubter = setting.add_listener("doubter")
    doubter["filter_chains"][0]["filters"][0]["config"]["long_timeouts_from"] = ["10.0.0.0/8"]
    setting.server["routers"][0]["virtual_hosts"].append({"name": "none", "domains": ["nothing.example"], "routers": []})


def flags_of(setting: Setting, path: str) -> str:
    """The response flags in the access log of the last request to *path*."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = [line.split()[2] for line in setting.log_lines("front.log") if line.split()[0] == path]
        if found:
            return found[-1]
        time.sleep(0.01)
    raise AssertionError(f"no log line of {path}")


def test_a_direct_response_is_given(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(3):
            response = client.get("/teapot")
            assert (response.status, response.body) == (418, b"short and stout")
            assert response.get(b"content-type") == b"text/plain"
            response = client.get("/empty")
            assert (response.status, response.get(b"content-length")) == (204, None)
    assert upstream.messages == []


def test_redirects_say_where(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        response = client.get("/moved?x=1")
        assert (response.status, response.get(b"location")) == (301, b"http://new.example/there?x=1")
        response = client.get("/found")
        assert (response.status, response.get(b"location")) == (302, b"https://test/found")
        assert response.get(b"content-length") == b"0"


def test_without_a_route_it_is_404(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for _ in range(2):
            client.send(b"GET /nowhere HTTP/1.1\r\nHost: nothing.example\r\n\r\n")
            response = client.response()
            assert (response.status, response.body) == (404, b"no route matches this request\n")
    assert flags_of(setting, "/nowhere") == "NR"


def test_routes_edit_headers(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(b"ok", b"Server: secret", b"X-Stays: 1"))
    with setting.connect() as client:
        for _ in range(2):
            response = client.get("/edited", "X-Old: 1", "X-Kept: 2")
            assert response.get(b"x-out") == b"2" and response.get(b"server") is None and response.get(b"x-stays") == b"1"
    assert upstream.last.lines == [b"Host: test", b"X-Kept: 2", b"x-new: 1"]


def hangs(visit: Visit) -> None:
    visit.body(visit.message)
    visit.more()


def timed(setting: Setting, path: str, *lines: str, listener: str = "front") -> tuple[int, float]:
    """The status of a request and how long it took."""
    with setting.connect(listener) as client:
        begun = time.monotonic()
        response = client.get(path, *lines)
        taken = time.monotonic() - begun
        if response.status == 504:
            assert response.body == b"upstream request timeout\n"
        assert client.get("/ping").status == 200
    return response.status, taken


def test_a_route_timeout_is_504(setting: Setting, upstream: Upstream) -> None:
    upstream.script = hangs
    tally = setting.tally()
    status, taken = timed(setting, "/brief/x")
    assert status == 504 and 0.25 < taken < 4
    assert flags_of(setting, "/brief/x") == "UT"
    tally.wait("spare.request_timeout", 1)
    tally.wait("spare.connection_active", 0)


def test_the_timeout_of_a_try_is_504(setting: Setting, upstream: Upstream) -> None:
    upstream.script = hangs
    status, taken = timed(setting, "/try/x")
    assert status == 504 and 0.15 < taken < 4
    assert flags_of(setting, "/try/x") == "UT"


@pytest.mark.parametrize("line", ["x-mosn-global-timeout: 150", "X-Mosn-Global-Timeout: 150", "x-mosn-try-timeout: 150"])
def test_a_request_may_bring_its_own_timeout(setting: Setting, upstream: Upstream, line: str) -> None:
    upstream.script = hangs
    status, taken = timed(setting, "/spare", line)
    assert status == 504 and 0.1 < taken < 4


@pytest.mark.parametrize("listener", ["front", "doubter"])
@pytest.mark.parametrize("path", ["/brief", "/try"])
@pytest.mark.parametrize("name", ["global", "try"])
@pytest.mark.parametrize("value", ["86400000", "0"])
def test_a_request_gets_no_more_time_than_its_route_gives(
    setting: Setting, upstream: Upstream, listener: str, path: str, name: str, value: str
) -> None:
    upstream.script = hangs
    status, taken = timed(setting, path, f"x-mosn-{name}-timeout: {value}", listener=listener)
    assert status == 504 and 0.15 < taken < 4


@pytest.mark.parametrize("line", ["x-mosn-global-timeout: 7000", "x-mosn-global-timeout: 0"])
def test_a_client_that_is_believed_may_ask_for_more_time(setting: Setting, upstream: Upstream, line: str) -> None:
    def script(visit: Visit) -> None:
        time.sleep(0.45)
        visit.send(ok(b"late"))

    upstream.script = script
    assert timed(setting, "/brief", line, listener="believer")[0] == 200
    upstream.script = hangs
    assert timed(setting, "/brief", listener="believer")[0] == 504


def test_nonsense_in_a_timeout_header_is_ignored(setting: Setting, upstream: Upstream) -> None:
    for value in ("x", "-1", "", "1e3", "9" * 30, "1 2"):
        with setting.connect() as client:
            assert client.get("/spare", f"x-mosn-global-timeout: {value}").status == 200


def test_a_timeout_counts_from_the_end_of_the_request(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.send(request("/brief", "Content-Length: 10", method="POST"))
        for _ in range(10):
            time.sleep(0.05)
            client.send(b"x")
        assert client.response().body == b"x" * 10


def test_a_timeout_during_the_response_breaks_it_off(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        visit.more()

    upstream.script = script
    with setting.connect() as client:
        begun = time.monotonic()
        client.send(request("/brief/half"))
        assert client.head().status == 200
        with pytest.raises((ClosedError, ConnectionResetError)):
            client.exactly(10)
        assert time.monotonic() - begun < 5
    assert flags_of(setting, "/brief/half") == "UT"


def test_a_response_after_its_timeout_is_nobodys_answer(setting: Setting, upstream: Upstream) -> None:
    late = threading.Event()

    def script(visit: Visit) -> None:
        if b"/late" in visit.message.first_line:
            late.wait(10)
            visit.send(ok(b"late"))
        else:
            visit.send(ok(b"prompt"))

    upstream.script = script
    with setting.connect() as client:
        assert client.get("/brief/late").status == 504
        late.set()
        for _ in range(20):
            assert client.get("/brief").body == b"prompt"
