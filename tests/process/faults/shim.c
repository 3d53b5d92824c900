/* Lets chosen system calls of one process fail, once they have been called so many times: LD_PRELOAD it, name a file in FAULTS.
 * The file is a struct plan, mapped by everybody: whoever writes it decides, from outside, what fails next (shim.py). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum call {
    ACCEPT4, SOCKET, CONNECT, SEND, RECV, SENDMSG, RECVMSG, SPLICE, PIPE2, EPOLL_CTL, EPOLL_WAIT, GETSOCKOPT, SETSOCKOPT,
    GETSOCKNAME, GETPEERNAME, SOCKETPAIR, SHUTDOWN, EVENTFD, DUP, POLL, WRITE, OPEN, FCNTL, MEMFD_CREATE,
    CALLS
};

struct plan {
    int32_t pid;   /* of the process that is meant, and no other */
    int32_t call;  /* enum call */
    int32_t error;
    int32_t times; /* in a row */
    int64_t first; /* the call that fails first, counted from 1 */
    int64_t count; /* calls since the plan was made */
    int64_t hits;  /* of which failed */
    int64_t seen[CALLS];
};

static struct plan *plan;

__attribute__((constructor)) static void find_plan(void)
{
    const char *path = getenv("FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *found = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (found != MAP_FAILED)
        plan = found;
    close(fd);
}

static int fails(enum call call)
{
    if (!plan || plan->pid != getpid())
        return 0;
    __atomic_add_fetch(&plan->seen[call], 1, __ATOMIC_RELAXED);
    if (plan->call != call)
        return 0;
    int64_t count = __atomic_add_fetch(&plan->count, 1, __ATOMIC_RELAXED);
    if (count < plan->first || count >= plan->first + plan->times)
        return 0;
    __atomic_add_fetch(&plan->hits, 1, __ATOMIC_RELAXED);
    errno = plan->error;
    return 1;
}

#define REAL(type, name) \
    static type (*real)(); \
    if (!real) \
        real = (type(*)())dlsym(RTLD_NEXT, #name);

#define WRAP(type, call, name, parameters, arguments) \
    type name parameters \
    { \
        REAL(type, name) \
        return fails(call) ? (type)-1 : real arguments; \
    }

WRAP(int, ACCEPT4, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
WRAP(int, SOCKET, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, CONNECT, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(ssize_t, SEND, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(ssize_t, RECV, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(ssize_t, SENDMSG, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, RECVMSG, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, SPLICE, splice, (int in, off64_t *a, int out, off64_t *b, size_t n, unsigned f), (in, a, out, b, n, f))
WRAP(int, PIPE2, pipe2, (int *ends, int flags), (ends, flags))
WRAP(int, EPOLL_WAIT, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
WRAP(int, GETSOCKOPT, getsockopt, (int fd, int level, int name, void *p, socklen_t *n), (fd, level, name, p, n))
WRAP(int, SETSOCKOPT, setsockopt, (int fd, int level, int name, const void *p, socklen_t n), (fd, level, name, p, n))
WRAP(int, GETSOCKNAME, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(int, GETPEERNAME, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(int, SOCKETPAIR, socketpair, (int family, int type, int protocol, int *ends), (family, type, protocol, ends))
WRAP(int, SHUTDOWN, shutdown, (int fd, int how), (fd, how))
WRAP(int, EVENTFD, eventfd, (unsigned initial, int flags), (initial, flags))
WRAP(int, MEMFD_CREATE, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, DUP, dup, (int fd), (fd))
WRAP(int, POLL, poll, (struct pollfd *p, nfds_t n, int ms), (p, n, ms))
WRAP(ssize_t, WRITE, write, (int fd, const void *p, size_t n), (fd, p, n))

/* Only what adds: what takes away needs no memory. */
int epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
    REAL(int, epoll_ctl)
    return what == EPOLL_CTL_ADD && fails(EPOLL_CTL) ? -1 : real(set, what, fd, event);
}

static int open_mode(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; }

int open64(const char *path, int flags, ...)
{
    REAL(int, open64)
    va_list rest;
    va_start(rest, flags);
    int mode = open_mode(flags, rest);
    va_end(rest);
    return fails(OPEN) ? -1 : real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    REAL(int, open)
    va_list rest;
    va_start(rest, flags);
    int mode = open_mode(flags, rest);
    va_end(rest);
    return fails(OPEN) ? -1 : real(path, flags, mode);
}

int fcntl64(int fd, int what, ...)
{
    REAL(int, fcntl64)
    va_list rest;
    va_start(rest, what);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fails(FCNTL) ? -1 : real(fd, what, argument);
}

int fcntl(int fd, int what, ...)
{
    REAL(int, fcntl)
    va_list rest;
    va_start(rest, what);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fails(FCNTL) ? -1 : real(fd, what, argument);
}
