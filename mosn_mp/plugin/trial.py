"""Runs users' code first in a child that is forked for it, within limits: whatever it does there, this process goes on.

```
parent: fork ----------------------------- poll(pidfd, wall_s + 1) --- kill the session --- wait --> Outcome
child:    '- setsid, limits, Guard - work() -+- answer -- _exit
                                             +- misdeed (os._exit, fork, ...) -- its line -- _exit
                                             '- too long, a crash -- faulthandler writes its lines -- dies
```
The answer lies in memory that both share, which is there still when the child's descriptors are closed.
Sources: setrlimit(2) (RLIMIT_DATA counts private memory from Linux 4.7 on), pidfd_open(2), Python's faulthandler.
"""

import contextlib
import ctypes
import faulthandler
import mmap
import os
import re
import resource
import select
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from mosn_mp.plugin.blame import describe, where
from mosn_mp.plugin.guard import Guard

_ANSWERED, _MISDEED = 1, 2
_PR_SET_PDEATHSIG = 1
_HEAD = struct.Struct("=BI")
_NOTE_AT, _NOTE = _HEAD.size, struct.Struct("=H")
_BODY_AT = 4096
_SHARED_BYTES = 8 << 20  # a page of it takes memory when something is written there
_DESCRIPTORS = 1024  # that loading has open, at most
_STACKS_BYTES = 64 << 10
_FRAME = re.compile(r'^  File "(.*)", line (\d+)', re.MULTILINE)
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
_PAGE = resource.getpagesize()
_WAIT_S = 1.0  # for a child that has to find out by itself that its time is over

_exit = os._exit

Note = Callable[[str], None]


class Limits(NamedTuple):
    """What loading users' code may take."""

    cpu_s: int = 5
    wall_s: float = 10.0
    memory_bytes: int = 1 << 30


class Outcome(NamedTuple):
    """What came of a trial: the *answer*, or a *problem*; then *note* is the last thing that was noted."""

    answer: bytes
    problem: str
    note: str


def run_in_trial(work: Callable[[Note], bytes], limits: Limits) -> Outcome:
    """What *work* answers in a child; it is given a function to say what it is at. OSError: there can be no child.

    No process that was forked from it is left, unless it has made a session of its own.
    """
    for stream in (sys.stdout, sys.stderr):  # or what waits in them is written twice
        if stream is not None:
            stream.flush()
    with mmap.mmap(-1, _SHARED_BYTES) as shared:
        stacks_fd = os.memfd_create("mosn_mp-trial")
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(work, limits, shared, stacks_fd)
            status = _wait(pid, limits)
            return _outcome(status, limits, shared, os.pread(stacks_fd, _STACKS_BYTES, 0).decode(errors="replace"))
        finally:
            os.close(stacks_fd)


def _wait(pid: int, limits: Limits) -> int:
    """The status that child *pid* ended with, or was made to end with."""
    try:
        pidfd = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll((limits.wall_s + _WAIT_S) * 1000)
        finally:
            os.close(pidfd)
    finally:
        # its number is nobody else's before it is waited for, and neither is that of its group
        for kill in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return status


def _outcome(status: int, limits: Limits, shared: mmap.mmap, stacks: str) -> Outcome:
    kind, size = _HEAD.unpack_from(shared)
    body = shared[_BODY_AT : _BODY_AT + size]
    if kind == _ANSWERED:
        return Outcome(body, "", "")
    (note_size,) = _NOTE.unpack_from(shared, _NOTE_AT)
    note_at = _NOTE_AT + _NOTE.size
    note = shared[note_at : note_at + note_size].decode(errors="replace")
    if kind == _MISDEED:
        return Outcome(b"", f"loading it {body.decode(errors='replace')}", note)
    main_thread = _THREAD.split(stacks)[-1]  # it is listed last
    at = where((file, int(line)) for file, line in reversed(_FRAME.findall(main_thread)))
    code = os.waitstatus_to_exitcode(status)
    if stacks.startswith("Timeout") or code == -signal.SIGKILL:
        return Outcome(b"", f"loading it takes longer than {limits.wall_s:g} s{at}", note)
    if code == -signal.SIGXCPU:
        return Outcome(b"", f"loading it computes for longer than {limits.cpu_s} s{at}", note)
    how = f"with exit status {code}" if code >= 0 else f"by {_signal_name(-code)}"
    return Outcome(b"", f"loading it ends the process {how}{at}", note)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# --- in the child ------------------------------------------------------------------------------------------------------


def _be_child(work: Callable[[Note], bytes], limits: Limits, shared: mmap.mmap, stacks_fd: int) -> NoReturn:
    def end(kind: int, body: bytes) -> NoReturn:
        body = body[: _SHARED_BYTES - _BODY_AT]
        shared[_BODY_AT : _BODY_AT + len(body)] = body
        _HEAD.pack_into(shared, 0, kind, len(body))
        _exit(0)

    def report(problem: str) -> NoReturn:
        end(_MISDEED, problem.encode(errors="replace"))

    def note(text: str) -> None:
        guard.look()  # what was done up to now is about what was noted before
        packed = text.encode(errors="replace")[: _BODY_AT - _NOTE_AT - _NOTE.size]
        _NOTE.pack_into(shared, _NOTE_AT, len(packed))
        shared[_NOTE_AT + _NOTE.size : _NOTE_AT + _NOTE.size + len(packed)] = packed

    try:
        _separate()
        _limit(limits, stacks_fd)
        guard = Guard(report)
        answer = work(note)
        for stream in (sys.stdout, sys.stderr):  # what users' code printed
            if stream is not None:
                with contextlib.suppress(Exception):
                    stream.flush()
        guard.look()
        end(_ANSWERED, answer)
    except BaseException as e:  # noqa: BLE001 - nothing may go on in a copy of the parent
        report(f"fails: {describe(e)}")
    finally:
        _exit(70)


def _separate() -> None:
    """Share with the parent no session, no input and no event loop; and end with it, for what it listened at is open here too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)
    sys.stdin = os.fdopen(0, closefd=False)
    gevent: Any = sys.modules.get("gevent._hub_local")
    hub = gevent.get_hub_if_exists() if gevent is not None else None
    if hub is not None:  # its epoll set is the parent's too, and its greenlets are the parent's work
        gevent.set_hub(None)
        gevent.set_loop(type(hub.loop)(default=False))


def _limit(limits: Limits, stacks_fd: int) -> None:
    with open("/proc/self/statm", "rb") as file:
        used = int(file.read().split()[5]) * _PAGE
    for which, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_DATA, used + limits.memory_bytes),
    ):
        soft, hard = resource.getrlimit(which)
        resource.setrlimit(which, (wanted if soft == resource.RLIM_INFINITY else min(wanted, soft), hard))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    faulthandler.enable(stacks_fd, all_threads=False)
    faulthandler.register(signal.SIGXCPU, stacks_fd, all_threads=False, chain=True)
    faulthandler.dump_traceback_later(limits.wall_s, exit=True, file=stacks_fd)
