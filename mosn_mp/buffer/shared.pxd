# C names for memory that processes share: atomic operations (GCC's __atomic built-ins, as C11 defines their orders), the address
# behind a buffer object, and the calls by which a tmpfs page is claimed and given back (posix_fallocate(3), madvise(2)).
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <sys/mman.h>

    static inline uint8_t mosn_load_byte(const uint8_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void mosn_publish_byte(uint8_t *at, uint8_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

    static inline uint64_t mosn_fetch_add(uint64_t *at, uint64_t n) { return __atomic_fetch_add(at, n, __ATOMIC_RELAXED); }
    static inline uint64_t mosn_load_cell(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void mosn_store_cell(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }

    /* The full barrier is on both sides: whoever adds and then loads others' shares sees every addition ordered before its own. */
    static inline void mosn_add_share(uint32_t *at, uint32_t n) {
        __atomic_fetch_add(at, n, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    static inline uint32_t mosn_load_share(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void mosn_store_share(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

    static inline int mosn_leading_zeros(uint64_t value) { return __builtin_clzll(value); }

    /* Address of a buffer, for reading if that is all it is for; valid as long as the exporter lives and is not closed. NULL +
       exception. */
    static inline char *mosn_address_of(PyObject *exporter) {
        Py_buffer view;
        if (PyObject_GetBuffer(exporter, &view, PyBUF_SIMPLE) < 0) return NULL;
        char *address = (char *)view.buf;
        PyBuffer_Release(&view);
        return address;
    }
    /* 0, or the errno: the pages of [offset, offset + length) exist from now on, a write cannot SIGBUS. */
    static inline int mosn_back_pages(int fd, uint64_t offset, uint64_t length) {
        int problem;
        do { problem = posix_fallocate(fd, (off_t)offset, (off_t)length); } while (problem == EINTR);
        return problem;
    }
    static inline int mosn_release_pages(char *at, uint64_t length) { return madvise(at, length, MADV_REMOVE); }
    """
    uint8_t load_byte "mosn_load_byte"(const uint8_t* at) noexcept nogil
    void publish_byte "mosn_publish_byte"(uint8_t* at, uint8_t value) noexcept nogil
    uint64_t fetch_add "mosn_fetch_add"(uint64_t* at, uint64_t n) noexcept nogil
    uint64_t load_cell "mosn_load_cell"(const uint64_t* at) noexcept nogil
    void store_cell "mosn_store_cell"(uint64_t* at, uint64_t value) noexcept nogil
    void add_share "mosn_add_share"(uint32_t* at, uint32_t n) noexcept nogil
    uint32_t load_share "mosn_load_share"(const uint32_t* at) noexcept nogil
    void store_share "mosn_store_share"(uint32_t* at, uint32_t value) noexcept nogil
    int leading_zeros "mosn_leading_zeros"(uint64_t value) noexcept nogil    # value must not be 0
    char* address_of "mosn_address_of"(object exporter) except NULL
    int back_pages "mosn_back_pages"(int fd, uint64_t offset, uint64_t length) noexcept nogil
    int release_pages "mosn_release_pages"(char* at, uint64_t length) noexcept nogil
