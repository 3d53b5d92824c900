cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CLASSES = 3                 # 4 KiB, 16 KiB, 64 KiB
    LARGEST_BLOCK = 65536

# One size class of this process: where its blocks lie, and what is known of them.
cdef struct BlockClass:
    char* start                 # the first block, page-aligned
    uint8_t* owned              # a byte per block: 0 free, 1 in use or in the magazine
    uint8_t* touched            # a byte per block: UNTOUCHED, TOUCHED, AGED
    uint16_t* refs              # references per block
    uint32_t* magazine          # owned blocks that nobody uses: a stack of indexes
    uint32_t held               # ... how many
    uint32_t capacity           # ... at most
    uint32_t batch              # blocks moved between magazine and table at a time
    uint32_t count              # blocks of this class
    uint32_t shift              # block size = 1 << shift
    uint32_t low                # where the search for a free block begins; trim() sets it back to 0
    uint32_t trim_at            # where the next trim() begins, counted down from the end
    uint32_t in_use             # blocks with references
    uint32_t peak               # ... the most ever
    uint32_t recent_peak        # ... the most since the last trim()
    uint64_t taken
    uint64_t exhausted          # take() that found no block
    uint32_t* cells             # shared: those of row 0 for this class (holdings.py)
    uint32_t held_now           # blocks owned or touched: what counts against the arena
    uint32_t owned_now
    uint32_t touched_now

@cython.final
cdef class Arena:
    cdef BlockClass classes[3]
    cdef object segment         # keeps the mapping alive
    cdef object holdings        # ... and that of all rows
    cdef readonly int slot
    cdef uint32_t rows
    cdef int fd
    cdef char* base
    cdef readonly uint64_t misused      # drop() of a block without references: a bug of the caller, survived and counted

    # The smallest block that holds *size* bytes (1 reference; a larger one when its class is used up), or NULL: the arena is
    # exhausted (counted) or size > LARGEST_BLOCK. Its bytes are whatever was there before.
    cdef char* take(self, uint32_t size) noexcept
    # One more reference on the block that *at* points into.
    cdef void hold(self, const char* at) noexcept
    # One reference less; the last one gives the block back. NULL is allowed.
    cdef void drop(self, const char* at) noexcept
    # References held on the block that *at* points into.
    cdef int refs(self, const char* at) noexcept
    # Capacity of the block that *at* points into.
    cdef uint32_t size_of(self, const char* at) noexcept

    cdef BlockClass* class_of(self, const char* at) noexcept
    cdef char* take_slowly(self, BlockClass* blocks) noexcept
    cdef bint back(self, BlockClass* blocks, uint32_t index) noexcept
    cdef uint32_t refill(self, BlockClass* blocks) noexcept
    cdef void give_back(self, BlockClass* blocks, uint32_t number) noexcept
    cdef void publish(self, BlockClass* blocks) noexcept
    cdef uint32_t room(self, BlockClass* blocks) noexcept
    cdef uint32_t release_idle(self, BlockClass* blocks, uint32_t limit, bint is_short) noexcept
    cdef bint is_idle(self, BlockClass* blocks, uint32_t index, bint is_short) noexcept
    cdef uint32_t release_run(self, BlockClass* blocks, uint32_t first, uint32_t number) noexcept
