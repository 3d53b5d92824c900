# What view() found out about a path.
cdef enum PathView:
    V_PLAIN = 0     # the path as sent is the path as matched
    V_VIEW = 1      # match the view instead; the path as sent may be forwarded
    V_REPLACE = 2   # match the view and forward it: the path as sent has dot segments
    V_AMBIGUOUS = 3 # servers would read it in different ways: no route

# *out* has room for *length* bytes; *out_length* is set unless V_PLAIN or V_AMBIGUOUS is returned.
cdef int view(const char* path, Py_ssize_t length, char* out, Py_ssize_t* out_length) noexcept
