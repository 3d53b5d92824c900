"""A filter file of the user's through which a test runs any Python inside the processes that import it."""

import contextlib
import os
import socket
import threading
from types import BuiltinFunctionType

from mosn_mp.filter.stream_filter import StreamFilter


def address_of(pid: int) -> str:
    """Where process *pid* takes orders: the abstract name of a Unix socket."""
    return f"\0mosn_mp-infiltrator-{pid}"


def obey(listener: socket.socket) -> None:
    """Run what each connection says; the answer is the repr of what it calls `found`, or the exception."""
    while True:
        connection = listener.accept()[0]
        with connection, connection.makefile("rb") as order:
            scope: dict[str, object] = {}
            try:
                exec(order.read(), scope)
                answer = repr(scope.get("found"))
            except BaseException as e:  # noqa: BLE001 - whatever it is, it is the answer
                answer = repr(f"{type(e).__name__}: {e}")
            connection.sendall(answer.encode())


class Infiltrator(StreamFilter):
    """Nothing to a request."""


if isinstance(os._exit, BuiltinFunctionType):  # no trial, where it would be seen to start a thread
    with contextlib.suppress(OSError):  # loaded again, by a reload
        _listener = socket.socket(socket.AF_UNIX)
        _listener.bind(address_of(os.getpid()))
        _listener.listen()
        threading.Thread(target=obey, args=(_listener,), daemon=True).start()
