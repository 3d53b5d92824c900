# C names of socket addresses (sys/socket.h, netinet/in.h, arpa/inet.h): only to read and print them, no socket is touched.
from libc.stdint cimport uint16_t

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned short sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    int AF_INET, AF_INET6, AF_UNIX

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr

cdef extern from "arpa/inet.h" nogil:
    uint16_t ntohs(uint16_t)
    const char* inet_ntop(int family, const void* addr, char* out, unsigned int size)
    int inet_pton(int family, const char* text, void* addr)
