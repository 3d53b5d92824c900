from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    LOOKS = 8

# How a far side has kept pace so far; all zero at first.
cdef struct Pace:
    uint32_t seen       # bytes it had moved when it was looked at last, modulo 2**32: a connection is counted in bytes
    uint8_t spent       # looks that it owes bytes for

# A LOOKS-th of the timeout was spent waiting: may it go on? The far side moved *moved* bytes in all.
cdef bint keeps_pace(Pace* pace, uint64_t moved, uint32_t quantum) noexcept
# The wait from one look to the next, and the bytes that pay for it.
cdef uint32_t look_ms(uint64_t timeout_ms) noexcept
cdef uint32_t look_bytes(uint64_t timeout_ms, uint64_t bytes_per_s) noexcept
