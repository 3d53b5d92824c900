"""The messages between master, controller, workers and the command line: one tagged msgpack map each.

```
worker      <- Sockets, Lend, Withdraw, Prepare, Commit, Abort, Give, Receive, Drain, Quit, ReopenLogs, OpenLog, SetLogLevel,
               SetLogEnabled
worker      -> Ready | Refused, Committed, Given, Missed, Pulse
worker      -> Transfer -> worker -> Taken | Kept -> worker
controller  <- Load, Adopt, Served, Failed, Concluded, Figures, Retire, Quit, ReopenLogs, OpenLog, SetLogLevel, SetLogEnabled,
               State
controller  -> Loaded, Unchanged, Rejected, Propose, Filed, Measure, AdminUp, SetLogLevel, SetLogEnabled
command     -> Ask          command <- Answer
old master  -> Handover, HandoverSockets, TakeOver, ReceiveFrom, Forward, Propose, SetLogLevel, SetLogEnabled, ReopenLogs,
               SwitchHost -> new master
new master  -> UpgradeReady | UpgradeFailed, TookOver, Concluded -> old master
```
A frame travels with the descriptors that its docstring names, in that order, by SCM_RIGHTS. A rollout is Prepare -> Ready or
Refused from every worker -> Commit or Abort to every worker -> Committed; its frames carry the version that they are about.

One piece: it is the protocol between our processes, which is looked up from both ends.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from mosn_mp.ipc.decoding import decoded


class Frame(msgspec.Struct, frozen=True, tag=True, tag_field="frame", omit_defaults=True):
    """What every message is; `frame` on the wire is the class's name."""


class SocketName(msgspec.Struct, frozen=True, array_like=True):
    """Which listening socket a descriptor is: that of *slot* in the group of *address* (as config.address writes it).

    Not of a listener: one that is renamed keeps its queue, one that moves to another address gets new sockets.
    """

    address: str
    slot: int


class Sockets(Frame, frozen=True):
    """master -> worker: listening sockets, one descriptor for each name (at most MAX_FDS a frame). They stay until Withdraw."""

    names: list[SocketName]


class Lend(Frame, frozen=True):
    """master -> worker: sockets of a slot that nobody serves just now; accept from them at once, until Withdraw."""

    names: list[SocketName]


class Missed(Frame, frozen=True):
    """worker -> master: these lent sockets did not arrive, for want of descriptors: let another one have them."""

    names: list[SocketName]


class Withdraw(Frame, frozen=True):
    """master -> worker: these sockets are not yours any more: take what is queued in them and close them, if you have them."""

    names: list[SocketName]


class Prepare(Frame, frozen=True):
    """master -> worker: compile this snapshot and say whether you can serve it. Descriptors: snapshot, tables."""

    version: int


class Ready(Frame, frozen=True):
    """worker -> master: the snapshot is compiled and waits for Commit or Abort."""

    version: int


class Refused(Frame, frozen=True):
    """worker -> master: this snapshot cannot be served here; what was served goes on."""

    version: int
    reason: str


class Commit(Frame, frozen=True):
    """master -> worker: serve the prepared snapshot from now on."""

    version: int


class Abort(Frame, frozen=True):
    """master -> worker: forget the prepared snapshot."""

    version: int


class Committed(Frame, frozen=True):
    """worker -> master: new requests are served by this version."""

    version: int


class Give(Frame, frozen=True):
    """master -> worker: let another worker have live connections. Descriptor: the giver's end of the channel between both.

    *count* of them, or (-1) all that can move, as they come to rest, until none is left or the other worker is gone.
    """

    number: int
    count: int = -1


class Receive(Frame, frozen=True):
    """master -> worker: serve on what another worker gives. Descriptor: the receiver's end of the channel between both."""


class Given(Frame, frozen=True):
    """worker -> master: Give *number* is over; that many connections went."""

    number: int
    count: int


# What C fields of the receiver hold; a worker believes no number of another one.
Word = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
Long = Annotated[int, Meta(ge=0, le=(1 << 62) - 1)]


class HeadState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A message head, for the access log of who goes on with its tunnel."""

    method: bytes
    path: bytes
    authority: bytes
    scheme: bytes
    status: Annotated[int, Meta(ge=0, le=999)]
    version: Annotated[int, Meta(ge=0, le=99)]
    fields: list[tuple[bytes, bytes]]


class TunnelState(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver needs of a tunnel beside its connections; `to_down`, `to_up` are the bytes written and not sent.

    *pipes*: bytes in the pipe of each direction (up, down); a pipe that has some comes as two descriptors, up before down.
    *times*, *counts*: of the access log's record, as proxy.tunnel writes them.
    """

    cluster: str
    host: str
    request: HeadState
    response: HeadState
    times: tuple[Long, Long, Long, Long]
    counts: tuple[Long, Long, Long, Word]
    variables: bytes
    to_up: bytes
    to_down: bytes
    unread_up: bytes  # of the host's connection; that of the client's is Transfer.unread
    pipes: tuple[Word, Word]
    ended: tuple[bool, bool]  # the source of this direction (up, down) has sent its end
    shut: tuple[bool, bool]  # FIN was sent to the host, to the client


class Transfer(Frame, frozen=True, kw_only=True):
    """worker -> worker: a client's connection to go on with, once Taken is said. Descriptors: the connection; then those of a
    tunnel (the host's, pipes), or the end of the relay by which the answers to *waiting* come.
    """

    serial: int
    listener: str
    protocol: str  # "": it has not said anything yet
    word: Word  # Codec.state_word()
    requests: Word  # begun on it so far
    idle_ms: Milliseconds  # what is left of its idle time
    unread: bytes = b""
    unsent: bytes = b""
    waiting: list[Annotated[int, Meta(ge=0)]] = []
    tunnel: TunnelState | None = None


class Taken(Frame, frozen=True):
    """worker -> worker: the connection of Transfer *serial* is the receiver's from now on."""

    serial: int


class Kept(Frame, frozen=True):
    """worker -> worker: the connection of Transfer *serial* cannot go on here; it stays the giver's."""

    serial: int


class Drain(Frame, frozen=True):
    """master -> worker: finish what is in flight within *deadline_s*, exit 0; told again, within the shorter time.

    What is queued in its sockets is taken, then they are closed; *settle_s* not 0: they begin no handshakes any more, so for that
    long, or while anything else keeps the worker, it takes what those under way become.
    """

    deadline_s: float
    settle_s: float = 0.0


class Quit(Frame, frozen=True):
    """master -> worker, controller: close everything now and exit 0."""


class ReopenLogs(Frame, frozen=True):
    """master -> worker, controller: open every log file anew (it was renamed by a log rotation)."""


class OpenLog(Frame, frozen=True):
    """master -> everybody: the default log is the one at *path* from now on, at *level*."""

    path: str
    level: str


class SetLogLevel(Frame, frozen=True):
    """controller -> master -> everybody: the level of the log at *path* ("" = the default log) is now *level* (MOSN's name)."""

    path: str
    level: str


class SetLogEnabled(Frame, frozen=True):
    """controller -> master -> workers: the process or access log at *path* is written, or not."""

    path: str
    enabled: bool


class Pulse(Frame, frozen=True):
    """worker, controller -> master, once a second: alive, with what `status` shows of it."""

    active: int = 0
    version: int = 0


class Load(Frame, frozen=True):
    """master -> controller: read *path* anew and say what you think of it, in answer *number*; *is_dry_run*: only a question.

    With *edit* (a key of controller.edits.EDITS): not the file, but what is served, edited so. Descriptors then: the edit's JSON.
    """

    number: int
    path: str
    is_dry_run: bool = False
    edit: str = ""


class Loaded(Frame, frozen=True):
    """controller -> master: the config is valid. Descriptors: snapshot, plan; in answer to Load ipc.report.Changes."""

    number: int = 0  # of Load; 0 = the first one, which nobody has to ask for


class Unchanged(Frame, frozen=True):
    """controller -> master: what is to be loaded is what is served already. Descriptors: ipc.report.Changes (its warnings)."""

    number: int


class Rejected(Frame, frozen=True):
    """controller -> master: the config cannot be served. Descriptors: a memfd with a line for each thing that is wrong."""

    number: int = 0


class Filed(Frame, frozen=True):
    """controller -> master: the configuration file says what *version* serves, as it was when it had *stamp*.

    *problem*: why what is served now could not be written to it. *served* is the version that was served when this was said:
    nothing is left to be done for it.
    """

    version: int
    stamp: str = ""
    problem: str = ""
    served: int = 0


class Adopt(Frame, frozen=True):
    """master -> a restarted controller: this snapshot is served; do not read the file. Descriptors: snapshot, plan.

    *filed* is what the controller before it said last.
    """

    version: int
    filed: Filed


class Served(Frame, frozen=True):
    """master -> controller: your snapshot is committed everywhere as *version*. Descriptors: tables, holdings, metrics."""

    version: int


class Failed(Frame, frozen=True):
    """master -> controller: your snapshot was refused by a worker and is served nowhere."""

    reason: str


class Propose(Frame, frozen=True):
    """controller -> master, old master -> new one: somebody asks for this *edit* (as in Load) of what is served. Descriptors: the
    edit's JSON.

    *token* comes back with the answer; no other proposal has it, of this controller or of one before or after it.
    """

    token: str
    edit: str


class Concluded(Frame, frozen=True):
    """master -> controller, new master -> old one: what came of the proposal *token*. Descriptors: ipc.report.ReloadReport."""

    token: str


# In the order of observe.proc.ProcessReading.
Figure = tuple[float, int, int, int, int, int, int, float]


class Measure(Frame, frozen=True):
    """controller -> master: tell me the Figures of all processes."""


class Figures(Frame, frozen=True):
    """master -> controller: what the kernel knows of the processes, by name."""

    processes: dict[str, Figure]


class Retire(Frame, frozen=True):
    """master -> controller: another one is the program's: leave the admin addresses and the file, finish what is asked within
    *deadline_s*, exit 0.
    """

    deadline_s: float


class State(Frame, frozen=True):
    """master -> controller: MOSN's stage number of the whole program, for /api/v1/states."""

    stage: int


class AdminUp(Frame, frozen=True):
    """controller -> master: admin HTTP answers at *address*, or (*problem* not empty) it could not be started."""

    address: str
    problem: str = ""


class Handover(Frame, frozen=True, kw_only=True):
    """old master -> new one: what goes on. Descriptors: pid file, control socket, snapshot, plan, tables, totals, switches
    (upgrade.handover.Switches), metrics, state.

    *version* of the configuration is the old one's, *next_version* that of the new one; *rows* are [row of shared memory, pid] of
    the old workers;
    *stored* is what the service manager's store holds ([name, inode]), *units* the inodes of sockets that it keeps anyhow.
    *filed* is what the old controller said of the configuration file.
    """

    pid: int
    version: int
    next_version: int
    notify_address: str
    watchdog_s: float
    rows: list[tuple[int, int]]
    stored: list[tuple[str, int]]
    units: list[int]
    sockets: int  # descriptors that follow in HandoverSockets
    filed: Filed = Filed(0)


class HandoverSockets(Frame, frozen=True):
    """old master -> new one: listening sockets, one descriptor for each name."""

    names: list[SocketName]


class SwitchHost(Frame, frozen=True):
    """old master -> new one: this host was put into rotation, or out of it."""

    cluster: str
    address: str
    enable: bool


class UpgradeReady(Frame, frozen=True):
    """new master -> old one: every worker of mine serves *version*; I can go on alone."""

    version: int


class UpgradeFailed(Frame, frozen=True):
    """new master -> old one: I cannot serve, and leave."""

    problems: list[str]


class TakeOver(Frame, frozen=True):
    """old master -> new one: from now on you are the program: pid file, control socket, service manager."""


class TookOver(Frame, frozen=True):
    """new master -> old one: the pid file says my pid, I answer at the control socket."""


class ReceiveFrom(Frame, frozen=True):
    """old master -> new one: the worker of *slot* gives its live connections. Descriptor: as of Receive."""

    slot: int


class Ask(Frame, frozen=True):
    """command line -> master, over the control socket: what is wanted ("status", "reload"), and of which file or host."""

    what: str
    path: str = ""
    is_dry_run: bool = False
    cluster: str = ""
    address: str = ""
    weight: int = 0


class Forward(Frame, frozen=True):
    """old master -> new one: this is asked for, and you are the program. Descriptor: the asking client; none: it was a signal."""

    ask: Ask


class Answer(Frame, frozen=True):
    """master -> command line: the answer as msgpack in *body* (which travels as a descriptor), or why there is none."""

    ok: bool
    problem: str = ""
    body: bytes = b""


AnyFrame = (
    Sockets | Lend | Missed | Withdraw | Prepare | Ready | Refused | Commit | Abort | Committed | Give | Receive | Given
    | Transfer | Taken | Kept | Drain | Quit | ReopenLogs | OpenLog
    | SetLogLevel | SetLogEnabled | Pulse | Load | Loaded | Unchanged | Rejected | Adopt | Served | Failed | Propose
    | Filed | Concluded | Measure | Figures | State | AdminUp | Ask | Answer | Handover | HandoverSockets | UpgradeReady
    | UpgradeFailed | TakeOver | TookOver | ReceiveFrom | Retire | SwitchHost | Forward
)  # fmt: skip

MAX_FDS = 128  # descriptors in one frame; Linux takes at most 253 (SCM_MAX_FD) in one message
SOCKETS_PER_FRAME = 32  # leaves 4 KiB for each listener's name
MAX_FRAME_BYTES = 131_072  # fits SO_SNDBUF's default (212,992) with the kernel's overhead; what is larger travels as a memfd

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)


def encode_frame(frame: Frame) -> bytes:
    """The msgpack map of *frame*; ValueError if it is larger than a frame may be."""
    packed = _encoder.encode(frame)
    if len(packed) > MAX_FRAME_BYTES:
        raise ValueError(f"a {type(frame).__name__} frame of {len(packed)} bytes: at most {MAX_FRAME_BYTES} fit; send a memfd")
    return packed


def decode_frame(packed: bytes | memoryview) -> AnyFrame:
    """The frame in *packed*; ValueError (msgspec.ValidationError) if it is none."""
    return decoded(_decoder, packed)


def chunked(names: Sequence[SocketName]) -> list[Sequence[SocketName]]:
    """*names* in pieces of what one Sockets frame holds."""
    return [names[at : at + SOCKETS_PER_FRAME] for at in range(0, len(names), SOCKETS_PER_FRAME)]
