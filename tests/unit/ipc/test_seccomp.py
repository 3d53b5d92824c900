"""The program that the kernel runs for a system call, run here for both machines."""

import errno
import struct

import pytest

from mosn_mp.ipc.seccomp import MACHINES, Machine, program_for

ALLOWED = 0x7FFF0000
REFUSED, UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
CLONE_THREAD, CLONE_NEWUSER = 0x00010000, 0x10000000


def answer(machine: Machine, number: int, argument: int = 0, arch: int = 0) -> int:
    """What the program of *machine* says of a call."""
    data = struct.pack("<IIQ6Q", number, arch or machine.audit_arch, 0, argument, 0, 0, 0, 0, 0)
    code = list(struct.iter_unpack("=HBBI", program_for(machine)))
    at = loaded = 0
    while True:
        kind, if_true, if_false, value = code[at]
        at += 1
        if kind == 0x20:
            loaded = struct.unpack_from("<I", data, value)[0]
        elif kind == 0x06:
            return int(value)
        else:
            is_true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[kind]
            at += if_true if is_true else if_false


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_refused_is_refused_and_all_else_is_not(name: str) -> None:
    machine = MACHINES[name]
    for number in range(600):
        if number != machine.clone3:
            assert answer(machine, number) == (REFUSED if number in machine.refused else ALLOWED), number
    assert answer(machine, machine.clone3) == UNKNOWN
    assert answer(machine, machine.clone, CLONE_THREAD) == ALLOWED
    assert answer(machine, machine.clone, CLONE_THREAD | CLONE_NEWUSER) == REFUSED


def test_the_same_calls_by_other_numbers_are_refused_too() -> None:
    machine = MACHINES["x86_64"]
    assert answer(machine, 39, arch=0x40000003) == REFUSED  # i386
    assert answer(machine, 0x40000000 + 39) == REFUSED  # x32


def test_both_machines_refuse_the_same() -> None:
    only_x86 = 2  # iopl, ioperm
    assert len(MACHINES["x86_64"].refused) == len(MACHINES["aarch64"].refused) + only_x86
