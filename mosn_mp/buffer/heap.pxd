# C names of the C library's heap: how much of it is free, and giving free pages back (mallinfo(3), malloc_trim(3); nothing where
# the C library is not GNU's). And a way round CPython's arenas of small objects (PyMem_SetAllocator).
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    /* mallinfo2() is younger than the C libraries that a wheel may meet; differences of these numbers are used. */
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    static inline uint64_t mosn_free_bytes(void) { return (unsigned int)mallinfo().fordblks; }
    static inline void mosn_trim(void) { malloc_trim(0); }
    #else
    static inline uint64_t mosn_free_bytes(void) { return 0; }
    static inline void mosn_trim(void) { }
    #endif

    /* CPython's free() and realloc() tell by the address whether an object lies in an arena, as large ones never do. */
    static void *mosn_plain_malloc(void *ctx, size_t size) { return PyMem_RawMalloc(size); }
    static void *mosn_plain_calloc(void *ctx, size_t number, size_t size) { return PyMem_RawCalloc(number, size); }
    static inline void mosn_leave_arenas(PyMemAllocatorEx *usual) {
        PyMemAllocatorEx apart;
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, usual);
        apart = *usual;
        apart.malloc = mosn_plain_malloc;
        apart.calloc = mosn_plain_calloc;
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &apart);
    }
    """
    uint64_t free_bytes "mosn_free_bytes"() noexcept nogil
    void trim "mosn_trim"() noexcept nogil
    ctypedef struct Allocator "PyMemAllocatorEx":
        pass
    int PYMEM_DOMAIN_OBJ
    void PyMem_GetAllocator(int, Allocator*)
    void PyMem_SetAllocator(int, Allocator*)
    void leave_arenas "mosn_leave_arenas"(Allocator* usual)

# What there is most of in a burst is made between these two: its objects lie where free pages can go back to the kernel. An arena of
# Python's small objects (1 MiB) goes back as a whole or not at all, and one number that lives in it is enough to keep it.
cdef void allocate_apart(Allocator* usual) noexcept
cdef void allocate_as_usual(Allocator* usual) noexcept

cdef class Heap:
    cdef uint64_t given         # free bytes whose pages went back, as far as they were not used again
    cdef uint64_t low           # the fewest free bytes in this period
    cdef int looks
