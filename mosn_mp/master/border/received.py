"""What comes from the controller and from workers, as a stranger's input: which frames, what with them, how much of it.

Whatever does not hold raises BadFrameError: the sender is given up, and replaced.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from mosn_mp.errors import printable
from mosn_mp.ipc.channel import BadFrameError, Delivery
from mosn_mp.ipc.decoding import decoded
from mosn_mp.ipc.frames import (
    AdminUp,
    Committed,
    Filed,
    Given,
    Loaded,
    Measure,
    Missed,
    Propose,
    Pulse,
    Ready,
    Refused,
    Rejected,
    SetLogEnabled,
    SetLogLevel,
    Unchanged,
)
from mosn_mp.ipc.memfd import (
    MAX_CHANGES_BYTES,
    MAX_EDIT_BYTES,
    MAX_PLAN_BYTES,
    MAX_SNAPSHOT_BYTES,
    MAX_TEXT_BYTES,
    check_sealed,
    read_sealed,
)
from mosn_mp.ipc.plan import Plan, decode_plan
from mosn_mp.ipc.report import Changes

CONTROLLER_FDS = 3  # at most, with one frame
MAX_PROBLEMS = 200
MAX_TEXT = 2000  # characters of a line

_FDS: dict[type, int] = {
    Unchanged: 1,
    Rejected: 1,
    Propose: 1,
    Filed: 0,
    AdminUp: 0,
    SetLogLevel: 0,
    SetLogEnabled: 0,
    Pulse: 0,
    Measure: 0,
}
_OF_WORKERS = (Pulse, Ready, Refused, Committed, Given, Missed)
_changes = msgspec.msgpack.Decoder(Changes)


def check_controller_frame(delivery: Delivery) -> None:
    """BadFrameError if no controller sends that."""
    frame = delivery.frame
    expected = (3 if frame.number else 2) if isinstance(frame, Loaded) else _FDS.get(type(frame))
    if expected is None:
        raise BadFrameError("no controller sends that")
    if len(delivery.fds) != expected:
        raise BadFrameError(f"with {len(delivery.fds)} descriptors instead of {expected}")
    if isinstance(frame, Loaded):
        _checked(lambda: check_sealed(delivery.fds[0], MAX_SNAPSHOT_BYTES))


def check_worker_frame(delivery: Delivery) -> None:
    """BadFrameError if no worker sends that."""
    if not isinstance(delivery.frame, _OF_WORKERS):
        raise BadFrameError("no worker sends that")


def plan_in(fd: int) -> Plan:
    """The plan in *fd*."""
    return _checked(lambda: decode_plan(read_sealed(fd, MAX_PLAN_BYTES)))


def changes_in(fd: int) -> Changes:
    """The changes in *fd*."""
    return _checked(lambda: decoded(_changes, read_sealed(fd, MAX_CHANGES_BYTES)))


def edit_in(fd: int) -> bytes:
    """The edit in *fd*, which the master does not read."""
    return _checked(lambda: read_sealed(fd, MAX_EDIT_BYTES))


def problems_in(fd: int) -> list[str]:
    """The lines in *fd*, made fit to be shown."""
    text = _checked(lambda: read_sealed(fd, MAX_TEXT_BYTES)).decode("utf-8", "replace")
    return [shown(line) for line in text.split("\n")[:MAX_PROBLEMS] if line] or ["it does not say why"]


def shown(text: str) -> str:
    """*text* of another process as part of a line."""
    return printable(text[:MAX_TEXT])


Read = TypeVar("Read")


def _checked(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except ValueError as e:
        raise BadFrameError(shown(str(e))) from e
