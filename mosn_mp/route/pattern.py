"""A regular expression as tables walked byte by byte: linear in the text whatever the pattern; automaton.py builds the tables."""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint16_t

from mosn_mp.route.automaton import build


class Pattern:
    """`Pattern(text)`; ValueError says why *text* is refused."""

    def __init__(self, text: str) -> None:
        tables = build(text)
        classes: bytes = tables.classes
        moves: bytes = tables.moves
        ends: bytes = tables.ends
        self.text = text
        self.tables = tables
        self.classes = cython.cast(cython.pointer(cython.const[cython.uchar]), PyBytes_AS_STRING(classes))
        self.moves = cython.cast(cython.pointer(cython.const[uint16_t]), PyBytes_AS_STRING(moves))
        self.ends = cython.cast(cython.pointer(cython.const[cython.uchar]), PyBytes_AS_STRING(ends))
        self.class_count = tables.class_count
        self.start = tables.start

    def found_in(self, text: cython.p_const_char, length: cython.Py_ssize_t) -> cython.bint:
        """True if the pattern occurs in the *length* bytes at *text*."""
        state: cython.int = self.start
        i: cython.Py_ssize_t
        for i in range(length):
            if state <= 1:  # DEAD, FOUND
                return state == 1
            state = self.moves[state * self.class_count + self.classes[cython.cast(cython.uchar, text[i])]]
        return self.ends[state] != 0

    def search(self, text: bytes) -> bool:
        """Python's side of found_in()."""
        return self.found_in(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
