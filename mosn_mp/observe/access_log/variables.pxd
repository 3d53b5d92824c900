from libc.stdint cimport uint32_t

# What a step of an access log format does, and with which field of the record.

# Step.op
cdef enum:
    OP_LITERAL = 0          # text: as it stands
    OP_START_TIME
    OP_DURATION             # arg: DUR_
    OP_COUNT                # arg: NUM_; zero is a value
    OP_IDENT                # arg: NUM_; zero = unset
    OP_NAME                 # arg: NAME_
    OP_ADDRESS              # arg: ADDR_
    OP_PART                 # arg: PART_, of the request
    OP_REQUEST_HEADER       # text: its name
    OP_RESPONSE_HEADER
    OP_COOKIE
    OP_QUERY_ARG
    OP_FLAG                 # true or false: any response flag
    OP_FLAGS                # the letters of the reason
    OP_FAILURE              # the upstream's failure in words
    OP_UNSET                # always "-"
    OP_PYTHON               # arg: index of the function

cdef enum:
    DUR_ALL = 0
    DUR_REQUEST_RECEIVED
    DUR_RESPONSE_RECEIVED
    DUR_REQUEST_FINISHED
    DUR_PROCESS

cdef enum:
    NUM_BYTES_SENT = 0
    NUM_BYTES_RECEIVED
    NUM_STATUS
    NUM_ATTEMPTS
    NUM_CONNECTION
    NUM_UPSTREAM_CONNECTION
    NUM_STREAM
    NUM_LISTENER_PORT
    NUM_REQUEST_LENGTH

cdef enum:
    NAME_PROTOCOL = 0
    NAME_UPSTREAM_PROTOCOL
    NAME_LISTENER
    NAME_LISTENER_TYPE
    NAME_ROUTE
    NAME_CLUSTER
    NAME_HOST
    NAME_SERVER
    NAME_TRACE

cdef enum:
    ADDR_DOWNSTREAM_REMOTE = 0
    ADDR_DOWNSTREAM_LOCAL
    ADDR_UPSTREAM_LOCAL

cdef enum:
    PART_SCHEME = 0
    PART_METHOD
    PART_PATH           # without the query
    PART_URI            # with it
    PART_QUERY
    PART_AUTHORITY

# Step.protocol: the step shows "-" for requests of another protocol
cdef enum:
    ANY_PROTOCOL = 0
    ONLY_HTTP1 = 1
    ONLY_HTTP2 = 2

# A step of a format, compiled.
cdef struct CStep:
    int op
    int arg
    int protocol
    uint32_t text_len
    const char* text
