# Names that the proxy itself looks at; Field.known and the index of Head.known_at. 0 = any other name.
cdef enum:
    K_OTHER = 0
    K_HOST
    K_CONTENT_LENGTH
    K_TRANSFER_ENCODING
    K_CONNECTION
    K_KEEP_ALIVE
    K_PROXY_CONNECTION
    K_TE
    K_TRAILER
    K_UPGRADE
    K_EXPECT
    K_GLOBAL_TIMEOUT
    K_TRY_TIMEOUT
    K_COUNT

# Head.method_id; M_OTHER = any other token (the text is in Head.method)
cdef enum:
    M_OTHER = 0
    M_GET
    M_HEAD
    M_POST
    M_PUT
    M_DELETE
    M_OPTIONS
    M_TRACE
    M_CONNECT
    M_PATCH

cdef int known_name(const char* name, Py_ssize_t length) noexcept
cdef bint same_name(const char* a, const char* b, Py_ssize_t length) noexcept
cdef int method_number(const char* text, Py_ssize_t length) noexcept
cdef bint is_hop_by_hop(int known) noexcept
cpdef bytes as_bytes(object text)
cpdef bytes checked_name(object text)
cpdef bytes checked_value(object text)
cpdef bytes checked_pseudo(str name, object text)
