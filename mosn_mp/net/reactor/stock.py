"""Buffers of one worker's connections, in an order that cannot end in a deadlock when the arena is used up.

A request takes a block for its head and gives it back when it ends, and to end it needs others: for the response, for output.
Were all blocks in heads that wait, none of them could go on. So four blocks are set aside, and who takes one has a rank: how many
of the four it leaves to others. Blocks that come back fill the stock up to its rank before it gets one.

    REQUEST_HEAD   4    held until the stream ends, as that of the response is
    REQUEST_BODY   3
    RESPONSE_HEAD  2
    RESPONSE_BODY  1
    OUTPUT         0    waits for nobody but the network

(Dijkstra's ordered resources: whoever holds a block waits only for blocks of a lower rank. An empty block is not held.)

On shared connections a message that begins has the rank of a head, one that goes on that of a body, whose bytes then go to the
heap and the block back at once; answers that clients do not read wait on the heap. So what has begun can always be completed.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.mosn_mp.buffer.arena import LARGEST_BLOCK, Arena

# Of the size of which there is most in an arena. Input may be had in this size where a larger one was asked for.
COMMON_BLOCK = cython.declare(uint32_t, 16384)


class Stock:
    """`Stock(arena)`: takes blocks; they are given back to the arena itself."""

    def __cinit__(self, arena: Arena) -> None:
        self.arena = arena
        if arena is not None:
            self._restock(REQUEST_HEAD)
            self.full = self.count  # a very small arena has less, and no promise

    def take(self, size: uint32_t, rank: uint32_t) -> cython.p_char:
        """A block of *size* bytes, for input perhaps a smaller one, or NULL."""
        block: cython.p_char
        if self.count < self.full and not self._restock(rank):
            return cython.NULL
        block = self.arena.take(size)
        if block == cython.NULL and size > COMMON_BLOCK and rank != OUTPUT:
            block = self.arena.take(COMMON_BLOCK)
        if block == cython.NULL and self.count > rank:
            return self._pop(size if rank == OUTPUT else COMMON_BLOCK)
        return block

    def _pop(self, size: uint32_t) -> cython.p_char:
        """The smallest block of the stock that holds *size* bytes, or NULL: a large one is kept for an output that needs it."""
        i: uint32_t
        best: uint32_t = self.count
        found: cython.p_char
        for i in range(self.count):
            if self.arena.size_of(self.blocks[i]) >= size and (
                best == self.count or self.arena.size_of(self.blocks[i]) < self.arena.size_of(self.blocks[best])
            ):
                best = i
        if best == self.count:
            return cython.NULL
        found = self.blocks[best]
        self.count -= 1
        self.blocks[best] = self.blocks[self.count]
        return found

    def _restock(self, count: uint32_t) -> cython.bint:
        """Fill the stock up to *count*, with the largest blocks if there are; False: the arena has none left."""
        block: cython.p_char
        while self.count < count:
            block = self.arena.take(LARGEST_BLOCK)
            if block == cython.NULL:
                block = self.arena.take(COMMON_BLOCK)
            if block == cython.NULL:
                return False
            self.blocks[self.count] = block
            self.count += 1
        return True
