from libc.stdint cimport uint32_t, uint64_t
from mosn_mp.buffer.head cimport Head

cdef extern from *:
    """
#ifndef MOSN_HTTP1_SCAN
#define MOSN_HTTP1_SCAN
#include <stdint.h>
#include <string.h>
/* eight bytes, the first one lowest */
static inline uint64_t mosn_load8(const char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}
/* bit patterns of the eight-bytes-at-a-time tests: constants, so that no multiplication is left at run time */
#define MOSN_ONES 0x0101010101010101ULL
#define MOSN_HIGHS 0x8080808080808080ULL
/* first letters (bit = letter & 31) of the names that a codec looks at, by length of the name */
static const uint32_t mosn_first_letters[32] = {
    0, 0, 1u << 20, 0, 1u << 8, 0, 1u << 5, 1u << 20 | 1u << 21, 0, 0, 1u << 3 | 1u << 11, 0, 1u << 3, 0, 1u << 3, 0,
    1u << 16, 1u << 20, 1u << 24, 0, 0, 1u << 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
#endif
    """
    uint64_t load8 "mosn_load8" (const char* at) noexcept nogil
    int ctz "__builtin_ctzll" (uint64_t word) noexcept nogil
    const uint64_t ONES "MOSN_ONES"
    const uint64_t HIGHS "MOSN_HIGHS"
    const uint32_t FIRST_LETTERS "mosn_first_letters" [32]

cdef enum:
    SCANNED = 0     # the line or section is complete
    MORE = 1        # it goes on beyond the bytes at hand
    BROKEN = 2      # Scan.reason, Scan.detail

# How far a head has been read. Offsets count from the base of the input; nothing at or behind end is looked at.
cdef struct Scan:
    uint32_t at             # the next byte to look at
    uint32_t line           # where the line at hand begins
    uint32_t name_len       # of the field at hand once its colon was seen, else 0
    uint32_t method_len     # of the request line at hand once its first blank was seen, else 0
    uint32_t end
    uint32_t seen           # bit per Known name: it occurred
    uint32_t repeated       # bit per Known name: it occurred again
    bint content_type       # a Content-Type occurred
    int max_fields
    uint32_t max_uri_bytes
    bint reject_underscores
    bint in_response
    int reason
    const char* detail

cdef int fail(Scan* scan, int reason, const char* detail) noexcept
cdef int read_request_line(Head head, Scan* scan, const char* base) noexcept
cdef int read_status_line(Head head, Scan* scan, const char* base) noexcept
cdef int read_fields(Head head, Scan* scan, const char* base) except -1
