"""Hosts: what connect(2) gets, and health."""

import socket

import pytest

from mosn_mp.cluster.host import Host, HostSet
from mosn_mp.config import model
from mosn_mp.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "family", "expected"),
    [
        ("127.0.0.1:8080", socket.AF_INET, ("127.0.0.1", 8080)),
        ("[::1]:80", socket.AF_INET6, ("::1", 80)),
        ("[2001:db8::1]:65535", socket.AF_INET6, ("2001:db8::1", 65535)),
    ],
)
def test_the_address_is_ready_for_connect(address: str, family: int, expected: tuple[str, int]) -> None:
    host = Host(model.Host(address=address), "c")
    raw = host.sockaddr_bytes
    assert host.family == family
    assert int.from_bytes(raw[:2], "little") == family
    assert int.from_bytes(raw[2:4], "big") == expected[1]
    ip = raw[4:8] if family == socket.AF_INET else raw[8:24]
    assert socket.inet_ntop(family, ip) == expected[0]
    assert len(raw) == (16 if family == socket.AF_INET else 28)


@pytest.mark.parametrize("address", ["10.0.0.1", "name:80", "10.0.0.1:0", "[fe80::1%eth0]:80"])
def test_what_cannot_be_connected_to_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="host"):
        Host(model.Host(address=address), "c")


def test_a_host_is_healthy_until_a_flag_says_otherwise() -> None:
    host = Host(model.Host(address="10.0.0.1:80"), "c")
    assert host.healthy
    host.healthy = False
    assert not host.healthy and "unhealthy" in repr(host)
    host.healthy = True
    assert host.healthy


def test_a_host_set_has_the_hosts_it_was_made_of() -> None:
    hosts = tuple(Host(model.Host(address=f"10.0.0.{i}:80"), "c") for i in range(1, 4))
    assert (len(HostSet(hosts)), HostSet(hosts).hosts) == (3, hosts)
