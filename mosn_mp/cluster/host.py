"""Hosts and sets of hosts. A host's address is parsed once into the bytes that connect(2) takes; no socket is touched here."""

import cython
from cython.cimports.cpython.object import PyObject
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.mosn_mp.cluster.sockaddr import AF_INET, AF_INET6, htons, inet_pton, sockaddr_in, sockaddr_in6

from mosn_mp.config import model
from mosn_mp.config.decoding.address import Address, parse_address
from mosn_mp.errors import ConfigError


class Host:
    """One upstream address. `Host(config, cluster_name)`; ConfigError if the address is none."""

    def __cinit__(self, config: model.Host, cluster_name: str = "") -> None:
        self.address = config.address
        self.hostname = config.hostname
        self.weight = config.weight
        self.cluster_name = cluster_name
        self.up = cython.NULL
        self.health = cython.NULL
        self.pool = None
        try:
            self._parse(parse_address(config.address))
        except ValueError as e:
            raise ConfigError("", f"cluster {cluster_name}: host {config.address!r}: {e}") from e

    def _parse(self, address: Address) -> None:
        four: sockaddr_in
        six: sockaddr_in6
        text: bytes = address.ip.encode()
        memset(self.sockaddr, 0, cython.sizeof(self.sockaddr))
        if address.is_ipv6:
            memset(cython.address(six), 0, cython.sizeof(six))
            six.sin6_family = AF_INET6
            six.sin6_port = htons(address.port)
            if inet_pton(AF_INET6, text, cython.address(six.sin6_addr)) != 1:
                raise ValueError("an address with a zone or an interface cannot be connected to")
            self.family = AF_INET6
            self.sockaddr_len = cython.sizeof(six)
            memcpy(self.sockaddr, cython.address(six), cython.sizeof(six))
        else:
            memset(cython.address(four), 0, cython.sizeof(four))
            four.sin_family = AF_INET
            four.sin_port = htons(address.port)
            inet_pton(AF_INET, text, cython.address(four.sin_addr))
            self.family = AF_INET
            self.sockaddr_len = cython.sizeof(four)
            memcpy(self.sockaddr, cython.address(four), cython.sizeof(four))

    def is_healthy(self) -> cython.bint:
        """True unless a health flag is set."""
        return self.health == cython.NULL or self.health[0] == 0

    def leave(self) -> None:
        """The host is not configured any more; streams that have chosen it may still be on their way to it."""
        self.is_gone = True
        if self.pool is not None:
            self.pool.retire()

    @property
    def healthy(self) -> bool:
        """Python's side of is_healthy(). Setting it sets flags of this process only, which do not outlive shared ones."""
        return self.is_healthy()

    @healthy.setter
    def healthy(self, value: bool) -> None:
        if self.health == cython.NULL:
            self.health = cython.address(self.own_health)
        self.health[0] = cython.cast(uint8_t, 0 if value else 1)

    @property
    def sockaddr_bytes(self) -> bytes:
        """The struct sockaddr as bytes."""
        return self.sockaddr[: self.sockaddr_len]

    def __repr__(self) -> str:
        return f"<Host {self.address}{'' if self.is_healthy() else ' unhealthy'}>"


class HostSet:
    """`HostSet(hosts, weights)`: each host's weight from take_weights() on; () = they stay as they are."""

    def __cinit__(self, hosts: tuple, weights: tuple = ()) -> None:
        i: cython.int
        host: Host
        self.hosts = hosts
        self.count = len(hosts)
        self.weights = weights or tuple([known.weight for known in hosts])
        self.is_weighted = len(set(self.weights)) > 1
        self.at = cython.cast(
            cython.pointer(cython.pointer(PyObject)), malloc((self.count + 1) * cython.sizeof(cython.pointer(PyObject)))
        )
        if self.at == cython.NULL:
            raise MemoryError
        for i in range(self.count):
            host = hosts[i]
            self.at[i] = cython.cast(cython.pointer(PyObject), host)

    def __dealloc__(self) -> None:
        free(self.at)

    def get(self, index: cython.int) -> Host:
        """Host number *index*, which exists."""
        return cython.cast(Host, self.at[index])

    def is_eligible(self, index: cython.int, previous: Host) -> cython.bint:
        """True if host number *index* is healthy and not *previous*."""
        if self.at[index] == cython.cast(cython.pointer(PyObject), previous):
            return False
        return cython.cast(Host, self.at[index]).is_healthy()

    def count_eligible(self, previous: Host) -> cython.int:
        """How many hosts may be picked."""
        found: cython.int = 0
        i: cython.int
        for i in range(self.count):
            found += self.is_eligible(i, previous)
        return found

    def at_fraction(self, fraction: uint64_t, previous: Host) -> Host:
        """The eligible host at *fraction* / 2^64 of the weight of all eligible ones, or None."""
        total: uint64_t = 0
        i: cython.int
        for i in range(self.count):
            if self.is_eligible(i, previous):
                total += cython.cast(Host, self.at[i]).weight
        left: cython.longlong = cython.cast(cython.longlong, ((fraction >> 32) * total) >> 32)
        for i in range(self.count):
            if self.is_eligible(i, previous):
                left -= cython.cast(Host, self.at[i]).weight
                if left < 0:
                    return cython.cast(Host, self.at[i])
        return None

    def is_like(self, other: HostSet) -> bool:
        """The same hosts with the same weights, in the same order."""
        return self.hosts == other.hosts and self.weights == other.weights

    def take_weights(self) -> None:
        """Give the hosts, which may be those of the version before, the weights of this version."""
        host: Host
        for host, weight in zip(self.hosts, self.weights, strict=True):
            host.weight = weight

    def __len__(self) -> int:
        return self.count
