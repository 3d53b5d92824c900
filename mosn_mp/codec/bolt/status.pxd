cdef int http_status(int status) noexcept
cdef int bolt_status(int status) noexcept
