"""What makes this process the running program: the lock of the pid file, and the control socket beside it."""

import os
from collections.abc import Callable

from mosn_mp.ipc.frames import Ask
from mosn_mp.master.control.pid_file import PidFile
from mosn_mp.master.control.server import ControlSocket, Question, control_path
from mosn_mp.master.events.loop import Loop


class Instance:
    """Claimed at the start, or taken over from the master before us; released at the end, or left to the next one."""

    def __init__(self, loop: Loop, answer: Callable[[Question], None]) -> None:
        """*answer* gets each question at the control socket."""
        self._loop = loop
        self._answer = answer
        self._pid_file: PidFile | None = None
        self._control: ControlSocket | None = None

    def claim(self, pid_path: str) -> None:
        """Be the one that runs with that pid file; AlreadyRunningError, or OSError if it cannot be written."""
        self._pid_file = PidFile(pid_path)
        self._control = ControlSocket(self._loop, control_path(pid_path), self._answer)

    def is_claimed(self) -> bool:
        """Whether this process is, or was, the program."""
        return self._pid_file is not None

    def take_over(self, pid_path: str, pid_file: int, control: int) -> None:
        """Be the program from now on, by the descriptors that the master before us handed over."""
        self._pid_file = PidFile.take_over(pid_path, pid_file)
        self._control = ControlSocket(self._loop, control_path(pid_path), self._answer, control)

    def fds(self) -> tuple[int, int]:
        """The descriptors of pid file and control socket, for the next master."""
        assert self._pid_file is not None and self._control is not None
        return self._pid_file.fileno(), self._control.fileno()

    def adopt(self, client: int, ask: Ask) -> None:
        """Answer what the master before us was asked by *client*, a descriptor."""
        if self._control is None:
            os.close(client)
        else:
            self._control.adopt(client, ask)

    def leave(self) -> None:
        """Another master is the program now."""
        assert self._pid_file is not None and self._control is not None
        self._control.leave()
        self._pid_file.leave()

    def release(self) -> None:
        """Nobody is, unless it was left to another one."""
        if self._control is not None:
            self._control.close()
        if self._pid_file is not None:
            self._pid_file.release()
