# C names of the kernel interface that net/ uses and Cython does not ship.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        void* ptr
        int fd
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int)
    int epoll_ctl(int, int, int, epoll_event*)
    int epoll_wait(int, epoll_event*, int, int)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLET, EPOLLRDHUP, EPOLLHUP, EPOLLERR

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    struct sockaddr_storage:
        sa_family_t ss_family
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct linger:
        int l_onoff
        int l_linger
    int socket(int, int, int)
    int connect(int, const sockaddr*, socklen_t)
    int accept4(int, sockaddr*, socklen_t*, int)
    int getsockname(int, sockaddr*, socklen_t*)
    int getpeername(int, sockaddr*, socklen_t*)
    int setsockopt(int, int, int, const void*, socklen_t)
    int getsockopt(int, int, int, void*, socklen_t*)
    int shutdown(int, int)
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    ssize_t sendmsg(int, const msghdr*, int)
    int AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SOL_SOCKET, SO_ERROR, SO_LINGER, SO_MARK
    int MSG_NOSIGNAL, MSG_DONTWAIT, MSG_PEEK, SHUT_RD, SHUT_WR, SHUT_RDWR

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        sa_family_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    int IPPROTO_TCP
    uint16_t ntohs(uint16_t)

cdef extern from "netinet/tcp.h" nogil:
    int TCP_NODELAY

cdef extern from "unistd.h" nogil:
    int close(int)

cdef extern from "fcntl.h" nogil:
    ssize_t splice(int, int64_t*, int, int64_t*, size_t, unsigned int)
    int fcntl(int, int, ...)
    int pipe2(int*, int)
    unsigned int SPLICE_F_MOVE, SPLICE_F_NONBLOCK
    int F_SETPIPE_SZ, O_NONBLOCK, O_CLOEXEC

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec*)
    int CLOCK_MONOTONIC, CLOCK_REALTIME

cdef extern from *:
    """
    #include <netinet/tcp.h>
    #include <stdint.h>
    #include <sys/socket.h>

    /* What the far side has acknowledged: tcpi_bytes_acked of linux/tcp.h's struct tcp_info, whose glibc copy ends before it. */
    static inline uint64_t mosn_acknowledged_bytes(int fd) {
        struct { char before[120]; uint64_t bytes_acked; } info = { { 0 }, 0 };
        socklen_t length = sizeof info;
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
        return info.bytes_acked;
    }
    """
    uint64_t acknowledged_bytes "mosn_acknowledged_bytes"(int fd) noexcept nogil
