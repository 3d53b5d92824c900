# Big-endian numbers at any address: one load and one swap each, which shifts of single bytes are not on every compiler.
from libc.stdint cimport uint16_t, uint32_t

cdef extern from *:
    """
#ifndef MOSN_ENDIAN
#define MOSN_ENDIAN
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
static inline uint16_t mosn_get16(const void* at) { uint16_t v; memcpy(&v, at, 2); return ntohs(v); }
static inline uint32_t mosn_get32(const void* at) { uint32_t v; memcpy(&v, at, 4); return ntohl(v); }
static inline void mosn_put16(void* at, uint16_t v) { v = htons(v); memcpy(at, &v, 2); }
static inline void mosn_put32(void* at, uint32_t v) { v = htonl(v); memcpy(at, &v, 4); }
#endif
    """
    uint16_t get16 "mosn_get16" (const void* at) noexcept nogil
    uint32_t get32 "mosn_get32" (const void* at) noexcept nogil
    void put16 "mosn_put16" (void* at, uint16_t value) noexcept nogil
    void put32 "mosn_put32" (void* at, uint32_t value) noexcept nogil
