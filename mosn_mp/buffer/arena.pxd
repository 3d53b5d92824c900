cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CLASSES = 3                 # 4 KiB, 16 KiB, 64 KiB
    LARGEST_BLOCK = 65536
    MASTER_SLOT = 254           # the slot of a process that is no worker

# One size class: where its blocks lie, the shared bytes about them, and what this process keeps of them.
cdef struct BlockClass:
    char* start                 # the first block, page-aligned
    uint8_t* owners             # shared, a byte per block: 0 free, slot + 1 owned
    uint8_t* touched            # shared, a byte per block: UNTOUCHED, TOUCHED, AGED
    uint16_t* refs              # this process's references per block
    uint32_t* magazine          # blocks owned by this process that nobody uses: a stack of indexes
    uint32_t held               # ... how many
    uint32_t capacity           # ... at most
    uint32_t batch              # blocks moved between magazine and shared table at a time
    uint32_t count              # blocks of this class
    uint32_t shift              # block size = 1 << shift
    uint32_t low                # where the search for a free block begins; trim() sets it back to 0
    uint32_t trim_at            # where the next trim() begins, counted down from the end
    uint32_t in_use             # blocks with references in this process
    uint32_t peak               # ... the most ever
    uint32_t recent_peak        # ... the most since the last trim()
    uint64_t taken
    uint64_t exhausted          # take() that found no block

@cython.final
cdef class Arena:
    cdef BlockClass classes[3]
    cdef object segment         # keeps the mapping alive
    cdef readonly int slot
    cdef uint8_t owner
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
    cdef uint32_t release_idle(self, BlockClass* blocks, uint32_t limit) noexcept
    cdef bint claim_aged(self, BlockClass* blocks, uint32_t index) noexcept
    cdef uint32_t release_run(self, BlockClass* blocks, uint32_t first, uint32_t number) noexcept
