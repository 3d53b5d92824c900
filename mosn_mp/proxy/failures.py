"""What is said of a stream that an exception ended: of a filter's the 1st, 2nd, 4th ... time, for clients may bring it about."""

import logging
from typing import Any

from mosn_mp.errors import printable
from mosn_mp.filter.chain import FilterChain
from mosn_mp.plugin.blame import describe


def tell_failure(log: logging.Logger, filters: FilterChain, listener: str, request: Any, error: BaseException) -> None:
    """Log *error*, which ended the *request* (a Head) of *listener*; with its traceback if a filter's first, or no filter's."""
    step, count = filters.count_failure(error)
    if not step:
        log.error("stream failed: %s", error, exc_info=error)
    elif count & (count - 1) == 0:
        asked = printable(f"{request.method.decode('latin-1')} {request.path[:200].decode('latin-1')}")
        text = "filter %s of listener %s, %s: %s (%d so far)"
        log.error(text, step, listener, asked, printable(describe(error)), count, exc_info=error if count == 1 else None)
