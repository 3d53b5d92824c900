from mosn_mp.buffer.head cimport Head

# HeaderEdit.op
cdef enum EditOp:
    E_ADD = 0       # one more field line
    E_SET = 1       # replace the first, drop the others
    E_REMOVE = 2
    E_JOIN = 3      # `, value` behind the first value, or one more field line

cdef struct HeaderEdit:
    int op
    const char* name
    Py_ssize_t name_len
    const char* value
    Py_ssize_t value_len

# A fixed list of header edits, run in order. Immutable after construction.
cdef class HeaderEdits:
    cdef readonly tuple rules       # (op, name, value): owns the bytes that edits points into
    cdef HeaderEdit* edits
    cdef readonly int count
    cdef int apply(self, Head head) except -1
    cdef int _join(self, Head head, HeaderEdit* edit) except -1
