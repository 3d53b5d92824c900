"""Statuses of bolt and of HTTP, after MOSN pkg/protocol/xprotocol/bolt/mapping.go and protocol.go.

    bolt read as HTTP                        HTTP written as bolt
    0 success              200               2xx        0
    4 thread pool busy     503               403        2 server exception
    7 timeout              504               404, 502   6 no processor
    16 connection closed   502               503        4 thread pool busy
    all others             500               504        7 timeout
                                             400, 408, 413, 414, 431, 501, 505: the frame's own fault, 9 codec exception
                                             all others 3 unknown

A Java client accepts only statuses 0 to 9 and 16 to 18 and closes its connection on any other; these are among them.
"""

import cython

SUCCESS = cython.declare(cython.int, 0)
SERVER_EXCEPTION = cython.declare(cython.int, 2)
UNKNOWN = cython.declare(cython.int, 3)
BUSY = cython.declare(cython.int, 4)
NO_PROCESSOR = cython.declare(cython.int, 6)
TIMEOUT = cython.declare(cython.int, 7)
CODEC_EXCEPTION = cython.declare(cython.int, 9)
CONNECTION_CLOSED = cython.declare(cython.int, 16)


def http_status(status: cython.int) -> cython.int:
    """What a bolt status is to routes, retries, counters and logs."""
    if status == SUCCESS:
        return 200
    elif status == BUSY:
        return 503
    elif status == TIMEOUT:
        return 504
    elif status == CONNECTION_CLOSED:
        return 502
    return 500


def bolt_status(status: cython.int) -> cython.int:
    """What a Java client gets for an HTTP status."""
    if 200 <= status < 300:
        return SUCCESS
    elif status == 404 or status == 502:
        return NO_PROCESSOR
    elif status == 503:
        return BUSY
    elif status == 504:
        return TIMEOUT
    elif status == 403:
        return SERVER_EXCEPTION
    elif status in (400, 408, 413, 414, 431, 501, 505):
        return CODEC_EXCEPTION
    return UNKNOWN


def to_http(status: int) -> int:
    """http_status for Python."""
    return http_status(status)


def to_bolt(status: int) -> int:
    """bolt_status for Python."""
    return bolt_status(status)
