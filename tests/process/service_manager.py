"""A service manager that does for one program what systemd does: hears its notifications, keeps descriptors over its death."""

import array
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.process.program import ROOT, Program, wait_until

# Puts descriptors at 3 and on, as LISTEN_FDS promises, and names this very process in LISTEN_PID before it becomes the program.
PASS_FDS = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 1000) for fd in sys.argv[1].split(",") if fd]
for at, fd in enumerate(fds, 3):
    os.dup2(fd, at)
os.closerange(3 + len(fds), 4096)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Message(dict[str, str]):
    """The fields of one notification."""


class Managed(Program):
    """A program under a service manager: `messages` heard so far, `store` by name, `unit_sockets` of a socket unit."""

    def __init__(self, directory: Path, abstract: bool = False) -> None:
        super().__init__(directory)
        self.messages: list[Message] = []
        self.store: dict[str, int] = {}
        self.unit_sockets: list[tuple[str, socket.socket]] = []
        self.environment: dict[str, str] = {}
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._address = f"@mosn_mp-test-{os.getpid()}-{directory.name}" if abstract else str(directory / "notify")
        self._notified.bind(self._address.replace("@", "\0", 1) if abstract else self._address)

    def spawn(self) -> subprocess.Popen[str]:
        """Start a master with everything that is kept for it."""
        passed = [(name, sock.fileno()) for name, sock in self.unit_sockets] + list(self.store.items())
        fds = [fd for _, fd in passed]
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": self._address, **self.environment,
            "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(name for name, _ in passed),
        }  # fmt: skip
        command = [
            sys.executable, "-c", PASS_FDS, ",".join(map(str, fds)),
            sys.executable, "-m", "mosn_mp", "start", "-c", str(self.path),
        ]  # fmt: skip
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=fds
        )

    def start(self) -> None:
        """Start a master and wait until it says that it is ready."""
        self.messages.clear()
        self.master = self.spawn()
        self.wait_message(lambda m: m.get("READY") == "1", "READY=1")

    def wait_message(self, wanted: Callable[[Message], bool], what: str) -> Message:
        """The first message heard that is *wanted*."""
        found: Message = wait_until(lambda: self._find(wanted), what)
        return found

    def _find(self, wanted: Callable[[Message], bool]) -> Message | None:
        assert self.master is not None
        has_ended = self.master.poll() is not None  # looked at first: what it said last has arrived then
        found = next(filter(wanted, self.hear()), None)
        if found is None and has_ended:
            raise AssertionError(f"the master ended: {self.master.communicate()[1]}")
        return found

    def hear(self) -> list[Message]:
        """Take in what has arrived; all messages so far."""
        while True:
            try:
                text, ancillary, _, _ = self._notified.recvmsg(4096, socket.CMSG_SPACE(4 * 253))
            except BlockingIOError:
                return self.messages
            fds = array.array("i")
            for _, _, rights in ancillary:
                fds.frombytes(rights)
            message = Message(line.split("=", 1) for line in text.decode().split("\n"))
            self.messages.append(message)
            self._keep(message, list(fds))

    def _keep(self, message: Message, fds: list[int]) -> None:
        if "FDSTORE" in message:
            assert len(fds) == 1, message
            assert message["FDPOLL"] == "0"
            assert message["FDNAME"] not in self.store
            self.store[message["FDNAME"]] = fds.pop()
        if "FDSTOREREMOVE" in message:
            fd = self.store.pop(message["FDNAME"], -1)
            if fd >= 0:  # a name that is not there is no mistake, to systemd neither
                os.close(fd)
        assert not fds, message

    def kill_all(self) -> None:
        """SIGKILL for every process at once, as KillMode=mixed does when the master is gone."""
        assert self.master is not None
        self.hear()
        self.master.kill()
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)
        self.master.communicate()
        wait_until(lambda: not self.family(), "the end of all processes")
        self.hear()

    def end(self) -> None:
        super().end()
        self.hear()
        for fd in self.store.values():
            os.close(fd)
        for _, sock in self.unit_sockets:
            sock.close()
        self._notified.close()
