"""What the kernel knows of one of our processes.

Source: proc(5): /proc/pid/stat, smaps_rollup, limits, fd.
"""

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessReading(NamedTuple):
    """One process at one instant."""

    cpu_s: float
    resident_bytes: int
    pss_bytes: int  # shared pages divided by the number of processes that map them
    virtual_bytes: int
    open_fds: int
    max_fds: int
    threads: int
    started_at: float  # seconds since 1970


def read_process(pid: int) -> ProcessReading | None:
    """The figures of process *pid*, None if it is gone or not ours to look at."""
    root = Path("/proc") / str(pid)
    # This is the edge to /proc: a process may vanish between any two reads, which is not an error of ours.
    try:
        # The name in parentheses may hold blanks and parentheses; the fields begin after the last one, with number 3.
        fields = (root / "stat").read_text().rpartition(")")[2].split()
        return ProcessReading(
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
            resident_bytes=int(fields[21]) * _PAGE,
            pss_bytes=_kilobytes((root / "smaps_rollup").read_text(), "Pss:"),
            virtual_bytes=int(fields[20]),
            open_fds=len(os.listdir(root / "fd")),
            max_fds=_limit((root / "limits").read_text()),
            threads=int(fields[17]),
            started_at=_booted_at() + int(fields[19]) / _TICKS,
        )
    except OSError:
        return None


def _kilobytes(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _limit(text: str) -> int:
    for line in text.splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return -1 if soft == "unlimited" else int(soft)
    return -1


def _booted_at() -> int:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
