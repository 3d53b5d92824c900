"""The domains of a router's virtual hosts: which of them an authority belongs to.

After MOSN pkg/router/routers_impl.go, host in lower case:

    1 host and port        www.example.com:8080     (without a port: a request that names none)
    2 host, any port       www.example.com:*
    3 suffix and port      *.example.com:8080       longest suffix first; at least one byte stands for the star
    4 suffix, any port     *.example.com:*
    5 everything else      *

An empty authority takes 5 (MOSN: no route). A dot at the end of a host name is ignored (RFC 3986 section 3.2.2: the same name).
One hash table holds all domains; a lookup makes no Python object.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memchr, memcmp
from cython.cimports.mosn_mp.buffer.octets import LOWER
from cython.cimports.mosn_mp.route.services import FNV_BASIS, FNV_PRIME


class Domains:
    """`Domains(hosts)`: *hosts* has the domains of each virtual host; ValueError for one that is malformed or there twice."""

    def __cinit__(self, hosts: list) -> None:
        self.texts = []
        self.default_host = -1
        size: uint32_t = 8
        count = sum(len(domains) for domains in hosts)
        while size < 2 * count:
            size *= 2
        self.mask = size - 1
        self.cells = cython.cast(cython.pointer(Domain), calloc(size, cython.sizeof(Domain)))
        self.suffix_lengths = cython.cast(cython.pointer(uint32_t), calloc(count + 1, cython.sizeof(uint32_t)))
        if self.cells == cython.NULL or self.suffix_lengths == cython.NULL:
            raise MemoryError
        self._fill(hosts)

    def __dealloc__(self) -> None:
        free(self.cells)
        free(self.suffix_lengths)

    def _fill(self, hosts: list) -> None:
        lengths = set()
        for number, domains in enumerate(hosts):
            for domain in domains:
                kind, text, port = split_domain(domain)
                if kind == SUFFIX and not text and port in (NO_PORT, ANY_PORT):
                    if self.default_host >= 0:
                        raise ValueError(f"domain {domain!r} is there twice")
                    self.default_host = number
                    continue
                if kind == SUFFIX:
                    lengths.add(len(text))
                else:
                    self.exact_count += 1
                self._insert(kind, text, port, number, domain)
        for length in sorted(lengths, reverse=True):
            self.suffix_lengths[self.suffix_count] = length
            self.suffix_count += 1

    def _insert(self, kind: cython.int, text: bytes, port: uint32_t, number: cython.int, domain: str) -> None:
        raw: cython.p_const_char = PyBytes_AS_STRING(text)
        length: uint32_t = PyBytes_GET_SIZE(text)
        if self._look_up(kind, raw, length, port) >= 0:
            raise ValueError(f"domain {domain!r} is there twice")
        hashed: uint64_t = _hash(kind, raw, length, port)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        while self.cells[at].kind != 0:
            at = (at + 1) & self.mask
        self.texts.append(text)
        self.cells[at].hash = hashed
        self.cells[at].text = raw
        self.cells[at].length = length
        self.cells[at].port = port
        self.cells[at].kind = kind
        self.cells[at].virtual_host = number

    def find(self, authority: cython.p_const_char, length: uint32_t) -> cython.int:
        """Index of the virtual host of an authority; -1: none has it, or it is none."""
        text: cython.char[MAX_HOST]
        port: uint32_t = NO_PORT
        i: uint32_t
        if length == 0 or self.exact_count + self.suffix_count == 0:
            return self.default_host
        if not _split_port(authority, cython.address(length), cython.address(port)):
            return -1
        if length > MAX_HOST:
            return self.default_host
        for i in range(length):
            text[i] = LOWER[cython.cast(cython.uchar, authority[i])]
        return self._find_index(text, length, port)

    def _find_index(self, host: cython.p_const_char, length: uint32_t, port: uint32_t) -> cython.int:
        index: cython.int = -1
        i: cython.int
        one: uint32_t
        wanted: uint32_t = port
        if self.exact_count:
            index = self._look_up(EXACT, host, length, port)
            if index < 0:
                index = self._look_up(EXACT, host, length, ANY_PORT)
        while index < 0:
            for i in range(self.suffix_count):
                one = self.suffix_lengths[i]
                if one < length:
                    index = self._look_up(SUFFIX, host + length - one, one, wanted)
                    if index >= 0:
                        break
            if wanted == ANY_PORT:
                break
            wanted = ANY_PORT
        return index if index >= 0 else self.default_host

    def _look_up(self, kind: cython.int, text: cython.p_const_char, length: uint32_t, port: uint32_t) -> cython.int:
        hashed: uint64_t = _hash(kind, text, length, port)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        cell: cython.pointer(Domain) = self.cells + at
        while cell.kind != 0:
            if (
                cell.hash == hashed
                and cell.kind == kind
                and cell.port == port
                and cell.length == length
                and memcmp(cell.text, text, length) == 0
            ):
                return cell.virtual_host
            at = (at + 1) & self.mask
            cell = self.cells + at
        return -1


@cython.cfunc
@cython.exceptval(check=False)
def _hash(kind: cython.int, text: cython.p_const_char, length: uint32_t, port: uint32_t) -> uint64_t:
    # the texts in the table are the operator's, so nobody can choose them to collide
    hashed: uint64_t = FNV_BASIS ^ (port * 2 + kind)
    i: uint32_t
    for i in range(length):
        hashed = (hashed ^ cython.cast(cython.uchar, text[i])) * FNV_PRIME
    return hashed ^ (hashed >> 32)


@cython.cfunc
@cython.exceptval(check=False)
def _split_port(authority: cython.p_const_char, length: cython.pointer(uint32_t), port: cython.pointer(uint32_t)) -> cython.bint:
    """Cut the port and a final dot off *length*; False if the authority is none."""
    colon: uint32_t = 0
    end: uint32_t = length[0]
    i: uint32_t
    number: uint32_t = 0
    if authority[0] == ord("["):  # IPv6 literal: colons inside of the brackets are part of the host
        while colon < end and authority[colon] != ord("]"):
            colon += 1
        colon += 1
        if colon > end or (colon < end and authority[colon] != ord(":")):
            return False
    else:
        found: cython.p_const_char = cython.cast(cython.p_const_char, memchr(authority, ord(":"), end))
        colon = end if found == cython.NULL else cython.cast(uint32_t, found - authority)
    for i in range(colon + 1, end):
        if not ord("0") <= authority[i] <= ord("9") or number > 65535:
            return False
        number = number * 10 + authority[i] - ord("0")
    if number > 65535:
        return False
    port[0] = number
    if colon > 1 and authority[colon - 1] == ord("."):
        colon -= 1
    length[0] = colon
    return True


def split_domain(domain: str) -> tuple[int, bytes, int]:
    """(EXACT or SUFFIX, text in lower case without the star, port) of a configured domain; ValueError if it is malformed."""
    host, colon, port_text = domain.lower().rpartition(":")
    port: int = NO_PORT
    if not colon or port_text.endswith("]"):
        host = domain.lower()
    elif port_text == "*":
        port = ANY_PORT
    elif port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < ANY_PORT:
        port = int(port_text)
    else:
        raise ValueError(f"domain {domain!r}: the port is a number from 1 to 65535 or *, not {port_text!r}")
    suffix = host.startswith("*")
    text = (host[1:] if suffix else host).rstrip(".")
    if "*" in text or not (text or suffix) or not host.isascii() or " " in host:
        raise ValueError(f"domain {domain!r} is not a host name, nor * and the end of one, with an optional port")
    return (SUFFIX if suffix else EXACT), text.encode("ascii"), port
