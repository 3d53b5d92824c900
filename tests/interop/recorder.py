"""A host that keeps the very bytes of each request and answers with bytes that a test has chosen."""

import re
import socket
import threading
from collections.abc import Callable

from tests.process.program import DEADLINE_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def read_message(read: Callable[[int], bytes], *, has_body: bool = True) -> bytes:
    """One HTTP/1.1 message by length or in chunks, a response also up to the end of the connection; b"" if there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = read(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if not has_body or re.match(rb"HTTP/1.\d (?:1..|204|304) ", head):
        return data
    is_chunked = re.search(rb"(?im)^transfer-encoding:.*chunked", head)
    is_response = data.startswith(b"HTTP/")

    def is_complete() -> bool:
        if is_chunked:
            return bool(re.search(rb"(?:^|\r\n)0[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n$", body))
        return len(body) >= int(length[1]) if length else not is_response

    while not is_complete():
        more = read(65536)
        if not more:
            return head + b"\r\n\r\n" + body if is_response else b""  # the end of a response, but no whole request
        body += more
    return head + b"\r\n\r\n" + body


def keeps_alive(response: bytes) -> bool:
    """Whether the connection may carry another request after *response*."""
    head = response.partition(b"\r\n\r\n")[0]
    has_no_body = re.match(rb"HTTP/1.1 (?:204|304|103) ", head)
    is_bounded = has_no_body or re.search(rb"(?i)\r\n(?:content-length|transfer-encoding):", head)
    return bool(is_bounded) and head.startswith(b"HTTP/1.1")


class Recorder:
    """Serves until end()."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.response = OK
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        with connection:
            try:
                while request := read_message(connection.recv):
                    self.requests.append(request)
                    response = self.response
                    connection.sendall(response)
                    if not keeps_alive(response):
                        connection.shutdown(socket.SHUT_WR)
            except OSError:
                return  # the proxy has had enough

    def end(self) -> None:
        """Stop listening."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def exchange(port: int, request: bytes, *, has_body: bool = True) -> bytes:
    """Send *request* to the proxy at *port*; its answer, interim ones left out of the reading but not of the result."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
        client.sendall(request)
        answer = interim = read_message(client.recv, has_body=has_body)
        while re.match(rb"HTTP/1.\d 1(?!01)", interim):
            rest = interim.partition(b"\r\n\r\n")[2]
            interim = read_message(_ahead(rest, client.recv), has_body=has_body)
            answer = answer[: len(answer) - len(rest)] + interim
        return answer


def _ahead(first: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """*read*, with *first* in front."""
    pending = [first] if first else []
    return lambda size: pending.pop() if pending else read(size)
