"""RPC routes by service: one look-up instead of one comparison a route, as MOSN has it (pkg/router/rpc_rule.go, fast match).

A route whose match is the single header `service` is found by that value; the value `.*` takes every request that names a
service. Order still counts: whichever route stands first in the configuration is taken, indexed or not.
"""

from collections.abc import Sequence

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcmp
from cython.cimports.mosn_mp.buffer.head import Head

SERVICE = "service"
ANY_SERVICE = ".*"
SERVICE_LENGTH = cython.declare(cython.Py_ssize_t, 7)


class Services:
    """`Services([(service, position of its route), ...])` in the order of the routes; the first of equal services counts."""

    def __cinit__(self, services: Sequence[tuple[bytes, int]]) -> None:
        size: uint32_t = 8
        i: uint32_t
        while size < 2 * len(services):
            size *= 2
        self.texts = []
        self.mask = size - 1
        self.any_position = -1
        self.cells = cython.cast(cython.pointer(Service), malloc(size * cython.sizeof(Service)))
        if self.cells == cython.NULL:
            raise MemoryError
        for i in range(size):
            self.cells[i].position = -1
        for text, position in services:
            if text != ANY_SERVICE.encode():
                self._insert(text, position)
            elif self.any_position < 0:
                self.any_position = position

    def __dealloc__(self) -> None:
        free(self.cells)

    def _insert(self, text: bytes, position: cython.int) -> None:
        raw: cython.p_const_char = PyBytes_AS_STRING(text)
        length: uint32_t = cython.cast(uint32_t, PyBytes_GET_SIZE(text))
        if self._look_up(raw, length) >= 0:
            return
        hashed: uint64_t = _hash(raw, length)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        while self.cells[at].position >= 0:
            at = (at + 1) & self.mask
        self.texts.append(text)
        self.cells[at].hash = hashed
        self.cells[at].text = raw
        self.cells[at].length = length
        self.cells[at].position = position

    def find(self, head: Head) -> cython.int:
        """The position of the first route that takes *head*, or -1; of several `service` fields each is looked up."""
        best: cython.int = -1
        found: cython.int
        index: cython.int = head.find(b"service", SERVICE_LENGTH, -1)
        while index >= 0:
            if head.fields[index].value_len:
                found = self._look_up(head.at(head.fields[index].value_at), head.fields[index].value_len)
                if found < 0 or 0 <= self.any_position < found:
                    found = self.any_position
                if found >= 0 and (best < 0 or found < best):
                    best = found
            index = head.find(b"service", SERVICE_LENGTH, index)
        return best

    def _look_up(self, text: cython.p_const_char, length: uint32_t) -> cython.int:
        hashed: uint64_t = _hash(text, length)
        at: uint32_t = cython.cast(uint32_t, hashed) & self.mask
        cell: cython.pointer(Service) = self.cells + at
        while cell.position >= 0:
            if cell.hash == hashed and cell.length == length and memcmp(cell.text, text, length) == 0:
                return cell.position
            at = (at + 1) & self.mask
            cell = self.cells + at
        return -1


@cython.cfunc
@cython.exceptval(check=False)
def _hash(text: cython.p_const_char, length: uint32_t) -> uint64_t:
    # the texts in the table are the operator's, so nobody can choose them to collide
    hashed: uint64_t = FNV_BASIS
    i: uint32_t
    for i in range(length):
        hashed = (hashed ^ cython.cast(cython.uchar, text[i])) * FNV_PRIME
    return hashed ^ (hashed >> 32)
