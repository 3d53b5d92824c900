"""A process of the program gives up what it may as root, for good (setgroups(2), setresgid(2), setresuid(2), capabilities(7)).

A change of all three user ids from 0 to another one takes every permitted, effective and ambient capability away. The kernel then
lets nobody but root look into the process; as nginx does (ngx_worker_process_init) this is taken back, or there would be no core
dumps, and the controller could not tell how much memory a worker has.
"""

import ctypes
import os

from mosn_mp.config.identity import Identity

_PR_SET_DUMPABLE = 4


def become(identity: Identity) -> None:
    """Be *identity* from now on, in user, group and supplementary groups.

    PermissionError, with nothing changed, if this process is somebody else and not root.
    """
    if (os.getuid(), os.geteuid(), os.getgid(), os.getegid()) == (identity.uid, identity.uid, identity.gid, identity.gid):
        if identity.uid == 0:
            os.setgroups(identity.groups)
        return
    os.setgroups(identity.groups)  # before the others: it needs the capability that they give up
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
