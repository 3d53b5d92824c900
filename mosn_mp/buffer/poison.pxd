# Blocks that nobody uses are poisoned in a build with AddressSanitizer (scripts/test --sanitize): whoever reads or writes there,
# past the end of a block or after drop(), is shown with its stack. In any other build there is nothing of it.
from libc.stdint cimport uint8_t, uint32_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    static inline void mosn_poison(char *at, size_t length) { __asan_poison_memory_region(at, length); }
    static inline void mosn_unpoison(char *at, size_t length) { __asan_unpoison_memory_region(at, length); }
    static inline void mosn_poison_free(char *start, const uint8_t *owners, uint32_t count, uint32_t shift) {
        for (uint32_t i = 0; i < count; i++)
            if (owners[i] == 0) mosn_poison(start + ((size_t)i << shift), (size_t)1 << shift);
    }
    #else
    static inline void mosn_poison(char *at, size_t length) {}
    static inline void mosn_unpoison(char *at, size_t length) {}
    static inline void mosn_poison_free(char *start, const uint8_t *owners, uint32_t count, uint32_t shift) {}
    #endif
    """
    void poison "mosn_poison"(char* at, size_t length) noexcept nogil
    void unpoison "mosn_unpoison"(char* at, size_t length) noexcept nogil
    # Blocks of 1 << *shift* bytes whose owner byte is 0.
    void poison_free "mosn_poison_free"(char* start, const uint8_t* owners, uint32_t count, uint32_t shift) noexcept nogil
