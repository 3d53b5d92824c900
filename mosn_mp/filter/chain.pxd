# What a filter phase decided; the same numbers as the names in mosn_mp.filter.stream_filter.
cdef enum Verdict:
    CONTINUE = 0
    STOP = 1        # the filter answered by itself (stream.reply): skip the rest of the way to the upstream
    TERMINATE = 2   # drop the stream without an answer
    RE_MATCH = 3    # only from on_route: match the route again
    RE_CHOOSE = 4   # only from on_host: choose another host

# What the chain needs of a stream; proxy.StreamView derives from it and adds what filter.stream_view.StreamView describes.
cdef class FilteredStream:
    cdef public bint replied            # set by reply(); the chain then stops
    cdef list filter_objects            # per-stream filter objects, made when first needed
    cdef dict variable_values
    # Forget everything of the request that ended; call before the Stream serves the next.
    cdef void clear_filters(self) noexcept

# One filter's part in one phase.
cdef class Step:
    cdef readonly object call           # bound method, or function of the class for a per-stream filter
    cdef readonly str name              # "module.Class.on_request", for errors
    cdef readonly bint changes_body
    cdef int slot                       # in FilteredStream.filter_objects; -1 = shared object
    cdef object _filter_of(self, FilterChain chain, FilteredStream stream)

# The stream filters of one listener, compiled: one tuple of steps per phase. Immutable, shared by all streams.
# An empty phase is a False `has_*`: test it before the call.
cdef class FilterChain:
    cdef readonly tuple filters             # the shared StreamFilter objects
    cdef readonly bint has_request
    cdef readonly bint has_route
    cdef readonly bint has_host
    cdef readonly bint has_request_data
    cdef readonly bint has_request_trailers
    cdef readonly bint has_response
    cdef readonly bint has_response_data
    cdef readonly bint has_response_trailers
    cdef readonly bint has_end
    cdef readonly bint changes_request_body     # a filter may change its length: forward it without Content-Length
    cdef readonly bint changes_response_body
    cdef readonly dict failures             # by the name of a step: how often it raised
    cdef tuple factories                    # (class, config) of per-stream filters
    cdef tuple request
    cdef tuple route
    cdef tuple host
    cdef tuple request_data
    cdef tuple request_trailers
    cdef tuple response
    cdef tuple response_data
    cdef tuple response_trailers
    cdef tuple end

    cdef int run_request(self, FilteredStream stream) except -1
    cdef int run_route(self, FilteredStream stream) except -1
    cdef int run_host(self, FilteredStream stream) except -1
    cdef int run_response(self, FilteredStream stream) except -1
    cdef int run_request_trailers(self, FilteredStream stream) except -1
    cdef int run_response_trailers(self, FilteredStream stream) except -1
    # The piece to pass on (b"" = nothing now); stream.replied tells whether a filter answered instead.
    cdef bytes run_request_data(self, FilteredStream stream, bytes data, bint end)
    cdef bytes run_response_data(self, FilteredStream stream, bytes data, bint end)
    # Every filter's on_end runs, whatever an earlier one raised; then the last exception is raised, the others are its context.
    cdef int run_end(self, FilteredStream stream) except -1
    cdef int _run(self, tuple steps, FilteredStream stream, int allowed) except -1
    cdef bytes _run_data(self, tuple steps, FilteredStream stream, bytes data, bint end)
    cdef int _run_end_from(self, FilteredStream stream, Py_ssize_t index) except -1
