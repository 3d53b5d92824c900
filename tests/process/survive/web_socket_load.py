"""WebSockets (RFC 6455) that believe nothing: `web_socket_load.py client PORT COUNT`, `web_socket_load.py server PORT`.

The server sends every message back. The client opens COUNT connections, prints `ready`, and talks on all of them until its
standard input ends: each message carries the number of its connection and its own, is of any length format, and is now and then
sent in two pieces. Then it waits for what is outstanding, parts politely, and prints as JSON:

    open        connections that were agreed on
    sent        messages
    received    messages that came back, each once and in order
    wrong       messages that came back out of order, twice, or as something else
    lost        messages that did not come back
    broken      connections that ended before their client parted
    failures    examples of the last three
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import struct
import sys
from collections import Counter, deque

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
PAUSE_S = 1.0  # at most, between two messages of a connection
PIECE_S = 0.05  # between two pieces of one message
DRAIN_S = 15.0
LENGTHS = (20, 20, 20, 125, 126, 3000, 65535, 65536)
RARELY = 0.05  # the share of messages that are large, or come in pieces


def mask(payload: bytes, key: bytes) -> bytes:
    """*payload* with *key* over it (section 5.3); its own inverse."""
    cover = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(cover, "big")).to_bytes(len(payload), "big")


def encode(kind: int, payload: bytes, key: bytes = b"") -> bytes:
    """One whole frame (section 5.2), masked by *key* if there is one."""
    bit = 0x80 if key else 0
    if len(payload) < 126:
        head = struct.pack(">BB", 0x80 | kind, bit | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack(">BBH", 0x80 | kind, bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", 0x80 | kind, bit | 127, len(payload))
    return head + key + (mask(payload, key) if key else payload)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The kind and the payload of the next frame; IncompleteReadError if there is none."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", await reader.readexactly(8))
    key = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(length)
    return first & 0x0F, mask(payload, key) if key else payload


def accept_of(key: bytes) -> bytes:
    """What the server answers to the client's *key* (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


# --- server ----------------------------------------------------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of the server."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        writer.write(b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + accept_of(key), b"", b""]))
        kind = BINARY
        while kind != CLOSE:
            kind, payload = await read_frame(reader)
            writer.write(encode(PONG if kind == PING else kind, payload))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=4096, limit=1 << 17)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


# --- client ----------------------------------------------------------------------------------------------------------------


class Client:
    """All connections, and what they count."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.ending = asyncio.Event()

    def fail(self, kind: str, text: str, count: int = 1) -> None:
        """Count a failure and keep it as an example."""
        self.counts[kind] += count
        if len(self.failures) < 20:
            self.failures.append(f"{kind}: {text}")


class Talk:
    """One connection."""

    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.number = number
        self.outstanding: deque[bytes] = deque()
        self.is_parting = False

    async def open(self) -> None:
        """Connect and shake hands."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.client.port, limit=1 << 17)
        key = base64.b64encode(os.urandom(16))
        lines = [b"GET /ws HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"]
        self.writer.write(b"\r\n".join([*lines, b"Sec-WebSocket-Key: " + key, b"", b""]))
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 ") or accept_of(key) not in head:
            raise OSError(f"no WebSocket: {head!r}")
        self.client.counts["open"] += 1

    async def run(self) -> None:
        """Talk until the end."""
        reading = asyncio.create_task(self._read())
        try:
            await self._write()
            await asyncio.wait_for(reading, DRAIN_S)
        except TimeoutError:
            self.client.fail("broken", f"{self.number}: no farewell within {DRAIN_S} s")
        except OSError as e:
            self.client.fail("broken", f"{self.number} while it wrote: {e}")
        reading.cancel()
        if self.outstanding:
            self.client.fail("lost", f"{self.number}: from {self.outstanding[0][:20]!r} on", len(self.outstanding))
        self.writer.close()

    async def _write(self) -> None:
        serial = 0
        while not await self._pause(random.uniform(0, PAUSE_S)):
            serial += 1
            length = random.choice(LENGTHS) if random.random() < RARELY else 20
            payload = (b"%06d %012d " % (self.number, serial) * (length // 20 + 1))[:length]
            frame = encode(BINARY, payload, os.urandom(4))
            self.outstanding.append(payload)
            self.client.counts["sent"] += 1
            at = random.randrange(1, len(frame)) if random.random() < RARELY else len(frame)
            self.writer.write(frame[:at])
            if at < len(frame):
                await asyncio.sleep(random.uniform(0, PIECE_S))
                self.writer.write(frame[at:])
            await self.writer.drain()
        self.is_parting = True
        self.writer.write(encode(CLOSE, struct.pack(">H", 1000), os.urandom(4)))
        await self.writer.drain()

    async def _pause(self, seconds: float) -> bool:
        """Whether the end came meanwhile."""
        try:
            await asyncio.wait_for(self.client.ending.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _read(self) -> None:
        try:
            while True:
                kind, payload = await read_frame(self.reader)
                if kind == CLOSE:
                    return
                self._judge(payload)
        except (OSError, asyncio.IncompleteReadError) as e:
            self.client.fail("broken", f"{self.number}, {'parting' if self.is_parting else 'talking'}: {e!r}")

    def _judge(self, payload: bytes) -> None:
        wanted = self.outstanding.popleft() if self.outstanding else b"nothing"
        if payload == wanted:
            self.client.counts["received"] += 1
        else:
            found, expected = (f"{text[:20]!r} ({len(text)} bytes)" for text in (payload, wanted))
            self.client.fail("wrong", f"{self.number}: {found} for {expected}")


async def talk(port: int, count: int) -> None:
    """The client."""
    client = Client(port)
    talks = [Talk(client, number) for number in range(count)]
    for at in range(0, count, 50):
        await asyncio.gather(*(one.open() for one in talks[at : at + 50]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    running = asyncio.gather(*(one.run() for one in talks))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    client.ending.set()
    await running
    sys.stdout.write(json.dumps({**client.counts, "failures": client.failures}) + "\n")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[2])) if sys.argv[1] == "server" else talk(int(sys.argv[2]), int(sys.argv[3])))
