from libc.stdint cimport int64_t
from mosn_mp.buffer.head cimport Head
from mosn_mp.route.edits cimport HeaderEdits
from mosn_mp.route.match cimport PathMatcher

# Route.action
cdef enum Action:
    A_CLUSTER = 0   # forward to Route.cluster
    A_DIRECT = 1    # answer Route.status, Route.body
    A_REDIRECT = 2  # answer Route.status with `Location: Route.location(head)`

# One route. Immutable but for `cluster` and `upstream_protocol`, which Router.link() fills in.
cdef class Route:
    cdef readonly str name                  # for the access log
    cdef bytes name_text                    # the same as bytes, shared by all records
    cdef bytes cluster_text
    cdef readonly int action
    cdef readonly str cluster_name          # "" unless A_CLUSTER
    cdef public object cluster              # mosn_mp.cluster.cluster.Cluster after Router.link(), else None
    cdef readonly int64_t timeout_ms        # whole request; 0 = none
    cdef readonly int64_t per_try_timeout_ms  # 0 = none
    cdef readonly int status                # A_DIRECT, A_REDIRECT
    cdef readonly bytes body                # A_DIRECT
    cdef readonly bint has_request_edits    # finish_request() has something to do
    cdef readonly bint has_response_edits   # finish_response() has something to do
    cdef readonly PathMatcher path
    cdef readonly tuple headers             # of HeaderMatcher, all must match
    cdef readonly bytes service             # the one value of the header `service` that it asks for, and nothing else; or None
    cdef int position                       # among the routes of its virtual host
    cdef readonly str upstream_protocol_name  # "" = the listener's
    cdef public object upstream_protocol    # codec.protocol.Protocol after Router.link(), or None: the listener's
    cdef readonly object redirect           # mosn_mp.route.redirect.Redirect or None
    cdef readonly bytes prefix_rewrite      # or None
    cdef readonly bytes host_rewrite        # or None
    cdef HeaderEdits request_edits
    cdef HeaderEdits response_edits

    # Call once a request when its route and host are known, not again on a retry.
    cdef int finish_request(self, Head head) except -1
    # Call on the final response head, local replies included.
    cdef int finish_response(self, Head head) except -1
    # The value of Location for A_REDIRECT.
    cdef bytes location(self, Head head)
    cdef int _rewrite_path(self, Head head) except -1

cdef Py_ssize_t path_length(const char* target, Py_ssize_t length) noexcept
