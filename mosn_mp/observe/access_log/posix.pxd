# C names that a log's writing thread needs: files, an eventfd to wake it, and the ordered loads and stores by which it and the
# thread that makes the lines share a ring without a lock (C11 memory orders by GCC's __atomic built-ins).
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "fcntl.h" nogil:
    int open(const char* path, int flags, ...)
    int O_WRONLY, O_APPEND, O_CREAT, O_CLOEXEC

cdef extern from "unistd.h" nogil:
    ssize_t write(int fd, const void* from_, size_t length)
    ssize_t read(int fd, void* into, size_t length)
    int close(int fd)

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    short POLLIN, POLLOUT, POLLNVAL

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int initial, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/stat.h>

    static inline uint32_t mosn_load_acquire(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
    static inline void mosn_store_release(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }
    static inline uint32_t mosn_take_flag(uint32_t *at) { return __atomic_exchange_n(at, 0, __ATOMIC_ACQ_REL); }
    static inline void mosn_raise_flag(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
    static inline void mosn_full_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static inline int mosn_is_regular(int fd) { struct stat s; return fstat(fd, &s) == 0 && S_ISREG(s.st_mode); }
    """
    uint32_t load_acquire "mosn_load_acquire"(const uint32_t* at) noexcept nogil
    void store_release "mosn_store_release"(uint32_t* at, uint32_t value) noexcept nogil
    uint32_t take_flag "mosn_take_flag"(uint32_t* at) noexcept nogil
    void raise_flag "mosn_raise_flag"(uint32_t* at, uint32_t value) noexcept nogil
    void full_fence "mosn_full_fence"() noexcept nogil
    bint is_regular "mosn_is_regular"(int fd) noexcept nogil
