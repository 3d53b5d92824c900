"""Channels: frames and descriptors from one process to another."""

import os
import socket

import pytest

from mosn_mp.ipc.channel import MAX_WAITING_FRAMES, Channel, ChannelClosedError, ChannelStuckError
from mosn_mp.ipc.frames import MAX_FDS, Ask, Commit, Refused, SocketName, Sockets


def test_a_frame_arrives_as_it_was_sent() -> None:
    one, other = Channel.pair()
    one.send(Commit(7))
    delivery = other.wait_receive(1)
    assert delivery.frame == Commit(7)
    assert delivery.fds == []


def test_frames_arrive_in_order_and_whole() -> None:
    one, other = Channel.pair()
    sent = [Refused(1, f"problem {i}" * i) for i in range(20)]
    for frame in sent:
        one.send(frame)
    assert [other.wait_receive(1).frame for _ in sent] == sent


def test_descriptors_arrive_as_duplicates_that_exec_does_not_keep() -> None:
    one, other = Channel.pair()
    reader, writer = os.pipe()
    one.send(Sockets([SocketName("front", 0)]), [writer])
    os.close(writer)
    (received,) = other.wait_receive(1).fds
    assert not os.get_inheritable(received)
    os.write(received, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(received)
    os.close(reader)


def test_the_most_descriptors_of_a_frame_fit() -> None:
    one, other = Channel.pair()
    one.send(Ask("x"), [0] * MAX_FDS)
    fds = other.wait_receive(1).fds
    assert len(fds) == MAX_FDS
    for fd in fds:
        os.close(fd)
    with pytest.raises(ValueError, match="at most 128"):
        one.send(Ask("x"), [0] * (MAX_FDS + 1))


def test_nothing_there_is_none_and_waiting_has_an_end() -> None:
    one, other = Channel.pair()
    assert other.receive_nowait() is None
    with pytest.raises(TimeoutError):
        other.wait_receive(0.01)
    one.close()


def test_the_death_of_the_other_end_is_noticed_by_both_directions() -> None:
    one, other = Channel.pair()
    one.send(Commit(1))
    one.close()
    assert other.wait_receive(1).frame == Commit(1)  # what it said last is still heard
    with pytest.raises(ChannelClosedError):
        other.receive_nowait()
    with pytest.raises(ChannelClosedError):
        other.send(Commit(2))


def test_what_the_kernel_does_not_take_waits_in_order() -> None:
    one, other = Channel.pair()
    sent = 0
    while not one.has_waiting():
        one.send(Commit(sent))
        sent += 1
    for _ in range(10):
        one.send(Commit(sent))
        sent += 1
    received = []
    while len(received) < sent:
        delivery = other.receive_nowait()
        if delivery is None:
            one.flush()
            continue
        received.append(delivery.frame)
    assert received == [Commit(i) for i in range(sent)]
    assert not one.has_waiting()


def test_descriptors_of_a_waiting_frame_outlive_the_callers_own() -> None:
    one, other = Channel.pair()
    while not one.has_waiting():
        one.send(Ask("x"))
    reader, writer = os.pipe()
    one.send(Ask("with a descriptor"), [writer])
    os.close(writer)
    fds: list[int] = []
    while not fds:
        delivery = other.receive_nowait()
        if delivery is None:
            one.flush()
        else:
            fds = delivery.fds
    os.write(fds[0], b"y")
    assert os.read(reader, 1) == b"y"
    os.close(fds[0])
    os.close(reader)


def test_an_end_that_never_reads_is_stuck() -> None:
    one, _other = Channel.pair()
    with pytest.raises(ChannelStuckError):
        for i in range(100_000):
            one.send(Commit(i))
    assert one.has_waiting()
    assert MAX_WAITING_FRAMES < 100_000


def test_a_frame_larger_than_a_packet_is_refused_by_its_sender() -> None:
    one, _other = Channel.pair()
    with pytest.raises(ValueError, match="send a memfd"):
        one.send(Refused(1, "x" * 200_000))


@pytest.mark.parametrize("packet", [b"\xc1", b"\x80", b"nonsense", b"\x81\xa5frame\xa7Unknown", b"\x81\xa5frame\xa6Commit"])
def test_what_is_no_frame_is_refused_and_its_descriptors_closed(packet: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(theirs)
    reader, writer = os.pipe()
    socket.send_fds(ours, [packet], [writer])
    os.close(writer)
    with pytest.raises(ValueError):
        channel.receive_nowait()
    assert os.read(reader, 1) == b""  # no copy of the writing end is left
    os.close(reader)
    ours.close()
