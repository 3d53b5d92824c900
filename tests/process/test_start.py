"""How a start goes, and how it is refused."""

import os
import re
import signal
import socket
from pathlib import Path

from tests.ports import free_port
from tests.process.program import Program, wait_until


def ended(program: Program) -> tuple[int, str]:
    """The exit status and the standard error of a start that is refused."""
    master = program.spawn()
    _, errors = master.communicate(timeout=20)
    wait_until(lambda: not program.family(), "no process left")
    return master.returncode, errors


def test_all_workers_answer_once_the_start_is_through(running: Program) -> None:
    workers = set(running.pids("worker"))
    assert len(workers) == 2
    assert {running.get() for _ in range(40)} == workers


def test_the_pid_file_names_the_master(serving: Program) -> None:
    assert serving.master is not None
    assert (serving.directory / "logs/mosn.pid").read_text() == f"{serving.master.pid}\n"


def test_no_shared_memory_file_stays_visible(serving: Program) -> None:
    assert serving.master is not None
    assert not [name for name in os.listdir("/dev/shm") if f"-{serving.master.pid}-" in name]


def test_a_bad_config_is_refused_with_all_its_errors(program: Program) -> None:
    program.server["listeners"][0]["adress"] = "1.2.3.4:5"
    program.server["graceful_timeout"] = "soon"
    program.write()
    status, errors = ended(program)
    assert status == 1
    assert "adress" in errors
    assert "graceful_timeout" in errors
    assert "Traceback" not in errors


def test_a_missing_config_is_one_sentence(program: Program) -> None:
    program.path.unlink()
    status, errors = ended(program)
    assert status == 1
    assert str(program.path) in errors
    assert "Traceback" not in errors


def test_a_config_that_one_worker_refuses_is_served_by_none(program: Program) -> None:
    program.trouble("refuse")
    status, errors = ended(program)
    assert status == 1
    assert re.search(r"^worker \d refused: .*this worker does not like it", errors)


def test_a_worker_that_dies_while_it_prepares_refuses(program: Program) -> None:
    program.trouble("die")
    status, errors = ended(program)
    assert status == 1
    assert re.search(r"worker \d died while it prepared: exit status 3", errors)


def test_a_worker_that_does_not_answer_refuses(program: Program) -> None:
    program.trouble("hang")
    status, errors = ended(program)
    assert status == 1
    assert re.search(r"worker \d did not answer within 10 s", errors)


def test_an_address_in_use_is_refused_with_its_holder(program: Program) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as if it were ours: it is not
        holder.bind(("127.0.0.1", program.port))
        holder.listen()
        status, errors = ended(program)
    assert status == 1
    assert f"listener 'front': cannot listen on 127.0.0.1:{program.port}" in errors
    assert f"pid {os.getpid()}" in errors


def test_workers_hold_no_channel_but_their_own(serving: Program) -> None:
    """A copy of another worker's channel would hide the master's death from it."""
    for pid in serving.pids("worker"):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        sockets = {link for link in links if link.startswith("socket:")}
        assert len(sockets) == 2, links  # the channel, its slot's listening socket
        assert not [link for link in links if link.endswith("mosn.pid")]


def test_a_second_listener_gets_sockets_of_its_own(program: Program) -> None:
    second = free_port()
    program.server["listeners"].append(Program.listener("second", second))
    program.write()
    program.start()
    program.port = second
    assert program.get() in program.pids("worker")


def test_sigusr1_opens_the_log_anew(running: Program) -> None:
    rotated = Path(f"{running.log}.1")
    running.log.rename(rotated)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: "logs reopened" in running.log_text(), "the new log")
    assert "serving version 1" in rotated.read_text()
    for pid in running.pids("worker") + running.pids("controller"):
        # the master says that it told them, which they may hear a moment later
        wait_until(lambda pid=pid: log_files_of(pid, running.log) == {str(running.log)}, f"the new log in process {pid}")


def log_files_of(pid: int, log: Path) -> set[str]:
    """The files named like *log* that a process has open."""
    links = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    return {link for link in links if link.startswith(str(log))}
