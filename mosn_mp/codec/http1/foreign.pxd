from mosn_mp.buffer.head cimport Head

cdef int settle_foreign(Head head) except -1
