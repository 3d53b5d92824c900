from libc.stdint cimport int32_t, uint8_t, uint32_t

# The form of a frame: protocol code << 8 | ver1 (0 in v1, which has none).
cdef enum:
    FORM_V1 = 0x100
    FORM_V2 = 0x201
    FORM_V2_CRC = 0x202     # may carry a checksum: each frame says so

cdef enum:
    T_RESPONSE = 0
    T_REQUEST = 1
    T_ONE_WAY = 2

cdef enum:
    C_HEARTBEAT = 0
    C_REQUEST = 1
    C_RESPONSE = 2
    C_GOAWAY = 100

cdef enum:
    HESSIAN2 = 1
    SWITCH_CRC = 1
    CRC_BYTES = 4

cdef struct Frame:
    uint32_t form
    int type
    int command
    uint32_t id
    int switches
    bint has_crc
    int32_t timeout     # requests
    int status          # responses
    uint32_t fixed      # length of the fixed part
    uint32_t class_len
    uint32_t block_len
    uint32_t content_len

cdef uint32_t fixed_length(uint32_t form, int type) noexcept
cdef uint32_t fixed_of(const char* at) noexcept
cdef const char* read_fixed(const char* at, uint32_t length, Frame* frame) noexcept
cdef uint32_t put_fixed(char* at, uint32_t form, int type, int command) noexcept
cdef uint32_t form_of(const char* at) noexcept
cdef bint carries_crc(const char* at) noexcept
