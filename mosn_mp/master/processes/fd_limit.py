"""How many descriptors the master, and with it its workers, may open."""

import resource

# More than any proxy needs, and what a kernel without a limit of its own (2^30 in containers) is cut to.
MAX_FDS = 1 << 20


def raise_fd_limit() -> None:
    """Let this process and its workers open as many descriptors as they may: the soft limit is for programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FDS if hard == resource.RLIM_INFINITY else min(hard, MAX_FDS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
