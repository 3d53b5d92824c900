"""What the users of a load test do (locust): small, large, streamed and failing requests, and the limits they must meet.

Run by run.py (`scripts/loadtest`); any locust can run it too: `locust -f loadtest/scenarios.py --host http://127.0.0.1:2045`.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gevent import socket
from locust import FastHttpUser, constant, events, task
from locust.env import Environment

BLOCK = bytes(range(256)) * 64
BLOCKS = 16  # an upload of 256 KiB
UPLOAD_DIGEST = hashlib.sha256(BLOCK * BLOCKS).hexdigest()
LARGE_BYTES = 1 << 20


class Limit(NamedTuple):
    """What one kind of request must meet."""

    p99_ms: float
    min_requests: int


# The proxy itself takes well under a millisecond; the limits leave room for locust, which is Python on the same cores.
LIMITS = {
    "small": Limit(250, 100),
    "large": Limit(1000, 10),
    "download chunked": Limit(1000, 10),
    "upload chunked": Limit(1000, 10),
    "upload by length": Limit(1000, 10),
    "no route": Limit(250, 5),
    "host hangs up": Limit(500, 5),
    "host refuses": Limit(500, 5),
    "malformed": Limit(500, 5),
}


def blocks() -> Iterator[bytes]:
    """An upload of unknown length: sent chunked."""
    for _ in range(BLOCKS):
        yield BLOCK


def trouble(answer: Any) -> str:
    """What the client says of an answer that did not come; empty when it came."""
    error = getattr(answer, "error", None)
    return f"({error!r})" if error else ""


class MixedUser(FastHttpUser):
    """A client on a keep-alive connection that does a bit of everything, as fast as it is answered."""

    wait_time = constant(0)
    connection_timeout = 5.0
    network_timeout = 10.0

    def on_start(self) -> None:
        self.address = urlsplit(self.host)

    def expect(self, method: str, path: str, name: str, status: int, body: Any = b"") -> bytes:
        """The body of the answer, counted as failed when its status is not *status*."""
        with self.client.request(method, path, name=name, data=body, catch_response=True) as answer:
            if answer.status_code != status:
                answer.failure(f"status {answer.status_code} instead of {status} {trouble(answer)}")
                return b""
            answer.success()
            content: bytes = answer.content or b""
            return content

    def expect_digest(self, name: str, body: Any) -> None:
        """Upload *body*; the host answers the SHA-256 of what reached it."""
        with self.client.post("/upload", name=name, data=body, catch_response=True) as answer:
            if answer.status_code != 200 or answer.text != UPLOAD_DIGEST:
                answer.failure(f"status {answer.status_code}, digest {(answer.text or '')[:16]} {trouble(answer)}")

    def expect_large(self, path: str, name: str) -> None:
        """Download 1 MiB."""
        with self.client.get(path, name=name, catch_response=True) as answer:
            if answer.status_code != 200 or len(answer.content or b"") != LARGE_BYTES:
                answer.failure(f"status {answer.status_code}, {len(answer.content or b'')} bytes {trouble(answer)}")

    @task(60)
    def small(self) -> None:
        """1 KiB."""
        self.expect("GET", "/small", "small", 200)

    @task(4)
    def large(self) -> None:
        """1 MiB by length."""
        self.expect_large("/large", "large")

    @task(4)
    def download(self) -> None:
        """1 MiB chunked."""
        self.expect_large("/stream", "download chunked")

    @task(4)
    def upload(self) -> None:
        """256 KiB chunked."""
        self.expect_digest("upload chunked", blocks())

    @task(4)
    def upload_by_length(self) -> None:
        """256 KiB by length."""
        self.expect_digest("upload by length", BLOCK * BLOCKS)

    @task(2)
    def no_route(self) -> None:
        """No virtual host takes it."""
        self.expect("GET", "/nowhere", "no route", 404)

    @task(2)
    def host_hangs_up(self) -> None:
        """The host closes instead of answering."""
        self.expect("POST", "/broken", "host hangs up", 502, b"x")

    @task(2)
    def host_refuses(self) -> None:
        """Nothing listens where the host should be."""
        self.expect("GET", "/refused", "host refuses", 502)

    @task(2)
    def malformed(self) -> None:
        """Bytes that no HTTP client sends: answered 400 and closed."""
        started_at = time.perf_counter()
        problem: Exception | None = None
        try:
            with socket.create_connection((self.address.hostname, self.address.port), 5) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
                answer = connection.recv(4096)
                if not answer.startswith(b"HTTP/1.1 400 "):
                    problem = AssertionError(f"answered {answer[:40]!r}")
        except OSError as error:
            problem = error
        elapsed_ms = (time.perf_counter() - started_at) * 1000
        events.request.fire(request_type="RAW", name="malformed", response_time=elapsed_ms, response_length=0, exception=problem)


@events.quitting.add_listener
def judge(environment: Environment, **_: object) -> None:
    """Exit code 1 when a limit was missed; each miss is logged."""
    missed = []
    for name, limit in LIMITS.items():
        entry = next((e for e in environment.stats.entries.values() if e.name == name), None)
        done = entry.num_requests if entry else 0
        if entry and entry.num_failures:
            missed.append(f"{name}: {entry.num_failures} of {done} failed")
        if entry and entry.get_response_time_percentile(0.99) > limit.p99_ms:
            missed.append(f"{name}: p99 {entry.get_response_time_percentile(0.99):.0f} ms, limit {limit.p99_ms:.0f} ms")
        if done < limit.min_requests:
            missed.append(f"{name}: {done} requests, at least {limit.min_requests} expected")
    for line in missed:
        logging.error("limit missed: %s", line)
    environment.process_exit_code = int(bool(missed))
