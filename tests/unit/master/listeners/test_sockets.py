"""Listening sockets per slot."""

import os
import socket

import pytest

from mosn_mp.ipc.frames import SocketName
from mosn_mp.ipc.plan import ListenerPlan
from mosn_mp.master.listeners.sockets import BindError, ListeningSockets, wait_free
from tests.ports import free_port


@pytest.fixture
def port() -> int:
    return free_port()


def test_every_slot_gets_a_socket_of_the_same_address(port: int) -> None:
    sockets = ListeningSockets()
    sockets.open([ListenerPlan("front", "127.0.0.1", port)], 3)
    assert sorted(name.slot for name in sockets.names()) == [0, 1, 2]
    for slot in range(3):
        (fd,) = sockets.of_slot(slot).values()
        with socket.socket(fileno=fd) as sock:
            assert sock.getsockname() == ("127.0.0.1", port)
            assert not sock.get_inheritable()
            assert not os.get_blocking(fd)
            sock.detach()
    sockets.close()


def test_accepted_connections_inherit_nodelay_and_keepalive(port: int) -> None:
    sockets = ListeningSockets()
    plan = ListenerPlan("front", "127.0.0.1", port)
    sockets.open([plan], 1)
    sockets.listen([plan], 1)
    with socket.create_connection(("127.0.0.1", port)):
        listening = socket.socket(fileno=sockets.of_slot(0)[SocketName(plan.address, 0)])
        accepted, _ = listening.accept()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        accepted.close()
        listening.detach()
    sockets.close()


def test_a_listener_that_does_not_bind_has_no_sockets(port: int) -> None:
    sockets = ListeningSockets()
    sockets.open([ListenerPlan("virtual", "127.0.0.1", port, bind=False)], 2)
    assert sockets.names() == []


def test_opening_again_opens_only_what_is_new(port: int) -> None:
    plan = ListenerPlan("front", "127.0.0.1", port)
    sockets = ListeningSockets()
    sockets.open([plan], 1)
    before = sockets.of_slot(0)
    sockets.open([plan], 2)
    assert sockets.of_slot(0) == before
    assert len(sockets.names()) == 2
    sockets.close()


def test_one_address_in_use_leaves_none_of_the_new_ones_open(port: int) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        sockets = ListeningSockets()
        plans = [ListenerPlan("front", "127.0.0.1", port), ListenerPlan("taken", "127.0.0.1", taken)]
        with pytest.raises(BindError, match=rf"listener 'taken': cannot listen on 127.0.0.1:{taken}.*held by pid \d+"):
            sockets.open(plans, 2)
    assert sockets.names() == []
    socket.create_server(("127.0.0.1", port)).close()


def test_a_strangers_reuseport_socket_is_not_joined(port: int) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(BindError):
            wait_free(ListenerPlan("front", "127.0.0.1", port), timeout_s=0.05)


def test_connections_that_are_closing_do_not_keep_the_address(port: int) -> None:
    """TIME_WAIT of a program that has just ended."""
    server = socket.create_server(("127.0.0.1", port))
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = server.accept()
    accepted.close()
    client.recv(1)
    client.close()
    server.close()
    wait_free(ListenerPlan("front", "127.0.0.1", port), timeout_s=0.0)


def test_all_addresses_of_ipv6_are_those_of_ipv4_too(port: int) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    sockets = ListeningSockets()
    plan = ListenerPlan("front", "::", port)
    sockets.open([plan], 1)
    sockets.listen([plan], 1)
    socket.create_connection(("127.0.0.1", port)).close()
    sockets.close()


def test_what_is_retired_gets_nothing_new_and_loses_nothing_of_its_queue(port: int) -> None:
    plan = ListenerPlan("front", "127.0.0.1", port)
    sockets = ListeningSockets()
    sockets.open([plan], 3)
    sockets.listen([plan], 3)
    queued = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    assert sockets.retire([plan], 1)
    assert [name.slot for name in sockets.leaving()] == [2, 1]
    later = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    found = {name.slot: accepted(fd) for name, fd in sockets.listening().items()}
    assert found[0] > 60
    assert sum(found.values()) == 120
    assert sockets.close_leaving(60) == []
    assert len(sockets.close_leaving(0)) == 2
    for client in (*queued, *later):
        client.close()
    sockets.close()


def test_a_leaving_socket_that_is_wanted_again_stays(port: int) -> None:
    plan = ListenerPlan("front", "127.0.0.1", port)
    sockets = ListeningSockets()
    sockets.open([plan], 1)
    sockets.listen([plan], 1)
    before = sockets.of_slot(0)
    assert sockets.retire([], 1)
    with socket.socket() as late:
        late.settimeout(0.1)
        with pytest.raises(TimeoutError):
            late.connect(("127.0.0.1", port))
    assert sockets.open([plan], 1) == []
    sockets.listen([plan], 1)
    assert sockets.leaving() == []
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
    assert sockets.of_slot(0) == before
    sockets.close()


def accepted(fd: int) -> int:
    """How many connections wait at listening socket *fd*."""
    count = 0
    with socket.socket(fileno=os.dup(fd)) as sock:
        while True:
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1
