"""The head table: one message head of any protocol as offsets into the bytes that carried it, edited by an overlay.

    base --> | GET /a HTTP/1.1\\r\\n | Host: h\\r\\n | Accept: */*\\r\\n | \\r\\n |      the wire, in an arena block
                  ^path                ^name ^value                              offsets count from base
    overlay --> | new value | added name | added value |                         offsets with the OVERLAY bit
    fields   = [Field(name_at, name_len, value_at, value_len, known, flags), ...]    in wire order, added ones last

No Python object exists for a field until Python asks for it. Pseudo-headers (method, path, authority, scheme, status) have the
same place for all protocols, after RFC 9113 section 8.3; names compare without regard to ASCII case (RFC 9110 section 5.1).
A Head is reused: clear() makes it empty and gives back what an unusually large message had grown.

One piece: a C class lies in one module, and plain Python's way into the table is beside what it does.
"""

from collections.abc import Iterator

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.cimports.cpython.object import PyObject_GenericSetAttr
from cython.cimports.libc.stdint import int16_t, uint16_t, uint32_t
from cython.cimports.libc.stdlib import free, malloc, realloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.mosn_mp.buffer.arena import Arena
from cython.cimports.mosn_mp.buffer.names import (
    as_bytes,
    checked_name,
    checked_pseudo,
    checked_value,
    is_hop_by_hop,
    known_name,
    method_number,
    same_name,
)

FIRST_FIELDS = cython.declare(cython.int, 32)  # what a browser sends fits; 512 bytes
KEPT_FIELDS = cython.declare(cython.int, 128)  # a table that grew past this is given back by clear()
MAX_FIELDS = cython.declare(cython.int, 1024)  # default; codecs refuse far smaller heads, this bounds edits
FIRST_OVERLAY = cython.declare(uint32_t, 512)
KEPT_OVERLAY = cython.declare(uint32_t, 4096)  # an overlay that grew past this is given back by clear()
MAX_OVERLAY = cython.declare(uint32_t, 65536)  # edits of one head; bounds what a filter that adds in a loop can take
LINE_BOUND = cython.declare(uint32_t, 200)  # a start line or frame without its texts, and the lines or fields that a codec adds


class Head:
    """One message head. `Head(arena, max_fields)`; without an arena it never holds a block (tests, the admin server)."""

    def __cinit__(self, arena: Arena = None, max_fields: cython.int = MAX_FIELDS) -> None:
        # known_at is int16: an index must fit
        if not 0 < max_fields <= 32767:
            raise ValueError(f"max_fields is 1 to 32767, not {max_fields}")
        self.arena = arena
        self.max_fields = max_fields
        self.capacity = min(FIRST_FIELDS, max_fields)
        self.fields = cython.cast(cython.pointer(Field), malloc(self.capacity * cython.sizeof(Field)))
        if self.fields == cython.NULL:
            raise MemoryError
        self.base = self.block = self.overlay = cython.NULL
        self.overlay_cap = 0
        self.clear()

    def __dealloc__(self) -> None:
        if self.block != cython.NULL and self.arena is not None:
            self.arena.drop(self.block)
        free(self.fields)
        free(self.overlay)

    # --- life -------------------------------------------------------------------------------------------------------------

    def clear(self) -> cython.void:
        """Empty, bound to nothing, no block held."""
        if self.block != cython.NULL:
            self.own(cython.NULL)
        if self.capacity > KEPT_FIELDS or self.overlay_cap > KEPT_OVERLAY:
            self._shrink()
        self.base = cython.NULL
        self.count = 0
        self.overlay_len = 0
        memset(self.known_at, 0xFF, cython.sizeof(self.known_at))
        self.line_at = self.line_len = 0
        self.method.at = self.path.at = self.authority.at = self.scheme.at = self.reason.at = 0
        self.method.len = self.path.len = self.authority.len = self.scheme.len = self.reason.len = 0
        self.status = self.version = 0
        self.method_id = M_OTHER
        self.framing = F_NONE
        self.content_length = -1
        self.keep_alive = self.expect_continue = self.upgrade = False
        self.raw.at = self.raw.len = 0
        self.raw_protocol = 0
        self.edited = False

    def _shrink(self) -> cython.void:
        small: cython.pointer(Field)
        if self.capacity > KEPT_FIELDS:
            small = cython.cast(cython.pointer(Field), realloc(self.fields, FIRST_FIELDS * cython.sizeof(Field)))
            if small != cython.NULL:
                self.fields = small
                self.capacity = FIRST_FIELDS
        if self.overlay_cap > KEPT_OVERLAY:
            free(self.overlay)
            self.overlay = cython.NULL
            self.overlay_cap = 0

    def bind(self, base: cython.p_char) -> cython.void:
        """Offsets count from *base* from now on (the bytes moved, or a codec begins)."""
        self.base = base

    def own(self, block: cython.p_char) -> cython.void:
        """Hold one reference on the arena block that *block* points into (NULL: none) instead of the one held before."""
        before: cython.p_char = self.block
        if self.arena is None:
            return
        if block != cython.NULL:
            self.arena.hold(block)
        self.block = block
        if before != cython.NULL:
            self.arena.drop(before)

    # --- for codecs -------------------------------------------------------------------------------------------------------

    def at(self, offset: uint32_t) -> cython.p_char:
        """Where the byte at *offset* lies now."""
        if offset & OVERLAY:
            return self.overlay + (offset & 0x7FFFFFFF)
        return self.base + offset

    def grow(self) -> cython.int:
        """Make room for one more field, or ValueError beyond max_fields."""
        capacity: cython.int = self.capacity * 2
        if self.capacity >= self.max_fields:
            raise ValueError(f"more than {self.max_fields} header fields")
        if capacity > self.max_fields:
            capacity = self.max_fields
        larger: cython.pointer(Field) = cython.cast(
            cython.pointer(Field), realloc(self.fields, cython.cast(cython.size_t, capacity) * cython.sizeof(Field))
        )
        if larger == cython.NULL:
            raise MemoryError
        self.fields = larger
        self.capacity = capacity
        return 0

    def append(
        self, name_at: uint32_t, name_len: uint16_t, value_at: uint32_t, value_len: uint32_t, known: cython.int, flags: cython.int
    ) -> cython.int:
        """Add a field whose bytes are in place; returns its index."""
        index: cython.int = self.count
        if index == self.capacity:
            self.grow()
        field: cython.pointer(Field) = self.fields + index
        field.name_at = name_at
        field.name_len = name_len
        field.value_at = value_at
        field.value_len = value_len
        field.known = known
        field.flags = flags
        self.count = index + 1
        if known != K_OTHER and self.known_at[known] < 0:
            self.known_at[known] = cython.cast(int16_t, index)
        return index

    def store(self, bytes_: cython.p_const_char, length: uint32_t) -> uint32_t:
        """Copy *length* bytes into the overlay and return their offset; ValueError beyond 64 KiB of edits."""
        needed: uint32_t = self.overlay_len + length
        if length > MAX_OVERLAY or needed > MAX_OVERLAY:
            raise ValueError(f"more than {MAX_OVERLAY} bytes of edits to one head")
        if needed > self.overlay_cap:
            capacity: uint32_t = self.overlay_cap * 2 if self.overlay_cap else FIRST_OVERLAY
            while capacity < needed:
                capacity *= 2
            larger: cython.p_char = cython.cast(cython.p_char, realloc(self.overlay, capacity))
            if larger == cython.NULL:
                raise MemoryError
            self.overlay = larger
            self.overlay_cap = capacity
        offset: uint32_t = self.overlay_len
        memcpy(self.overlay + offset, bytes_, length)
        self.overlay_len = needed
        return offset | OVERLAY

    def find(self, name: cython.p_const_char, name_len: cython.Py_ssize_t, after: cython.int) -> cython.int:
        """Index of the next live field of that name behind *after* (-1: from the first), or -1."""
        i: cython.int
        field: cython.pointer(Field)
        if after < 0:
            known: cython.int = known_name(name, name_len)
            if known != K_OTHER:
                return self.known_at[known]
        for i in range(after + 1, self.count):
            field = self.fields + i
            if field.name_len == name_len and not field.flags & REMOVED and same_name(self.at(field.name_at), name, name_len):
                return i
        return -1

    def add_field(
        self, name: cython.p_const_char, name_len: cython.Py_ssize_t, value: cython.p_const_char, value_len: cython.Py_ssize_t
    ) -> cython.int:
        """Append a copy of name and value, which the caller has checked; returns the index.

        Hop-by-hop names are stored as HOP: the codec of the other side never writes them.
        """
        if not 0 < name_len <= 0xFFFF or value_len > MAX_OVERLAY:
            raise ValueError(f"header of {name_len} + {value_len} bytes is too long")
        name_at: uint32_t = self.store(name, cython.cast(uint32_t, name_len))
        value_at: uint32_t = self.store(value, cython.cast(uint32_t, value_len))
        known: cython.int = known_name(name, name_len)
        flags: cython.int = HOP if is_hop_by_hop(known) else 0
        self.edited = True
        return self.append(name_at, name_len, value_at, cython.cast(uint32_t, value_len), known, flags)

    def drop_field(self, index: cython.int) -> cython.void:
        """Take out the field at *index*: never written, never found."""
        known: cython.int = self.fields[index].known
        i: cython.int
        self.fields[index].flags |= REMOVED
        self.edited = True
        if known == K_OTHER or self.known_at[known] != index:
            return
        self.known_at[known] = -1
        for i in range(index + 1, self.count):
            if self.fields[i].known == known and not self.fields[i].flags & REMOVED:
                self.known_at[known] = cython.cast(int16_t, i)
                return
        if known == K_UPGRADE:
            self.upgrade = False
        elif known == K_EXPECT:
            self.expect_continue = False

    def remove_field(self, name: cython.p_const_char, name_len: cython.Py_ssize_t) -> cython.int:
        """Take out all fields of that name; returns how many."""
        removed: cython.int = 0
        index: cython.int = self.find(name, name_len, -1)
        while index >= 0:
            self.drop_field(index)
            removed += 1
            index = self.find(name, name_len, index)
        return removed

    def set_field(
        self, name: cython.p_const_char, name_len: cython.Py_ssize_t, value: cython.p_const_char, value_len: cython.Py_ssize_t
    ) -> cython.int:
        """Give the first field of that name another value in its place, take out the others; append if there is none.

        A new Host is the new authority too: the two cannot come apart. Name and value have been checked by the caller.
        """
        index: cython.int = self.find(name, name_len, -1)
        other: cython.int
        if index < 0:
            index = self.add_field(name, name_len, value, value_len)
        else:
            if value_len > MAX_OVERLAY:
                raise ValueError(f"header value of {value_len} bytes is too long")
            self.fields[index].value_at = self.store(value, cython.cast(uint32_t, value_len))
            self.fields[index].value_len = cython.cast(uint32_t, value_len)
            self.fields[index].flags &= ~VERBATIM
            self.edited = True
            other = self.find(name, name_len, index)
            while other >= 0:
                self.drop_field(other)
                other = self.find(name, name_len, other)
        if self.fields[index].known == K_HOST and self.status == 0:
            self.authority.at = self.fields[index].value_at
            self.authority.len = self.fields[index].value_len
        return index

    def set_slice(self, slice: cython.pointer(Slice), text: cython.p_const_char, length: cython.Py_ssize_t) -> cython.int:
        """Point a pseudo-header at a copy of *text*."""
        if length > MAX_OVERLAY:
            raise ValueError(f"pseudo-header of {length} bytes is too long")
        slice.at = self.store(text, cython.cast(uint32_t, length))
        slice.len = cython.cast(uint32_t, length)
        self.edited = True
        return 0

    def slice_bytes(self, slice: Slice) -> bytes:
        """A copy of a pseudo-header's text."""
        return PyBytes_FromStringAndSize(self.at(slice.at), slice.len) if slice.len else b""

    def value_bytes(self, index: cython.int) -> bytes:
        """A copy of a field's value."""
        return PyBytes_FromStringAndSize(self.at(self.fields[index].value_at), self.fields[index].value_len)

    def name_bytes(self, index: cython.int) -> bytes:
        """A copy of a field's name, in the case in which it was sent."""
        return PyBytes_FromStringAndSize(self.at(self.fields[index].name_at), self.fields[index].name_len)

    def wire_bound(self) -> uint32_t:
        """No serialisation is longer: every text, 8 bytes a field (two lengths, or `: ` and CRLF), what a codec adds."""
        total: uint32_t = LINE_BOUND + self.method.len + self.path.len + self.authority.len + self.reason.len + self.raw.len
        i: cython.int
        if self.raw_protocol:
            total += 2 * self.path.len  # HTTP may have to escape every byte of it
        for i in range(self.count):
            total += self.fields[i].name_len + self.fields[i].value_len + 8
        return total

    # --- for filters ------------------------------------------------------------------------------------------------------

    def get(self, name: object, default: bytes | None = None) -> bytes | None:
        """The value of the first field of that name, or *default*."""
        text: bytes = as_bytes(name)
        index: cython.int = self.find(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), -1)
        return default if index < 0 else self.value_bytes(index)

    def get_all(self, name: object) -> list[bytes]:
        """The values of all fields of that name, in order."""
        text: bytes = as_bytes(name)
        values: list[bytes] = []
        index: cython.int = self.find(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), -1)
        while index >= 0:
            values.append(self.value_bytes(index))
            index = self.find(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), index)
        return values

    def set(self, name: object, value: object) -> None:
        """Make *value* the only value of that name, in the place of its first field; ValueError if it may not be written."""
        text: bytes = checked_name(name)
        new: bytes = checked_value(value)
        self.set_field(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), PyBytes_AS_STRING(new), PyBytes_GET_SIZE(new))

    def add(self, name: object, value: object) -> None:
        """Append a field, whatever is there already; ValueError if it may not be written."""
        text: bytes = checked_name(name)
        new: bytes = checked_value(value)
        if known_name(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) == K_HOST:
            self.set(text, new)  # a request has one Host (RFC 9112 section 3.2)
        else:
            self.add_field(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), PyBytes_AS_STRING(new), PyBytes_GET_SIZE(new))

    def remove(self, name: object) -> int:
        """Take out all fields of that name; returns how many there were."""
        text: bytes = as_bytes(name)
        return self.remove_field(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def items(self) -> list[tuple[bytes, bytes]]:
        """All live fields as (name, value) in order, names in the case in which they were sent."""
        live: list[tuple[bytes, bytes]] = []
        i: cython.int
        for i in range(self.count):
            if not self.fields[i].flags & REMOVED:
                live.append((self.name_bytes(i), self.value_bytes(i)))
        return live

    def __contains__(self, name: object) -> bool:
        text: bytes = as_bytes(name)
        return self.find(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), -1) >= 0

    def __len__(self) -> int:
        i: cython.int
        live: cython.int = 0
        for i in range(self.count):
            live += not self.fields[i].flags & REMOVED
        return live

    def __iter__(self) -> Iterator[bytes]:
        return iter([name for name, _ in self.items()])

    def pseudo(self, name: str) -> cython.pointer(Slice):
        if name == "method":
            return cython.address(self.method)
        if name == "path":
            return cython.address(self.path)
        if name == "authority":
            return cython.address(self.authority)
        if name == "scheme":
            return cython.address(self.scheme)
        if name == "reason":
            return cython.address(self.reason)
        return cython.NULL

    # The C fields of the pseudo-headers have the names that Python shall see; a property cannot share a name with a C field.
    def __getattr__(self, name: str) -> bytes:
        slice: cython.pointer(Slice) = self.pseudo(name)
        if slice == cython.NULL:
            raise AttributeError(f"a head has no {name!r}; it has method, path, authority, scheme, reason, status")
        return self.slice_bytes(slice[0])

    def __setattr__(self, name: str, value: object) -> None:
        slice: cython.pointer(Slice) = self.pseudo(name)
        if slice == cython.NULL:
            PyObject_GenericSetAttr(self, name, value)
            return
        text: bytes = checked_pseudo(name, value)
        if name == "authority" and self.known_at[K_HOST] >= 0 and self.status == 0:
            self.set_field(b"host", 4, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            return
        self.set_slice(slice, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        if name == "method":
            self.method_id = method_number(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
