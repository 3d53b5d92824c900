"""Access log lines of what went well and of what did not; rotation by SIGUSR1."""

import re
import signal
import time

import pytest

from tests.ports import free_port
from tests.process.program import wait_until
from tests.process.proxy.setting import Setting
from tests.process.proxy.upstream import Upstream, Visit, answer, ok
from tests.process.proxy.wire import ClosedError, request

FORMAT = (
    "%path% %method% %response_code% %response_flags% %attempts% %bytes_received% %bytes_sent% %duration% "
    "%downstream_remote_address% %downstream_local_address% %upstream_host% %upstream_local_address% "
    "%route_name% %upstream_cluster% %protocol% %connection_id% %stream_id% %request_header_x-tag% %response_header_x-tag%"
)
NAMES = [name.strip("%") for name in FORMAT.split()]


def configure(setting: Setting, origin: Upstream) -> None:
    logs = [{"log_path": "logs/front.log", "log_format": FORMAT}, {"log_path": "logs/default.log"}]
    setting.change_listener("front", access_logs=logs, request_header_timeout="200ms", request_body_timeout="200ms")
    setting.add_cluster("refusing", free_port())
    setting.add_cluster("brief", origin.port)
    routes = setting.server["routers"][0]["virtual_hosts"][0]["routers"]
    routes[-1]["route"]["timeout"] = "150ms"


def line_of(setting: Setting, path: str) -> dict[str, str]:
    """The log line of the one request to *path*, by variable."""

    def found() -> list[str]:
        return [line for line in setting.log_lines("front.log") if line.split(" ")[0] == path]

    wait_until(found, f"the log line of {path}")
    (line,) = found()
    return dict(zip(NAMES, line.split(" "), strict=True))


def test_a_success_has_its_line(setting: Setting, upstream: Upstream) -> None:
    upstream.script = answer(ok(b"hello", b"X-Tag: down"))
    with setting.connect() as client:
        client.send(request("/success?q=1", "X-Tag: up", method="POST", body=b"body"))
        client.response()
        here = client.sock.getsockname()[1]
    line = line_of(setting, "/success")
    assert line["response_code"] == "200" and line["response_flags"] == "-" and line["attempts"] == "1"
    assert (line["bytes_received"], line["bytes_sent"]) == ("4", "5") and line["method"] == "POST"
    assert line["downstream_remote_address"] == f"127.0.0.1:{here}"
    assert line["downstream_local_address"] == f"127.0.0.1:{setting.port}"
    assert line["upstream_host"] == f"127.0.0.1:{upstream.port}"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line["upstream_local_address"])
    assert (line["upstream_cluster"], line["protocol"]) == ("up", "Http1")
    assert (line["request_header_x-tag"], line["response_header_x-tag"]) == ("up", "down")


def test_requests_of_a_connection_are_numbered(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        for i in range(3):
            client.get(f"/numbered{i}")
    lines = [line_of(setting, f"/numbered{i}") for i in range(3)]
    assert [line["stream_id"] for line in lines] == ["1", "2", "3"]
    assert len({line["connection_id"] for line in lines}) == 1


def test_a_duration_is_what_the_client_waited(setting: Setting, upstream: Upstream) -> None:
    upstream.script = lambda visit: (time.sleep(0.12), visit.send(ok()))[1]
    with setting.connect() as client:
        client.get("/slow")
    assert 110 <= milliseconds(line_of(setting, "/slow")["duration"]) < 600


def milliseconds(text: str) -> float:
    """A duration as Go writes it."""
    units = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ns|µs|ms|s|m)", text))


def test_durations_of_local_replies_are_short(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.get("/ping?once")
    wait_until(lambda: any(line.startswith("/ping ") for line in setting.log_lines("front.log")), "the line")
    line = next(line for line in setting.log_lines("front.log") if line.startswith("/ping "))
    values = dict(zip(NAMES, line.split(" "), strict=True))
    assert milliseconds(values["duration"]) < 50 and values["upstream_host"] == "-" and values["bytes_sent"] == "4"


FAILURES: list[tuple[str, bytes, str, str]] = [
    ("/refusing/x", request("/refusing/x"), "502", "UF"),
    ("/gone", request("/gone"), "502", "UC"),
    ("/garbage", request("/garbage"), "502", "UPE"),
    ("/brief/late", request("/brief/late"), "504", "UT"),
    ("/body", request("/body", "Content-Length: 5", method="POST"), "408", "DT"),
    ("/chunks", b"POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n", "400", "DPE"),
]


def test_failures_have_their_lines(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        if b"/gone" in visit.message.first_line:
            visit.shut()
        elif b"/garbage" in visit.message.first_line:
            visit.send(b"what?\r\n\r\n")
        else:
            visit.more()

    upstream.script = script
    for _, data, status, _ in FAILURES:
        with setting.connect() as client:
            client.send(data)
            assert client.response().status == int(status)
    for path, _, status, flags in FAILURES:
        line = line_of(setting, path)
        assert (line["response_code"], line["response_flags"]) == (status, flags)


def test_a_resent_request_has_two_attempts(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        if visit.number == 1:
            visit.send(ok())
        else:
            visit.shut()

    upstream.script = script
    with setting.connect() as client:
        assert client.get("/first-attempt").status == 200
        assert client.get("/second-attempt").status == 200
    assert line_of(setting, "/second-attempt")["attempts"] == "2"


def test_a_client_that_left_has_its_line(setting: Setting, upstream: Upstream) -> None:
    upstream.script = lambda visit: visit.more()
    client = setting.connect()
    client.send(request("/left"))
    upstream.wait_messages(1)
    client.reset()
    line = line_of(setting, "/left")
    assert line["response_flags"] == "DC" and line["response_code"] == "504"


def test_a_truncated_response_has_its_line(setting: Setting, upstream: Upstream) -> None:
    def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        visit.shut()

    upstream.script = script
    with setting.connect() as client:
        client.send(request("/truncated"))
        with pytest.raises((ClosedError, ConnectionResetError)):
            client.response()
    line = line_of(setting, "/truncated")
    assert (line["response_code"], line["response_flags"], line["bytes_sent"]) == ("200", "UC", "4")


def test_what_was_no_request_has_its_line(setting: Setting, upstream: Upstream) -> None:
    def count() -> int:
        return sum(" DPE " in line for line in setting.log_lines("front.log"))

    before = count()
    for data in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
        with setting.connect() as client:
            client.send(data)
            client.response()
    wait_until(lambda: count() == before + 3, "three lines")
    for line in setting.log_lines("front.log"):
        assert len(line.split(" ")) == len(NAMES), line


def test_the_default_format_has_the_fields_of_mosn(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.get("/default")
    lines = setting.wait_lines("default.log", 1)
    assert re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} ", lines[0]), lines[0]
    assert f" 127.0.0.1:{setting.port} " in lines[0]


def test_what_a_client_sends_cannot_forge_a_line(setting: Setting, upstream: Upstream) -> None:
    with setting.connect() as client:
        client.get("/forged", "X-Tag: a\\nb \xe4")
    wait_until(lambda: any(line.startswith("/forged ") for line in setting.log_lines("front.log")), "the line")


def test_sigusr1_opens_the_logs_anew(setting: Setting, upstream: Upstream) -> None:
    log = setting.directory / "logs" / "front.log"
    with setting.connect() as client:
        client.get("/before-rotation")
        line_of(setting, "/before-rotation")
        log.rename(log.with_suffix(".old"))
        setting.signal(signal.SIGUSR1)
        wait_until(log.exists, "the new log")
        for i in range(20):
            client.get(f"/after-rotation{i}")
    assert line_of(setting, "/after-rotation19")["response_code"] == "200"
    old = log.with_suffix(".old").read_text().splitlines()
    new = log.read_text().splitlines()
    after = [line for line in old + new if line.startswith("/after-rotation")]
    assert len(after) == 20
