"""The record of one request: what its access log may show, in plain C fields, and socket addresses as text.

The stream fills it while the request runs and clears it before the next one; nothing is made per request. Names and meaning
follow MOSN's RequestInfo (pkg/network/requestinfo.go) and variables (pkg/types/variable.go).
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint16_t
from cython.cimports.libc.string import memcmp, memcpy, memset, strlen
from cython.cimports.mosn_mp.observe.access_log.sockaddr import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    inet_ntop,
    inet_pton,
    ntohs,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
)

# First 12 bytes of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2); Go prints such an address as IPv4.
MAPPED = cython.declare(cython.p_char, b"\0\0\0\0\0\0\0\0\0\0\xff\xff")


class Record:
    """One request. A variable in plain Python reads it: `def tenant(record): return record.request.get("x-tenant")`."""

    def clear(self) -> cython.void:
        """Zeros and None everywhere; the heads are let go."""
        self.start_us = 0
        self.start_at = self.request_head_at = self.request_finished_at = 0
        self.response_head_at = self.upstream_finished_at = self.end_at = 0
        self.bytes_received = self.bytes_sent = 0
        self.connection_id = self.upstream_connection_id = self.stream_id = 0
        self.status = self.reason = 0
        self.response_flags = self.attempts = 0
        self.listener_port = 0
        self.listener_type = L_UNSET
        memset(cython.address(self.downstream_remote), 0, cython.sizeof(Address))
        memset(cython.address(self.downstream_local), 0, cython.sizeof(Address))
        memset(cython.address(self.upstream_local), 0, cython.sizeof(Address))
        self.request = None
        self.response = None
        self.protocol = None
        self.upstream_protocol = None
        self.listener_name = None
        self.route_name = None
        self.cluster_name = None
        self.upstream_host = None
        self.server_name = None
        self.trace_id = None

    def reset(self) -> None:
        """clear() for Python callers."""
        self.clear()

    @property
    def downstream_remote_address(self) -> bytes | None:
        """Text of the client's address, None = not known; setting it parses `10.0.0.1:80` or `[::1]:80`."""
        return address_text(cython.address(self.downstream_remote))

    @downstream_remote_address.setter
    def downstream_remote_address(self, text: bytes | None) -> None:
        parse_address(text, cython.address(self.downstream_remote))

    @property
    def downstream_local_address(self) -> bytes | None:
        """Text of the address that the client connected to."""
        return address_text(cython.address(self.downstream_local))

    @downstream_local_address.setter
    def downstream_local_address(self, text: bytes | None) -> None:
        parse_address(text, cython.address(self.downstream_local))

    @property
    def upstream_local_address(self) -> bytes | None:
        """Text of our own address towards the upstream host."""
        return address_text(cython.address(self.upstream_local))

    @upstream_local_address.setter
    def upstream_local_address(self, text: bytes | None) -> None:
        parse_address(text, cython.address(self.upstream_local))


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put_small(out: cython.p_char, value: cython.uint) -> cython.int:
    """Decimal digits of *value* <= 65535 at *out*; their count."""
    digits: cython.char[5]
    at: cython.int = 5
    while True:
        at -= 1
        digits[at] = 48 + value % 10
        value //= 10
        if value == 0:
            break
    memcpy(out, cython.address(digits[at]), 5 - at)
    return 5 - at


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put_dotted(out: cython.p_char, addr: cython.pointer(cython.const[uint8_t])) -> cython.int:
    """Dotted form of the 4 bytes at *addr*; its length. By hand: inet_ntop(3) costs ten times as much."""
    at: cython.int = 0
    i: cython.int
    for i in range(4):
        if i:
            out[at] = 46
            at += 1
        at += put_small(out + at, addr[i])
    return at


def format_address(address: cython.pointer(cython.const[Address]), out: cython.p_char) -> cython.int:
    """The text of *address* at *out* and its length (0: not known), as Go's net.TCPAddr.String()."""
    at: cython.int
    if address.family == AF_INET:
        at = put_dotted(out, address.addr)
    elif address.family == AF_INET6:
        if memcmp(address.addr, MAPPED, 12) == 0:
            at = put_dotted(out, cython.address(address.addr[12]))
        else:
            out[0] = 91
            inet_ntop(AF_INET6, address.addr, out + 1, 46)
            at = 1 + cython.cast(cython.int, strlen(out + 1))
            out[at] = 93
            at += 1
    elif address.family == AF_UNIX:
        out[0] = 64
        return 1
    else:
        return 0
    out[at] = 58
    return at + 1 + put_small(out + at + 1, address.port)


def take_sockaddr(into: cython.pointer(Address), source: cython.pointer(cython.const[cython.void])) -> cython.void:
    """*into* becomes the address in the struct sockaddr at *source*; a family we do not show becomes 'not known'."""
    family: uint16_t = cython.cast(cython.pointer(cython.const[sockaddr]), source).sa_family
    v4: cython.pointer(cython.const[sockaddr_in])
    v6: cython.pointer(cython.const[sockaddr_in6])
    memset(into, 0, cython.sizeof(Address))
    if family == AF_INET:
        v4 = cython.cast(cython.pointer(cython.const[sockaddr_in]), source)
        into.port = ntohs(v4.sin_port)
        memcpy(into.addr, cython.address(v4.sin_addr), 4)
    elif family == AF_INET6:
        v6 = cython.cast(cython.pointer(cython.const[sockaddr_in6]), source)
        into.port = ntohs(v6.sin6_port)
        memcpy(into.addr, cython.address(v6.sin6_addr), 16)
    elif family != AF_UNIX:
        return
    into.family = family


@cython.cfunc
def address_text(address: cython.pointer(cython.const[Address])) -> object:
    """format_address as bytes, None = not known."""
    text: cython.char[ADDRESS_TEXT]
    length: cython.int = format_address(address, text)
    return PyBytes_FromStringAndSize(text, length) if length else None


@cython.cfunc
@cython.exceptval(-1)
def parse_address(text: bytes | None, into: cython.pointer(Address)) -> cython.int:
    """*into* becomes the address written in *text*; raises ValueError when it is none."""
    parsed: Address
    memset(cython.address(parsed), 0, cython.sizeof(Address))
    if text is not None:
        host, _, port = text.rpartition(b":")
        if host.startswith(b"[") and host.endswith(b"]"):
            host = host.strip(b"[]")
            parsed.family = AF_INET6
        else:
            parsed.family = AF_INET
        if inet_pton(parsed.family, host, parsed.addr) != 1 or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not an address; write 10.0.0.1:80 or [::1]:80")
        parsed.port = int(port)
    into[0] = parsed
    return 0
