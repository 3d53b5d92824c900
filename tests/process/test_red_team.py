"""Arbitrary Python inside a worker and inside the controller gets no more than the process already had."""

import contextlib
import fcntl
import http.client
import os
import pty
import re
import shutil
import stat
import subprocess
import termios
from pathlib import Path

import pytest

from mosn_mp.ipc.seccomp import MACHINES
from tests.process.infiltrated import FOUND, USER, infiltrated, inside, interpreter, program
from tests.process.program import DEADLINE_S, Program, free_port, is_alive, wait_until

__all__ = ["interpreter", "program"]


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to be had from a program that root did not start")


class Terminal:
    """A terminal with a program in its foreground, as root's shell would have it."""

    def __init__(self, program: Program) -> None:
        self.keys, self.slave = pty.openpty()
        self._program = program
        command = [program.python, "-m", "mosn_mp", "start", "-c", str(program.path)]
        ends = (self.slave, self.slave, self.slave)
        program.master = subprocess.Popen(
            command, env=program.environment, stdin=ends[0], stdout=ends[1], stderr=ends[2], start_new_session=True, text=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        program.wait_serving()

    def typed(self) -> bytes:
        """What waits to be read by whoever reads the terminal, root's shell for example."""
        attributes = termios.tcgetattr(self.slave)
        attributes[3] &= ~termios.ICANON
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        os.set_blocking(self.slave, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self.slave, 4096)
        return b""

    def close(self) -> None:
        """Nobody looks any more."""
        os.close(self.keys)
        os.close(self.slave)


def status_of(pid: int) -> dict[str, str]:
    """What /proc/PID/status says."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


TYPE_AND_READ = """
import fcntl, os, termios
found = []
for where in (0, 1, 2, "/dev/tty"):
    try:
        fd = where if isinstance(where, int) else os.open(where, os.O_RDWR)
        os.set_blocking(fd, False)
        if os.isatty(fd):
            try:
                os.read(fd, 100)
            except BlockingIOError:
                pass
            found.append(f"read {where}")
    except OSError:
        pass
    try:
        fcntl.ioctl(fd, termios.TIOCSTI, b"x")
        found.append(f"typed into {where}")
    except OSError:
        pass
"""


def test_nothing_is_typed_into_or_read_from_roots_terminal(program: Program) -> None:
    terminal = Terminal(program)
    try:
        for pid in infiltrated(program):
            assert inside(pid, TYPE_AND_READ) == []
            assert os.readlink(f"/proc/{pid}/fd/0") == os.devnull
        assert terminal.typed() == b""
    finally:
        program.end()
        terminal.close()


def test_ctrl_c_in_a_terminal_ends_the_whole_program(program: Program) -> None:
    terminal = Terminal(program)
    try:
        family = program.family()
        assert len(family) == 4
        os.write(terminal.keys, b"\x03")
        assert program.master is not None
        assert program.master.wait(DEADLINE_S) == 0
        wait_until(lambda: not any(map(is_alive, family)), "the end of all")
    finally:
        program.end()
        terminal.close()


LOOK_INTO = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, SYS_PIDFD_GETFD = 0x4206, 438
found = []
for pid in {pids}:
    pidfd = os.pidfd_open(pid)
    if any(libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0) >= 0 for fd in range(64)):
        found.append(f"a descriptor of {{pid}}")
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0:
        found.append(f"traces {{pid}}")
    for name in ("mem", "environ", "maps"):
        try:
            open(f"/proc/{{pid}}/{{name}}", "rb").read(1 if name == "mem" else -1)
            found.append(f"{{name}} of {{pid}}")
        except OSError as e:
            if name == "mem" and not isinstance(e, PermissionError):
                found.append(f"{{name}} of {{pid}}")
"""


def test_no_process_of_the_user_looks_into_another(program: Program) -> None:
    program.start()
    family = program.family()
    for pid in infiltrated(program):
        others = [other for other in family if other != pid]
        assert inside(pid, LOOK_INTO.format(pids=others)) == []
    stranger = [program.python, "-c", LOOK_INTO.format(pids=family) + "\nprint(found)"]
    done = subprocess.run(stranger, user=USER, group=FOUND.pw_gid, extra_groups=[], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_children_of_an_ordinary_user_neither_trace_nor_take_descriptors(program: Program) -> None:
    os.chown(program.directory, FOUND.pw_uid, FOUND.pw_gid)
    del program.server["user"]
    program.write()
    program.path.chmod(0o644)
    command = [program.python, "-m", "mosn_mp", "start", "-c", str(program.path)]
    program.master = subprocess.Popen(
        command, env=program.environment, user=USER, group=FOUND.pw_gid, extra_groups=[], stderr=subprocess.PIPE, text=True
    )
    program.wait_serving()
    code = LOOK_INTO.replace('for name in ("mem", "environ", "maps")', "for name in ()")  # /proc is open to its owner
    for pid in infiltrated(program):
        others = [other for other in program.family() if other != pid]
        assert inside(pid, code.format(pids=others)) == []


REFUSED_CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, KEYCTL_GET_KEYRING_ID = 0x10000000, 0
calls = {"unshare": (272, 97, CLONE_NEWUSER, 0), "keyctl": (250, 219, KEYCTL_GET_KEYRING_ID, -3), "io_uring": (425, 425, 1, 0)}
is_arm = os.uname().machine == "aarch64"
found = []
if os.fork() == 0:  # what comes through is not this process's
    os._exit(sum(libc.syscall(call[is_arm], *call[2:]) != -1 or ctypes.get_errno() != 1 for call in calls.values()))
found = os.waitstatus_to_exitcode(os.wait()[1])
"""


@pytest.mark.skipif(os.uname().machine not in MACHINES, reason="no filter of system calls for this machine")
def test_ways_into_the_kernel_are_closed(program: Program) -> None:
    program.start()
    for pid in infiltrated(program):
        assert inside(pid, REFUSED_CALLS) == 0
        assert status_of(pid)["Seccomp"] == "2"


def test_no_core_dump_holds_what_clients_sent(program: Program) -> None:
    program.start()
    for pid in infiltrated(program):
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        assert next(line.split()[4:6] for line in limits if line.startswith("Max core file size")) == ["0", "0"]


def test_a_program_of_root_with_the_setuid_bit_gives_nothing(program: Program) -> None:
    program.start()
    found = shutil.which("id")
    assert found is not None
    tool = program.directory / "id"
    shutil.copy(found, tool)
    tool.chmod(0o4755)
    code = f"import subprocess; found = subprocess.run([{str(tool)!r}, '-u'], capture_output=True, text=True).stdout"
    for pid in infiltrated(program):
        assert inside(pid, code) == f"{FOUND.pw_uid}\n"
        assert status_of(pid)["NoNewPrivs"] == "1"
        assert int(status_of(pid)["CapBnd"], 16) == 0


def test_logs_are_for_their_owner_and_a_group(program: Program) -> None:
    program.server["listeners"][0]["access_logs"] = [{}]
    program.write()
    program.start()
    access = program.log.parent / "front_access.log"
    wait_until(lambda: access.exists() and access.read_text(), "a line of the access log")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (program.log, access)} == {0o640}


def test_the_figures_of_all_processes_are_shown_all_the_same(program: Program) -> None:
    port = free_port()
    program.config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    program.write()
    program.start()
    wait_until(lambda: program.status()["admin_address"], "the admin API")
    assert all(process["pss_bytes"] > 0 for process in program.status()["processes"])
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as admin:
        admin.request("GET", "/metrics")
        shown = admin.getresponse().read().decode()
    for name in ("master", "controller", "worker 0", "worker 1"):
        assert f'process_proportional_memory_bytes{{process="{name}"}}' in shown
        assert f'process_open_fds{{process="{name}"}}' in shown


def test_what_a_check_by_root_imports_has_no_terminal_of_his(program: Program) -> None:
    mine = program.directory / "mine.py"
    mine.write_text(f"{TYPE_AND_READ}\nimport sys\nfrom mosn_mp.filter.stream_filter import StreamFilter\n"
                    "sys.stderr.write(f'found {found}, uid {os.geteuid()}\\n')\nclass Mine(StreamFilter):\n    pass\n")
    program.server["listeners"][0]["stream_filters"] = [{"type": "mine:Mine", "python_path": "."}]
    program.write()
    keys, slave = pty.openpty()
    command = [program.python, "-m", "mosn_mp", "check", "-c", str(program.path)]
    done = subprocess.run(
        command, env=program.environment, stdin=slave, stdout=slave, stderr=subprocess.PIPE, start_new_session=True, text=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), check=False,
    )  # fmt: skip
    os.close(keys)
    os.close(slave)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"found .*", done.stderr)) == {f"found [], uid {FOUND.pw_uid}"}
