"""The least rate of a far side that keeps us waiting: for the bytes that it sends, or for it to take ours.

A timeout of every single wait has no end in all: one byte in each is enough. So a wait is looked at LOOKS times in one timeout,
and only time spent waiting for the far side counts. A look costs one of LOOKS; each *quantum* of bytes that moved since the last
one pays a look back, and nothing is saved up beyond them. So who moves nothing is given up after one timeout; who moves less than
the least rate, after a few, however its bytes are spread; and who keeps to the rate never, whatever there is to move.

Sources: IIS' and Kestrel's MinBytesPerSecond (240), whose grace period is the timeout here; Apache's RequestReadTimeout MinRate.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t


def keeps_pace(pace: cython.pointer(Pace), moved: uint64_t, quantum: uint32_t) -> cython.bint:
    """Count one look; False: the far side has used up its timeout. With a *quantum* of 0 any byte pays for all."""
    paid: uint32_t = cython.cast(uint32_t, moved) - pace.seen
    if quantum:
        paid = paid // quantum
        pace.seen += paid * quantum
    elif paid:
        paid = LOOKS
    if paid > pace.spent:
        pace.spent = 0
        pace.seen = cython.cast(uint32_t, moved)
    else:
        pace.spent += 1 - paid
    return pace.spent < LOOKS


def look_ms(timeout_ms: uint64_t) -> uint32_t:
    """How long to wait from one look to the next; 0 = for ever."""
    return cython.cast(uint32_t, (timeout_ms + LOOKS - 1) // LOOKS)


def look_bytes(timeout_ms: uint64_t, bytes_per_s: uint64_t) -> uint32_t:
    """What has to move from one look to the next at the least rate *bytes_per_s*; 0 = anything."""
    if bytes_per_s == 0:
        return 0
    return cython.cast(uint32_t, max(1, min(timeout_ms * bytes_per_s // (1000 * LOOKS), 0xFFFFFFFF)))
