# C structs of socket addresses (netinet/in.h): filled in here, passed to connect(2) in net/.
from libc.stdint cimport uint16_t

cdef extern from "sys/socket.h" nogil:
    int AF_INET, AF_INET6

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr

cdef extern from "arpa/inet.h" nogil:
    uint16_t htons(uint16_t)
    int inet_pton(int family, const char* text, void* addr)
