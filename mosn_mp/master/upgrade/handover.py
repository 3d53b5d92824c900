"""What one master leaves to the next in an upgrade, as it travels: descriptors over a channel, both generations alive.

    old master                                  new master (re-executed program, MOSN_MP_HANDOVER = its end of the channel)
    Handover, HandoverSockets ... ----------->  starts: reads the configuration, forks workers, prepares, commits
                                  <-----------  UpgradeReady (all workers serve; both accept now), or UpgradeFailed and its end
    SetLogLevel, SwitchHost ... at any time ->  what an operator switches holds in both
    TakeOver                      ----------->  pid file, control socket, service manager, admin API
                                  <-----------  TookOver: whoever asked for the upgrade is told
    Forward, Propose ...          ----------->  what was asked for meanwhile is done (deferral.py)
                                  <-----------  Concluded: the old controller answers its client
    ReceiveFrom for each worker   ----------->  its workers take the live connections of ours
    drains, ends                                the end of the channel: the only generation

MOSN needs five sockets and a byte each way for this; one channel does.
"""

from collections.abc import MutableMapping
from typing import NamedTuple

import msgspec

from mosn_mp.config.decoding.address import parse_address
from mosn_mp.ipc.channel import Channel, ChannelClosedError, close_fds
from mosn_mp.ipc.frames import Handover, HandoverSockets
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.ipc.plan import Plan, decode_plan
from mosn_mp.master.listeners.socket_activation import Passed, PassedSocket, adopt_socket, stored_name

VARIABLE = "MOSN_MP_HANDOVER"
# The old master sends all of it before anything else.
RECEIVE_S = 10.0


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """What operators switched while the old generation served, and what no file says."""

    log_level: str  # of the default log
    silent_logs: list[str]
    disabled_hosts: list[tuple[str, str]]  # cluster, address


class HandoverError(Exception):
    """The old master's end of the channel is gone, or speaks another language."""


class Inherited(NamedTuple):
    """Everything that came; the descriptors are the receiver's."""

    channel: Channel
    frame: Handover
    pid_file: int
    control: int
    snapshot: int
    plan_bytes: bytes
    tables: bytes
    totals: bytes
    switches: Switches
    metrics: int
    state: int
    passed: Passed

    def old_plan(self) -> Plan:
        """What the old master serves; ValueError if its release wrote plans that this one cannot read."""
        return decode_plan(self.plan_bytes)


def take_handover(environment: MutableMapping[str, str]) -> Inherited | None:
    """What the master before us passes on, or None: this is no upgrade. HandoverError."""
    told = environment.pop(VARIABLE, "")
    if not told.isdecimal():
        return None
    channel = Channel.adopt(int(told))
    try:
        delivery = channel.wait_receive(RECEIVE_S)
        frame = delivery.frame
        if not isinstance(frame, Handover):
            raise HandoverError(f"the old master began with {type(frame).__name__}")
        sockets: list[PassedSocket] = []
        while len(sockets) < frame.sockets:
            more = channel.wait_receive(RECEIVE_S)
            if not isinstance(more.frame, HandoverSockets):
                raise HandoverError(f"the old master sent {type(more.frame).__name__} instead of sockets")
            for name, fd in zip(more.frame.names, more.fds, strict=True):
                address = parse_address(name.address)
                host = address.ip or "0.0.0.0"
                passed = adopt_socket(stored_name(host, address.port, name.slot), fd)
                sockets.append(passed._replace(slot=name.slot))
    except (ChannelClosedError, TimeoutError, ValueError, OSError) as e:
        raise HandoverError(f"the old master does not pass on what it has: {e}") from e
    pid_file, control, snapshot, *packed, metrics, state = delivery.fds
    plan, tables, totals, switches = map(read_sealed, packed)
    close_fds(packed)
    passed_on = Passed(
        frame.notify_address, frame.watchdog_s, tuple(sockets), stored=tuple(frame.stored), kept_by_units=frozenset(frame.units)
    )
    return Inherited(
        channel, frame, pid_file, control, snapshot, plan, tables, totals, msgspec.msgpack.decode(switches, type=Switches),
        metrics, state, passed_on,
    )  # fmt: skip
