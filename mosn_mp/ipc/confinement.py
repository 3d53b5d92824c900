"""What a child of the master lays down before it does anything else: whoever takes the child over gets no more than it needs.

Sources: setsid(2), ioctl_tty(2) for TIOCSTI, which types into the controlling terminal of whoever calls it.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys

from mosn_mp.config.identity import Identity
from mosn_mp.ipc.privilege import become, forbid_new_privileges

_PR_SET_PDEATHSIG = 1


def forbid_core_dumps() -> None:
    """Leave no file with what clients sent, or with keys, whatever ends this process or one that it starts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def leave_terminal() -> None:
    """Be in a session without a terminal, with nothing to read on stdin; what stdout and stderr are can be written to only.

    To be called before the identity changes. ^C in a terminal then reaches the master alone, which tells its children.
    """
    if os.getsid(0) != os.getpid():
        os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)
    for fd in (1, 2):
        if os.isatty(fd):
            # A terminal is open for reading too: what somebody types there, a password of root's, could be read from stderr.
            with contextlib.suppress(OSError):  # after su(1) it is another user's: it stays as its owner handed it over
                writer = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NOCTTY)
                os.dup2(writer, fd)
                os.close(writer)


def go_on_as(identity: Identity) -> None:
    """Return in a child that is *identity* and has no terminal; this process waits for its end, and ends as it does.

    For a command of root's that is about to run what somebody else wrote.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os._exit(code if code >= 0 else 128 - code)
    leave_terminal()
    forbid_core_dumps()
    forbid_new_privileges()
    become(identity)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ^C reaches only who waits
