"""Errors that nobody catches go to the process log: gevent and Python would print them raw, and they may quote a client."""

import logging
import sys
from types import TracebackType

from gevent.hub import Hub

LOG = logging.getLogger("mosn_mp")


def log_stray_errors(hub: Hub) -> None:
    """Log what ends a greenlet of *hub*, and what C code or a finalizer cannot raise, from now on."""

    def log_greenlet_error(context: object, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        LOG.error("%s failed", type(context).__name__, exc_info=(kind, error, trace))

    vars(hub)["print_exception"] = log_greenlet_error  # gevent's own place for it, which mypy takes for a method
    sys.unraisablehook = _log_unraisable


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    error = unraisable.exc_value or unraisable.exc_type()
    what = unraisable.err_msg or "an exception that cannot be raised in"
    LOG.error("%s %r", what, unraisable.object, exc_info=(unraisable.exc_type, error, unraisable.exc_traceback))
