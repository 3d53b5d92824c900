"""Header edits compiled once: a C array of add, set, join and remove, run over a head without making a Python object.

Follows MOSN pkg/router/header_parser.go in order (what is added first, then what is removed) and Envoy in what appending means:
one more field line, which RFC 9110 section 5.3 makes equal to MOSN's joining with "," and which does not break Set-Cookie.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.mosn_mp.buffer.head import VERBATIM, Head


class HeaderEdits:
    """A fixed list of edits. `HeaderEdits(rules)`; a rule is ("add" | "set" | "join" | "remove", name, value)."""

    def __cinit__(self, rules: tuple) -> None:
        name: bytes
        value: bytes
        i: cython.int
        self.rules = rules
        self.count = len(rules)
        self.edits = cython.cast(cython.pointer(HeaderEdit), calloc(self.count + 1, cython.sizeof(HeaderEdit)))
        if self.edits == cython.NULL:
            raise MemoryError
        for i in range(self.count):
            kind, name, value = rules[i]
            self.edits[i].op = {"add": E_ADD, "set": E_SET, "join": E_JOIN, "remove": E_REMOVE}[kind]
            self.edits[i].name = PyBytes_AS_STRING(name)
            self.edits[i].name_len = PyBytes_GET_SIZE(name)
            self.edits[i].value = PyBytes_AS_STRING(value)
            self.edits[i].value_len = PyBytes_GET_SIZE(value)

    def __dealloc__(self) -> None:
        free(self.edits)

    def apply(self, head: Head) -> cython.int:
        """Edit *head*; ValueError when its overlay or its table is full."""
        i: cython.int
        edit: cython.pointer(HeaderEdit)
        for i in range(self.count):
            edit = self.edits + i
            if edit.op == E_REMOVE:
                head.remove_field(edit.name, edit.name_len)
            elif edit.op == E_SET:
                head.set_field(edit.name, edit.name_len, edit.value, edit.value_len)
            elif edit.op == E_JOIN:
                self._join(head, edit)
            else:
                head.add_field(edit.name, edit.name_len, edit.value, edit.value_len)
        return 0

    def _join(self, head: Head, edit: cython.pointer(HeaderEdit)) -> cython.int:
        index: cython.int = head.find(edit.name, edit.name_len, -1)
        if index < 0:
            return head.add_field(edit.name, edit.name_len, edit.value, edit.value_len)
        before: bytes = head.value_bytes(index)
        if before:
            before += b", "
        value: bytes = before + edit.value[: edit.value_len]
        # in the place of the first line only: the list goes on in the lines behind it
        head.fields[index].value_at = head.store(PyBytes_AS_STRING(value), cython.cast(uint32_t, PyBytes_GET_SIZE(value)))
        head.fields[index].value_len = cython.cast(uint32_t, PyBytes_GET_SIZE(value))
        head.fields[index].flags &= ~VERBATIM
        return 0

    def edit(self, head: Head) -> None:
        """Python's side of apply()."""
        self.apply(head)
