"""curl through the proxy: what people type."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.long.proxied import Proxied

pytestmark = pytest.mark.interop("curl", "python:gevent")

BODY = bytes(range(256)) * 12_000  # 3 MB: more than any buffer
HASH = hashlib.sha256(BODY).hexdigest()


class Answer:
    """What curl printed with -i: the heads of all responses, the fields of the last and its body."""

    def __init__(self, output: bytes, errors: str) -> None:
        self.errors = errors
        self.heads = []
        while output.startswith(b"HTTP/"):
            head, _, output = output.partition(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
        self.body = output
        first, *rest = self.heads[-1].split("\r\n")
        self.status = int(first.split()[1])
        self.version = first.split()[0]
        self.fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}


class Curl:
    """curl against one proxy."""

    def __init__(self, proxied: Proxied) -> None:
        self.url = f"http://127.0.0.1:{proxied.port}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """curl with *arguments*; ~/path is a URL of the proxy."""
        words = [self.url + a.removeprefix("~") if a.startswith("~/") else a for a in arguments]
        return subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, timeout=30, check=False)

    def get(self, *arguments: str) -> Answer:
        """One answer."""
        done = self.run("-i", "-v", *arguments)
        assert done.returncode == 0, done.stderr.decode("latin-1")
        return Answer(done.stdout, done.stderr.decode("latin-1"))


@pytest.fixture
def curl(to_origin: Proxied) -> Curl:
    return Curl(to_origin)


@pytest.fixture
def body(tmp_path: Path) -> str:
    path = tmp_path / "body"
    path.write_bytes(BODY)
    return str(path)


def test_get(curl: Curl) -> None:
    answer = curl.get("~/size/1000")
    assert (answer.version, answer.status, len(answer.body)) == ("HTTP/1.1", 200, 1000)
    assert answer.fields["content-length"] == "1000"
    assert "connection" not in answer.fields


def test_http_1_0_is_answered_and_closed(curl: Curl) -> None:
    answer = curl.get("--http1.0", "~/size/1000")
    assert (answer.status, len(answer.body)) == (200, 1000)
    assert "Closing connection" in answer.errors


def test_http_1_0_gets_a_streamed_body_without_chunks(curl: Curl) -> None:
    answer = curl.get("--http1.0", "~/stream")
    assert "transfer-encoding" not in answer.fields
    assert len(answer.body) == 1 << 20


def test_http_1_0_keep_alive_is_kept(curl: Curl) -> None:
    done = curl.run("--http1.0", "-H", "Connection: keep-alive", "-v", "~/size/10", "~/size/20")
    assert len(done.stdout) == 30
    assert b"Re-using existing connection" in done.stderr


def test_a_streamed_body_arrives_whole_and_chunked(curl: Curl) -> None:
    answer = curl.get("~/stream")
    assert answer.fields["transfer-encoding"] == "chunked"
    assert answer.body == bytes(range(256)) * 4096


def test_connections_are_reused(curl: Curl) -> None:
    done = curl.run("-v", *(f"~/size/{n}" for n in (1, 2, 3, 4, 5)))
    assert len(done.stdout) == 15
    assert done.stderr.count(b"Re-using existing connection") == 4


def test_post_by_length(curl: Curl, body: str) -> None:
    answer = curl.get("--data-binary", f"@{body}", "-H", "Expect:", "~/echo")
    assert answer.body == BODY
    assert (answer.fields["x-method"], answer.fields["x-length"]) == ("POST", str(len(BODY)))


def test_upload_chunked(curl: Curl, body: str) -> None:
    answer = curl.get("-T", body, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "~/echo")
    assert answer.body == BODY
    assert (answer.fields["x-method"], answer.fields["x-length"]) == ("PUT", "none")


def test_upload_of_a_file(curl: Curl, body: str) -> None:
    answer = curl.get("-T", body, "~/echo")
    assert (answer.fields["x-method"], answer.fields["x-hash"]) == ("PUT", HASH)


def test_expect_100_continue_is_asked_of_the_origin(curl: Curl, body: str) -> None:
    answer = curl.get("-T", body, "-H", "Expect: 100-continue", "--expect100-timeout", "15", "~/echo")
    assert [head.split()[1] for head in answer.heads] == ["100", "200"]
    assert answer.fields["x-hash"] == HASH
    assert "Done waiting for 100-continue" not in answer.errors


def test_head_has_the_fields_and_no_body(curl: Curl) -> None:
    answer = curl.get("-I", "~/size/1000")
    assert (answer.status, answer.fields["content-length"], answer.body) == (200, "1000", b"")


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_statuses_pass(curl: Curl, status: int) -> None:
    assert curl.get(f"~/status/{status}").status == status


def test_as_a_forward_proxy_it_takes_the_absolute_form(curl: Curl) -> None:
    answer = curl.get("-x", curl.url, "http://some.example/size/7")
    assert (answer.status, len(answer.body)) == (200, 7)


def test_a_dead_origin_is_a_502_or_503_and_not_a_hang(proxy_to: Callable[..., Proxied]) -> None:
    assert Curl(proxy_to(1)).get("~/size/1").status in (502, 503)


def test_many_at_once(curl: Curl) -> None:
    done = curl.run("--parallel", "--parallel-max", "50", "-w", "%{http_code}\n", "-o", "/dev/null", "~/size/5000?[1-300]")
    assert done.stdout.split() == [b"200"] * 300
