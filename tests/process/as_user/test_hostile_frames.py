"""A controller that was taken over sends the master what it likes: it is replaced, and nothing else happens."""

import os
from pathlib import Path

import pytest

from tests.process.as_user.taken_over import TakenOver
from tests.process.program import Program, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")

HEAD = """
import fcntl, os, socket, time
from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.frames import *
from mosn_mp.ipc.memfd import seal_bytes

sock = socket.socket(fileno=os.dup(channel_fd))
channel = Channel(sock)


def sparse(size, seals=0xF):
    fd = os.memfd_create("huge", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd
"""
# Those of a group hit one program, one after the other; more would be waiting for the back-off of the controller's starts.
ATTACKS = {
    "frames": [
        "sock.send(b'\\xc1' * 1000)",  # garbage
        "sock.send(b'\\x80')",  # an empty map
        "channel.send(Ready(1))",  # a frame of a worker
        "channel.send(Quit())",  # a frame of the master
    ],
    "descriptors": [
        "channel.send(Propose('x', 'host weight'))",  # none
        "channel.send(Loaded(1), [0] * 100)",  # too many
        "channel.send(Propose('x', 'host weight'), [sparse(1000, 0)])",  # a memfd that changes
        "channel.send(Propose('x', 'host weight'), [os.pipe()[0]])",
    ],
    "sizes": [
        "channel.send(Propose('x', 'host weight'), [sparse(3 << 29)])",
        "channel.send(Loaded(1), [sparse(3 << 30)] * 3)",
        """
while True:
    try:
        sock.send(encode_frame(AdminUp("x")))
    except BlockingIOError:
        time.sleep(0.0001)
""",
    ],
}


def memory_of(pid: int) -> int:
    """The most that *pid* ever had, in KiB."""
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_controller_is_replaced_and_the_rest_serves_on(kind: str, program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    assert program.master is not None
    master = program.master.pid
    workers = program.pids("worker")
    descriptors, memory = len(os.listdir(f"/proc/{master}/fd")), memory_of(master)
    for number, attack in enumerate(ATTACKS[kind]):
        (taken,) = program.pids("controller")
        controller.run(HEAD + attack)
        wait_until(lambda taken=taken: [p for p in program.pids("controller") if p != taken], f"another controller: {attack}")  # type: ignore[misc]
        assert program.pids("worker") == workers, attack
        assert program.get() in workers, attack
        program.server["graceful_timeout"] = f"{6 + number}s"
        program.write()
        done = program.run("reload")  # which loads the filter into the new controller
        assert done.returncode == 0, done.stderr
        wait_until(lambda: len(os.listdir(f"/proc/{master}/fd")) <= descriptors, "no descriptor that stays")
        assert memory_of(master) < memory + 100_000, attack


def test_a_plan_that_is_none_costs_its_reload_and_its_controller(program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    workers = program.pids("worker")
    controller.order("this is no plan")
    program.server["graceful_timeout"] = "7s"
    program.write()
    done = program.run("reload")
    assert done.returncode == 1
    assert "the controller ended while it read" in done.stderr
    controller.be_honest()
    done = program.run("reload")
    assert done.returncode == 0, done.stderr
    assert program.pids("worker") == workers


def test_what_a_taken_over_controller_says_of_itself_is_one_line_of_text(program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    controller.run(HEAD + r"""channel.send(AdminUp("\x1b[2J", "bad\n2030-01-01 00:00:00,000 [INFO] [master] all is well"))""")
    wait_until(lambda: "all is well" in program.log_text(), "the line in the log")
    assert not [line for line in program.log_text().splitlines() if line.startswith("2030")]
    assert "\x1b" not in program.run("status").stdout


def test_logs_that_are_not_there_are_not_switched(program: Program) -> None:
    controller = TakenOver(program)
    program.start()
    code = """
for number in range(100):
    channel.send(SetLogEnabled(f"/nowhere/{number}", False))
channel.send(AdminUp("", "done"))
"""
    controller.run(HEAD + code)
    wait_until(lambda: "admin: done" in program.log_text(), "all of it")
    assert program.get() in program.pids("worker")
