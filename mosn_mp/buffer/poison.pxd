# Blocks that nobody uses are poisoned in a build with AddressSanitizer (scripts/test --sanitize): whoever reads or writes there,
# past the end of a block or after drop(), is shown with its stack. In any other build there is nothing of it.
cdef extern from *:
    """
    #include <stddef.h>
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    static inline void mosn_poison(char *at, size_t length) { __asan_poison_memory_region(at, length); }
    static inline void mosn_unpoison(char *at, size_t length) { __asan_unpoison_memory_region(at, length); }
    #else
    static inline void mosn_poison(char *at, size_t length) {}
    static inline void mosn_unpoison(char *at, size_t length) {}
    #endif
    """
    void poison "mosn_poison"(char* at, size_t length) noexcept nogil
    void unpoison "mosn_unpoison"(char* at, size_t length) noexcept nogil
