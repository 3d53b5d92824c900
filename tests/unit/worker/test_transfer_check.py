"""What another worker sends as a connection is one, or nothing is taken of it."""

import os
import socket
from collections.abc import Iterator

import pytest

from mosn_mp.ipc.channel import BadFrameError, close_fds
from mosn_mp.ipc.frames import HeadState, Transfer, TunnelState
from mosn_mp.worker.transfer_check import check_transfer

HEAD = HeadState(method=b"GET", path=b"/", authority=b"a", scheme=b"http", status=0, version=11, fields=[])


def transfer(waiting: list[int] | None = None, pipes: tuple[int, int] | None = None) -> Transfer:
    tunnel = None
    if pipes is not None:
        tunnel = TunnelState(
            cluster="c", host="h", request=HEAD, response=HEAD, times=(0, 0, 0, 0), counts=(0, 0, 0, 0), variables=b"", to_up=b"",
            to_down=b"", unread_up=b"", pipes=pipes, ended=(False, False), shut=(False, False),
        )  # fmt: skip
    return Transfer(serial=1, listener="l", protocol="", word=0, requests=0, idle_ms=0, waiting=waiting or [], tunnel=tunnel)


@pytest.fixture
def fds() -> Iterator[list[int]]:
    """Six connections."""
    found = [sock.detach() for _ in range(3) for sock in socket.socketpair()]
    yield found
    close_fds(found)


def pipe_with(content: bytes) -> list[int]:
    ends = list(os.pipe())
    os.write(ends[1], content)
    return ends


def test_a_connection_never_blocks_whoever_takes_it(fds: list[int]) -> None:
    os.set_blocking(fds[0], True)
    check_transfer(transfer(), fds[:1])
    assert not os.get_blocking(fds[0])


def test_as_many_descriptors_as_the_frame_says_are_taken(fds: list[int]) -> None:
    check_transfer(transfer(waiting=[1]), fds[:2])
    check_transfer(transfer(pipes=(0, 0)), fds[:2])
    for frame, count in ((transfer(), 0), (transfer(), 2), (transfer(waiting=[1]), 1), (transfer(pipes=(5, 0)), 2)):
        with pytest.raises(BadFrameError, match="descriptors instead of"):
            check_transfer(frame, fds[:count])


def test_a_tunnel_has_no_requests_under_way(fds: list[int]) -> None:
    with pytest.raises(BadFrameError, match="requests under way"):
        check_transfer(transfer(waiting=[1], pipes=(0, 0)), fds[:2])


def test_what_is_no_connection_is_not_taken() -> None:
    with (
        open("/dev/null") as null,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        for other in (null, listening, datagrams):
            with pytest.raises(BadFrameError, match="no socket|no connection"):
                check_transfer(transfer(), [other.fileno()])


def test_a_pipe_is_one_and_holds_what_the_frame_says(fds: list[int]) -> None:
    one, other = pipe_with(b"12345"), pipe_with(b"12345")
    check_transfer(transfer(pipes=(5, 5)), [*fds[:2], *one, *other])
    for ends, length in ((one, 4), (one[::-1], 5), ([one[0], other[1]], 5), (fds[2:4], 5)):
        with pytest.raises(BadFrameError, match="pipe"):
            check_transfer(transfer(pipes=(length, 0)), [*fds[:2], *ends])
    close_fds([*one, *other])
