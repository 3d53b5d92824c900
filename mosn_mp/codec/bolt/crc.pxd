from libc.stdint cimport uint32_t

cdef uint32_t crc32(uint32_t before, const char* bytes_, size_t length) noexcept

# TABLE[k][b]: what byte b does to the CRC when k bytes follow it in the step.
cdef uint32_t TABLE[8][256]
