"""What commands do with a pid file and a control socket that others put in the master's place: nothing."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.process.as_user.user import FOUND, USER
from tests.process.program import Program, is_alive, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be cheated of anything here")

# A user's program that says it is pid VICTIM, holds the lock of the file, and answers what it likes.
FALSE = """
import fcntl, os, socket, struct, sys
import msgspec
path, victim, listener = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
os.write(fd, (victim if victim != "me" else str(os.getpid())).encode() + b"\\n")
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.bind(path + ".sock")
if listener == "listens":
    sock.listen()
print("ready", flush=True)
while True:
    asked, _ = sock.accept()
    asked.recv(65536)
    asked.send(msgspec.msgpack.encode({"frame": "Answer", "ok": False, "problem": "\\x1b[2Jall is well\\x9b\\u202e"}))
"""


class Liar:
    """Runs FALSE as USER."""

    def __init__(self, program: Program, victim: str, listener: str = "listens") -> None:
        logs = program.log.parent
        logs.mkdir(exist_ok=True)
        os.chown(logs, FOUND.pw_uid, FOUND.pw_gid)
        command = [program.python, "-c", FALSE, str(logs / "mosn.pid"), victim, listener]
        self.process = subprocess.Popen(
            command, env=program.environment, user=USER, group=FOUND.pw_gid, extra_groups=[], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of root's that has nothing to do with it."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("has_user", [True, False])
@pytest.mark.parametrize("listener", ["listens", "does not"])
def test_no_process_of_root_is_signalled_for_a_users_pid_file(
    has_user: bool, listener: str, program: Program, bystander: "subprocess.Popen[bytes]"
) -> None:
    if not has_user:
        del program.server["user"]
        program.write()
    liar = Liar(program, str(bystander.pid), listener)
    try:
        for options in ((), ("--graceful",)):
            done = program.run("stop", *options)
            assert done.returncode == 1
            assert "Traceback" not in done.stderr
        for command in (("status",), ("reload",), ("upgrade",), ("host", "show", "a", "b")):
            assert program.run(*command).returncode == 1
        assert is_alive(bystander.pid)
    finally:
        liar.end()


def test_a_users_answer_is_not_shown_as_roots(program: Program) -> None:
    liar = Liar(program, "me")
    try:
        done = program.run("status")
        assert done.returncode == 1
        assert "all is well" not in done.stdout + done.stderr
        assert f"of user {FOUND.pw_uid}" in done.stderr
    finally:
        liar.end()


def test_what_a_program_of_another_user_says_is_escaped(program: Program) -> None:
    """Root may ask it: the service manager starts it as that user, and the configuration names none."""
    del program.server["user"]
    program.write()
    liar = Liar(program, "me")
    try:
        done = program.run("status")
        assert done.stderr == "\\x1b[2Jall is well\\x9b\\u202e\n"
        assert program.run("stop").returncode == 0
        wait_until(lambda: liar.process.poll() is not None, "the end of what is that user's own")
    finally:
        liar.end()


def test_another_user_is_not_cheated_either(program: Program) -> None:
    """Commands of an ordinary user believe root and himself."""
    liar = Liar(program, "me")
    command = [program.python, "-m", "mosn_mp", "status", "-c", str(program.path)]
    try:
        done = subprocess.run(
            command,
            env=program.environment,
            user="daemon",
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        assert "is not believed" in done.stderr
    finally:
        liar.end()


def test_commands_reach_the_next_generation(program: Program) -> None:
    program.start()
    assert program.run("upgrade").returncode == 0
    assert program.run("status").returncode == 0
    assert program.run("stop").returncode == 0
    assert program.master is not None
    program.master.wait(20)


def test_a_stale_file_that_somebody_locks_costs_nobody_his_process(
    program: Program, bystander: "subprocess.Popen[bytes]"
) -> None:
    """The lock needs no right to write, and the number in the file may be another process's by now."""
    logs = program.log.parent
    logs.mkdir()
    stale = logs / "mosn.pid"
    stale.write_text(f"{bystander.pid}\n")
    code = f"import fcntl, struct; f = open({str(stale)!r}); lock = struct.pack('@hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0); "
    code += "fcntl.fcntl(f, fcntl.F_OFD_SETLK, lock); print('held', flush=True); input()"
    command = [program.python, "-c", code]
    holder = subprocess.Popen(command, user=USER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert program.run("stop").returncode == 1
        assert is_alive(bystander.pid)
    finally:
        holder.kill()
        holder.communicate()
