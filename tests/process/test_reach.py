"""Arbitrary Python inside a worker and inside the controller reaches nothing that is not its own."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from mosn_mp.ipc.landlock import abi
from tests.process.infiltrated import FOUND, infiltrated, inside, interpreter, program
from tests.process.program import Program, free_port, wait_until

__all__ = ["interpreter", "program"]

SECRET = "the end of the world is on a Tuesday"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to be had from a program that root did not start")


KEEP_A_LISTENER = """
import os, socket, time
ours = []
for name in os.listdir("/proc/self/fd"):
    try:
        sock = socket.socket(fileno=os.dup(int(name)))
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and sock.family == socket.AF_INET:
            ours.append(sock)
    except OSError:
        pass
found = len(ours)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        for fd in set(range(3, 4096)).difference(sock.fileno() for sock in ours):
            try:
                os.close(fd)
            except OSError:
                pass
        until = time.monotonic() + 120
        while time.monotonic() < until and not os.path.exists({end!r}):
            for sock in ours:
                try:
                    sock.setblocking(False)
                    sock.accept()[0].sendall(b"mine")
                except BlockingIOError:
                    pass
                except OSError:
                    sock.listen()
            time.sleep(0.01)
    os._exit(0)
os.wait()
"""


def answer_of(port: int) -> str:
    """What who connects to *port* reads; why nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            return connection.recv(4).decode()
    except OSError as e:
        return f"nobody: {e}"


@pytest.mark.parametrize("command", ["reload", "stop"])
def test_nobody_keeps_a_listener_that_the_master_has_closed(program: Program, command: str) -> None:
    front = dict(program.server["listeners"][0])
    program.server["listeners"].append({**front, "name": "second", "address": f"127.0.0.1:{(port := free_port())}"})
    program.write()
    program.start()
    end = program.directory / "end"
    try:
        for worker in program.pids("worker"):
            assert inside(worker, KEEP_A_LISTENER.format(end=str(end))) >= 2
        program.server["listeners"].pop()
        program.write()
        assert program.run(command).returncode == 0
        wait_until(lambda: answer_of(port).startswith("nobody"), "the end of the listener")
        assert [answer_of(port)[:6] for _ in range(4)] == ["nobody"] * 4
        if command == "reload":
            assert program.get() in program.pids("worker")
    finally:
        end.touch()


STOP_HEARTS = """
import ctypes, time
PAGE, ROWS = 4096, 16
words = next(words for words in map(str.split, open("/proc/self/maps")) if words[-2] == "/memfd:mosn_mp-metrics")
start, end = (int(number, 16) for number in words[0].split("-"))
until, found = time.monotonic() + 5, 0
while time.monotonic() < until:
    for row in range(start, end, (end - start) // ROWS):
        ctypes.memset(row, 0, PAGE)
    found += 1
    time.sleep(0.0005)
"""


def test_no_worker_is_taken_for_stuck_because_another_one_writes_so(program: Program) -> None:
    program.start()
    workers = program.pids("worker")
    assert inside(workers[0], STOP_HEARTS) > 1000, "for more than twice the stall timeout no heart was seen to beat"
    assert program.pids("worker") == workers
    assert "has not turned its loop" not in program.log_text()


SIGNAL = """
import os, signal
found = []
for pid in {pids}:
    for number in (0, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT):
        try:
            os.kill(pid, number)
            found.append(f"signal {{number}} to {{pid}}")
        except PermissionError:
            pass
own = os.fork()
if own == 0:
    os.execvp("sleep", ["sleep", "60"])
os.kill(own, signal.SIGKILL)
os.waitpid(own, 0)
"""


@pytest.mark.skipif(abi() < 6, reason="needs a kernel whose Landlock knows signals (Linux 6.12)")
def test_nobody_is_signalled_but_what_one_has_started(program: Program) -> None:
    program.start()
    family = program.family()
    for pid in infiltrated(program):
        assert inside(pid, SIGNAL.format(pids=[other for other in family if other != pid])) == []
    assert program.family() == family
    assert program.get() in family


BECOME_ROOT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
found = []
for call in ("setuid", "seteuid", "setgid", "setegid"):
    if getattr(libc, call)(0) == 0:
        found.append(call)
if libc.setresuid(0, 0, 0) == 0 or libc.setgroups(1, (ctypes.c_int * 1)(0)) == 0:
    found.append("setresuid or setgroups")
header, everything = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
if libc.capset(header, everything) == 0:
    found.append("capset")
for path in {paths}:
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
        try:
            fd = os.open(path, flags)
            found.append(f"{{path}} by {{flags}}")
            os.close(fd)
        except OSError:
            pass
"""


def test_nobody_becomes_root_or_reads_roots_files(program: Program) -> None:
    program.start()
    secret = program.directory / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    assert program.master is not None
    of_master = [f"/proc/{program.master.pid}/{name}" for name in ("mem", "environ", "fd/0", "root/etc/shadow", "cwd/secret")]
    paths = [str(secret), str(program.directory / "new"), "/etc/shadow", "/etc/new", "/dev/mem", "/dev/kmsg", *of_master]
    for pid in infiltrated(program):
        assert inside(pid, BECOME_ROOT.format(paths=paths)) == []


REACH = """
import os
found = []
for path in {paths}:
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try:
            fd = os.open(path, flags)
            found.append((path, "r" if flags == os.O_RDONLY else "w"))
            os.close(fd)
        except PermissionError:
            pass
for directory in {directories}:
    try:
        os.mkdir(directory + "/made")
        found.append((directory, "m"))
    except PermissionError:
        pass
"""


@pytest.mark.skipif(not abi(), reason="needs a kernel with Landlock (Linux 5.13)")
def test_a_worker_has_nothing_of_the_file_system_but_what_the_configuration_names(program: Program) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        os.chmod(elsewhere, 0o755)
        places = {name: Path(elsewhere) / name for name in ("readable", "writable", "other")}
        for place in places.values():
            place.mkdir()
            place.chmod(0o777)
            (place / "file").write_text("anybody's")
            (place / "file").chmod(0o666)
        program.server["read_only_paths"] = [str(places["readable"])]
        program.server["read_write_paths"] = [str(places["writable"])]
        program.write()
        program.start()
        files = [str(place / "file") for place in places.values()]
        directories = [str(place) for place in places.values()]
        readable, writable, _ = files
        worker, controller = infiltrated(program)
        code = REACH.format(paths=files, directories=directories)
        expected = [(readable, "r"), (writable, "r"), (writable, "w"), (directories[1], "m")]
        assert inside(worker, code) == expected
        log = str(program.log)
        assert inside(worker, REACH.format(paths=[log, "/etc/passwd", "/dev/null"], directories=["/tmp", "/dev/shm"])) == [
            (log, "r"), (log, "w"), ("/etc/passwd", "r"), ("/dev/null", "r"), ("/dev/null", "w"),
        ]  # fmt: skip


def test_a_log_that_running_workers_could_not_make_is_refused_and_an_upgrade_takes_it(program: Program) -> None:
    if not abi():
        pytest.skip("needs a kernel with Landlock (Linux 5.13)")
    with tempfile.TemporaryDirectory() as elsewhere:
        os.chmod(elsewhere, 0o755)
        os.chown(elsewhere, FOUND.pw_uid, FOUND.pw_gid)
        program.start()
        program.server["listeners"][0]["access_logs"] = [{"log_path": f"{elsewhere}/access.log"}]
        program.write()
        refused = program.run("reload")
        assert refused.returncode == 1
        assert f"the log directory '{elsewhere}': workers that run may not write there. Run `mosn_mp upgrade`" in refused.stderr
        assert program.run("upgrade").returncode == 0
        program.get()
        wait_until(lambda: (Path(elsewhere) / "access.log").read_text(), "a line in the new log")
