"""Takes system calls from a process, and all that it starts, which no worker, controller or filter of theirs ever needs.

What is refused looks into other processes, or is where kernels were broken into from inside: the caller gets EPERM. All else is
as before: filters are plain Python and may open files and sockets and start programs. The kernel looks a call that is always
allowed up in a bitmap (Linux 5.11) and does not run the program for it: 5 ns a call.

```
arch != ours --> EPERM        nr = clone3 --> ENOSYS (libc asks again with clone, whose flags can be seen)
nr in REFUSED --> EPERM       nr = clone, flags & namespaces --> EPERM         else --> allow
```
Sources: seccomp(2), the layout of struct seccomp_data there; the numbers are the kernel's syscall tables (x86_64, asm-generic).
"""

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_GET_ACTION_AVAILABLE = 2
_SET_MODE_FILTER, _SPEC_ALLOW = 1, 4  # without the flag kernels before 5.16 slow all speculation of the process down
_PR_SET_SECCOMP = 22
# BPF_LD|W|ABS, BPF_JMP|JEQ|K, JGE, JSET, BPF_RET|K
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NR, _ARCH, _ARGUMENT_0 = (
    0,
    4,
    16,
)  # offsets in struct seccomp_data; the low half of the argument: both machines are little-endian
# CLONE_NEWTIME is a signal's number in clone(2), and unshare(2), which knows it, is refused.
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_X32 = 0x40000000  # numbers of the x32 ABI, which are the same calls by other numbers

# io_uring, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, process_madvise, mount_setattr: one for all
_EVERYWHERE = {*range(425, 434), 438, 440, 442}


class Machine(NamedTuple):
    """What differs from one to the other."""

    audit_arch: int
    seccomp: int
    clone: int
    clone3: int
    refused: frozenset[int]


MACHINES = {
    "x86_64": Machine(0xC000003E, 317, 56, 435, frozenset(_EVERYWHERE | {
        101, 310, 311, 312,  # ptrace, process_vm_readv, process_vm_writev, kcmp
        155, 161, 165, 166, 272, 304, 308,  # pivot_root, chroot, mount, umount2, unshare, open_by_handle_at, setns
        248, 249, 250,  # add_key, request_key, keyctl
        298, 321, 323,  # perf_event_open, bpf, userfaultfd
        172, 173, 175, 176, 246, 313, 320,  # iopl, ioperm, init_module, delete_module, kexec_load, finit_module, kexec_file_load
        163, 164, 167, 168, 169, 227,  # acct, settimeofday, swapon, swapoff, reboot, clock_settime
    })),
    "aarch64": Machine(0xC00000B7, 277, 220, 435, frozenset(_EVERYWHERE | {
        117, 270, 271, 272,
        41, 51, 40, 39, 97, 265, 268,
        217, 218, 219,
        241, 280, 282,
        105, 106, 104, 273, 294,
        89, 170, 224, 225, 142, 112,
    })),
}  # fmt: skip


def forbid_system_calls() -> str:
    """Do so, for good, in a process that has no_new_privs; returns why it could not be done, "" if it was."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return f"the numbers of system calls on {os.uname().machine} are not known"
    program = program_for(machine)
    code = ctypes.create_string_buffer(program, len(program))
    packed = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(machine.seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, packed) == 0:
        return ""
    if libc.prctl(_PR_SET_SECCOMP, 2, packed, 0, 0) == 0:  # a sandbox around us that knows only this way
        return ""
    return os.strerror(ctypes.get_errno())


def why_not() -> str:
    """Why forbid_system_calls() could not work here, "" if it can."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return f"the numbers of system calls on {os.uname().machine} are not known"
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = ctypes.c_uint32(_ERRNO)
    if libc.syscall(machine.seccomp, _GET_ACTION_AVAILABLE, 0, ctypes.byref(wanted)) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def program_for(machine: Machine) -> bytes:
    """The BPF program, 8 bytes an instruction."""
    refuse, unknown = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    checks = [(_JUMP_AT_LEAST, _X32), *((_JUMP_EQUAL, number) for number in sorted(machine.refused))]
    count = len(checks)
    code = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JUMP_EQUAL, machine.audit_arch, 0, count + 6),
        _instruction(_LOAD, _NR),
        *(_instruction(kind, value, count + 4 - at, 0) for at, (kind, value) in enumerate(checks)),
        _instruction(_JUMP_EQUAL, machine.clone3, 5, 0),
        _instruction(_JUMP_EQUAL, machine.clone, 0, 2),
        _instruction(_LOAD, _ARGUMENT_0),
        _instruction(_JUMP_BITS, _NAMESPACES, 1, 0),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, refuse),
        _instruction(_RETURN, unknown),
    ]
    return b"".join(code)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter; the jumps skip so many instructions."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
