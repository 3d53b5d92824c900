"""From fork() to a running worker: give back what is the master's, build gevent's hub, run.

After fork nothing of the master is left but the channel, the shared memory and read-only pages: its descriptors are
closed (another worker's channel held open here would hide the master's death from that worker), its signal handlers are gone.
"""

import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from mosn_mp.buffer.arena import Arena, arena_shape
from mosn_mp.buffer.holdings import Holdings
from mosn_mp.buffer.segment import Segment
from mosn_mp.cluster.state import State
from mosn_mp.config.identity import Identity
from mosn_mp.ipc.channel import Channel
from mosn_mp.ipc.confinement import forbid_core_dumps, leave_terminal
from mosn_mp.ipc.landlock import Reach, confine
from mosn_mp.ipc.privilege import become, close_all_but, forbid_new_privileges
from mosn_mp.ipc.seccomp import forbid_system_calls
from mosn_mp.observe.log_files import LogFiles
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.worker.plane import Plane
from mosn_mp.worker.process import WorkerProcess, ignore_signal
from mosn_mp.worker.stack_dump import StackDump
from mosn_mp.worker.vitals import Vitals

# The master alone decides what these mean. Not SIG_IGN: exec would pass that on to programs that a filter starts.
MASTERS_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


# A worker gives the pages of buffers that traffic needs no more back within two of these; a look costs 30 us.
TRIM_EVERY_S = 0.5


class Shared(Protocol):
    """The shared memory as a worker uses it; made by the master before the fork."""

    arena_bytes: int
    holdings: Holdings
    metrics: Metrics
    state: State


PlaneFactory = Callable[[int, Arena, Shared], Plane]  # (row, its way into the arena, all shared memory) -> its data plane


class WorkerOrder(NamedTuple):
    """What the master gives a new worker."""

    slot: int  # which listening sockets are its own
    row: int  # its place in shared memory
    channel: Channel
    logs: LogFiles  # the master's: the worker opens its own
    log_path: str
    log_level: str
    graceful_timeout_s: float
    make_plane: PlaneFactory
    shared: Shared
    reach: Reach | None = None  # what it has of the file system; None: as much as its user
    identity: Identity | None = None  # whom it becomes; None: it stays who the master is


def run_worker(order: WorkerOrder) -> NoReturn:
    """Be the worker of *order* until its end; called in the child right after fork(), with all signals blocked."""
    status = 1
    try:
        _leave_master(order)
        status = _serve(order)
    except BaseException:  # nothing may unwind into the master's frames, which are below ours
        logging.getLogger("mosn_mp.worker").exception("worker %d: cannot start", order.slot)
    finally:
        _flush_output()
        os._exit(status)


def _serve(order: WorkerOrder) -> int:
    logs = LogFiles(f"worker {order.slot}")
    logs.open(order.log_path, order.log_level)
    # Made here: neither the master nor a worker that it forks later has ever had it.
    buffers = Segment.create(arena_shape(order.shared.arena_bytes))
    if order.reach is not None and (problem := confine(order.reach)):
        logging.getLogger("mosn_mp.worker").warning("worker %d: the whole file system is in reach: %s", order.slot, problem)
    if problem := forbid_system_calls():
        logging.getLogger("mosn_mp.worker").warning("worker %d: no filter of system calls: %s", order.slot, problem)
    stacks = StackDump()
    stacks.follow(order.log_path)
    arena = Arena(buffers, order.shared.holdings, order.row)
    plane = order.make_plane(order.row, arena, order.shared)
    vitals = Vitals(order.shared.metrics, order.row)
    process = WorkerProcess(order.channel, plane, logs, vitals, order.graceful_timeout_s)
    process.on_log_change = stacks.follow
    process.every(TRIM_EVERY_S, arena.trim)
    return process.wait_end()


def _leave_master(order: WorkerOrder) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number in MASTERS_SIGNALS:
        signal.signal(number, ignore_signal)
    order.logs.close()
    close_all_but((0, 1, 2, order.channel.fileno()))
    leave_terminal()
    forbid_core_dumps()
    forbid_new_privileges()
    if order.identity is not None:
        become(order.identity)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    random.seed()  # the parent's generator state is the same in every worker


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # nobody reads it any more
