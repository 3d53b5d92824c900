"""A process of the program gives up what it may as root, for good (setgroups(2), setresgid(2), setresuid(2), capabilities(7)).

A change of all three user ids from 0 to another one takes every permitted, effective and ambient capability away. The kernel then
lets nobody but root look into the process (PR_SET_DUMPABLE): another one of the same user, a filter's child for example, neither
traces it nor takes its descriptors (ptrace(2), pidfd_getfd(2)). nginx takes this back for the sake of core dumps; here they would
hold what clients sent, and keys.
"""

import ctypes
import itertools
import os
from collections.abc import Iterable

from mosn_mp.config.identity import Identity

_PR_SET_DUMPABLE, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 23, 24, 38


def become(identity: Identity) -> None:
    """Be *identity* from now on, in user, group and supplementary groups.

    PermissionError, with nothing changed, if this process is somebody else and not root.
    """
    if (os.getuid(), os.geteuid(), os.getgid(), os.getegid()) == (identity.uid, identity.uid, identity.gid, identity.gid):
        if identity.uid == 0:
            os.setgroups(identity.groups)
        return
    prctl = ctypes.CDLL(None).prctl
    for capability in itertools.count():  # none of them comes back by exec(2), whatever a file's own ones are
        if prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) < 0:
            break
        prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups(identity.groups)  # before the others: it needs the capability that they give up
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # fs.suid_dumpable may say otherwise


def forbid_new_privileges() -> None:
    """Let no file that this process or a child of it executes give it rights: neither a set-user-ID bit nor capabilities."""
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor of this process that is not in *keep*."""
    at = 0
    for fd in (*sorted(set(keep)), max(map(int, os.listdir("/proc/self/fd"))) + 1):
        if at < fd:  # CPython 3.11 takes the empty range (0, 0) for all there is
            os.closerange(at, fd)
        at = fd + 1
