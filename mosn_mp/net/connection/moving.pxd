from mosn_mp.buffer.buf cimport Buf
from mosn_mp.net.connection.connection cimport Connection

# What of a frame may be spent on the bytes of a connection that moves.
cdef enum:
    MOST_MOVED = 98304

cdef bytes unread_of(Connection connection)
cdef bytes hide_unsent(Connection connection, Buf* hidden)
cdef void show_unsent(Connection connection, Buf* hidden) noexcept
cdef bint put_unread(Connection connection, bytes unread) noexcept
cdef bint put_unsent(Connection connection, bytes unsent) noexcept
cdef void drop_hidden(Connection connection, Buf* hidden) noexcept
cdef int go_on_with(Connection connection, int fd) except -1
cdef void leave(Connection connection) noexcept
