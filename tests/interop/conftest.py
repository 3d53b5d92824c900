"""Servers behind the proxy that we did not write, each ended after its test."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import program_path
from tests.long.proxied import Proxied
from tests.ports import free_port
from tests.process.program import wait_until

HERE = Path(__file__).parent
ONE_MIB = bytes(range(256)) * 4096


@contextlib.contextmanager
def proxies_in(directory: Path) -> Iterator[Callable[..., Proxied]]:
    """Starts a proxy before the given port, and ends it."""
    with contextlib.ExitStack() as stack:

        def start(port: int, **settings: object) -> Proxied:
            made = Proxied(directory, [port], **settings)  # type: ignore[arg-type]
            stack.callback(made.end)
            made.start()
            return made

        yield start


@pytest.fixture
def proxy_to(tmp_path: Path) -> Iterator[Callable[..., Proxied]]:
    """Starts a proxy before the given port."""
    with proxies_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_proxy_to(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Proxied]]:
    """Starts a proxy that all tests of a module use."""
    with proxies_in(tmp_path_factory.mktemp("proxied")) as start:
        yield start


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    """The port of tests/interop/origin.py."""
    process = subprocess.Popen([sys.executable, str(HERE / "origin.py")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def to_origin(origin: int, shared_proxy_to: Callable[..., Proxied]) -> Proxied:
    """A proxy before the origin."""
    return shared_proxy_to(origin)


class Nginx:
    """An nginx that serves the files of a folder, and takes files by PUT."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.access = folder / "access.log"
        www = folder / "www"
        www.mkdir(parents=True)
        (www / "put").mkdir()
        (www / "1m").write_bytes(ONE_MIB)
        (www / "page.txt").write_bytes(b"a page of text\n" * 2000)
        path = folder / "nginx.conf"
        path.write_text(self._config())
        environment = {**os.environ, "PATH": program_path()}
        self.process = subprocess.Popen(["nginx", "-c", str(path), "-e", str(folder / "error.log")], env=environment)

    def _config(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        user = "user root; " if os.geteuid() == 0 else ""  # the temporary folder is its owner's alone
        return f"""{user}worker_processes 1; daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  {paths} client_max_body_size 0;
  log_format connections '$connection $connection_requests $status'; access_log {self.folder}/access.log connections;
  server {{
    listen 127.0.0.1:{self.port} backlog=4096 sndbuf=64k; root {self.folder}/www; keepalive_requests 1000000;
    location = /hello {{ return 200 "hello"; }}
    location = /fast {{ access_log off; return 200 "fast"; }}
    location /echo/ {{ return 200 $request_uri; }}
    location /put/ {{ dav_methods PUT; }}
    location = /page.txt {{ gzip on; gzip_types text/plain; gzip_min_length 1; gzip_comp_level 1; }}
    location = /hasty {{ keepalive_timeout 0; return 200 "bye"; }}
  }}
}}
"""

    def is_listening(self) -> bool:
        """Whether it has made its pid file: it listens then."""
        return (self.folder / "nginx.pid").exists()

    def connections(self) -> set[str]:
        """Numbers of the connections that brought requests so far."""
        return {line.split()[0] for line in self.access.read_text().splitlines()}

    def reload(self) -> None:
        """Let a new worker take over; the old one closes its idle connections."""
        before = self._workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._workers() and not self._workers() & before, "a new worker of nginx")

    def _workers(self) -> set[str]:
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(10)


@contextlib.contextmanager
def nginx_in(directory: Path) -> Iterator[Nginx]:
    """An nginx that listens, ended."""
    made = Nginx(directory / "nginx")
    try:
        wait_until(made.is_listening, "nginx listening")
        yield made
    finally:
        made.end()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """An nginx that listens."""
    with nginx_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx that all tests of a module use."""
    with nginx_in(tmp_path_factory.mktemp("nginx")) as made:
        yield made
