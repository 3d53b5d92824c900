"""What tests of codecs share: readable wire bytes, transcripts of what a codec read, and messages passed from side to side."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver, facts

NEED_MORE, HEAD, DATA, TRAILERS, END, HEARTBEAT, GOAWAY, RESET, ERROR, HEARTBEAT_REPLY = range(10)
SERVER, CLIENT = 0, 1
HOP = 4
SIGNALS = {HEARTBEAT: "HEARTBEAT", GOAWAY: "GOAWAY", RESET: "RESET", HEARTBEAT_REPLY: "HEARTBEAT_REPLY"}
FRAMINGS = ("none", "length", "chunked", "until-close")
ESCAPE = re.compile(rb"\\(?:([rnt0\\])|x([0-9a-fA-F]{2}))")
REPEAT = re.compile(rb"\{\{(.*?)\*(\d+)\}\}", re.S)
LETTERS = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
# How each byte is shown.
SHOWN = {
    **{byte: chr(byte) if 32 <= byte < 127 and byte != ord("\\") else f"\\x{byte:02x}" for byte in range(256)},
    ord("\r"): "\\r", ord("\n"): "\\n", ord("\t"): "\\t", 0: "\\0",
}
RUN = re.compile(r"(\w)\1{99,}")


@cache
def to_wire(text: bytes) -> bytes:
    """Wire bytes of their readable form: line ends in the text mean nothing; \\r \\n \\t \\0 \\xNN \\\\, {{ab*3}}"""
    text = text.replace(b"\n", b"")
    text = REPEAT.sub(lambda found: found[1] * int(found[2]), text)
    return ESCAPE.sub(lambda found: LETTERS[found[1]] if found[1] else bytes([int(found[2], 16)]), text)


def to_text(wire: bytes, lines: bool = False) -> str:
    """The readable form of wire bytes; long runs of one byte are shown by their number. *lines*: broken behind each line end."""
    shown = wire.decode("latin-1").translate(SHOWN)
    shown = RUN.sub(lambda found: "{{" + found[1] + "*" + str(len(found[0])) + "}}", shown) if len(shown) > 99 else shown
    return re.sub(r"\\r\\n(?=.)", "\\\\r\\\\n\n", shown) if lines else shown


@cache
def sections(path: Path) -> dict[str, bytes]:
    """The parts of a sample file: what follows each line `--- name`; the text before the first is `why`."""
    parts = re.split(rb"^--- (\w+)\n", path.read_bytes(), flags=re.M)
    return {"why": parts[0], **{name.decode(): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}}


def cut(wire: bytes, at: Iterable[int]) -> list[bytes]:
    """*wire* cut at these offsets."""
    ends = [0, *at, len(wire)]
    return [wire[a:b] for a, b in zip(ends, ends[1:], strict=False)]


class Writer(Protocol):
    """Where a transcript passes messages on to."""

    def head(self, head: Head, end_stream: bool) -> None: ...
    def data(self, data: bytes) -> None: ...
    def end(self, trailers: Head | None) -> None: ...


class Forward:
    """Writes messages with another codec, each body in one piece. *first_id*: with ids of its own, counted from there."""

    def __init__(self, driver: CodecDriver, new_message: bool, first_id: int | None = None) -> None:
        self.driver = driver
        self._new_message = new_message
        self._next_id = first_id

    def head(self, head: Head, end_stream: bool) -> None:
        if self._next_id is not None:
            self.driver.stream_id = self._next_id
            self._next_id += 1
        if self._new_message and not head.status:
            self.driver.begin_message()
        self.driver.write_head(head, end_stream)

    def data(self, data: bytes) -> None:
        if not self.driver.data_refused:
            self.driver.write_data(data)

    def end(self, trailers: Head | None) -> None:
        self.driver.write_end(trailers)


class Nowhere:
    """Forgets messages."""

    def head(self, head: Head, end_stream: bool) -> None:
        pass

    def data(self, data: bytes) -> None:
        pass

    def end(self, trailers: Head | None) -> None:
        pass


def show_head(head: Head) -> list[str]:
    """One line for what a head means, one for each field; `-` before a field that concerns this connection only."""
    known = facts(head)
    line = f"HEAD {head.status} {to_text(head.reason)}" if head.status else f"HEAD {to_text(head.method)} {to_text(head.path)}"
    if not head.status:
        line += f" scheme={head.scheme.decode()} authority={to_text(head.authority)}"
    line += f" version={known.version} body={FRAMINGS[known.framing]}"
    line += f":{known.content_length}" if known.content_length >= 0 else ""
    for word in ("keep_alive", "expect_continue", "upgrade"):
        line += f" {word}" if getattr(known, word) else ""
    fields = zip(head.items(), known.flags, strict=True)
    return [line, *(f" {'-' if flags & HOP else ' '}{to_text(n)}: {to_text(v)}" for (n, v), flags in fields)]


def show_stream(driver: CodecDriver) -> str:
    """What the frame of the head just read says beside it, for protocols with ids."""
    return f" id={driver.stream_id} timeout={driver.timeout_ms}" + (" one_way" if driver.one_way else "")


class Result(NamedTuple):
    """What came of reading bytes."""

    events: list[str]
    output: bytes  # what the other side's codec wrote
    answers: bytes = b""  # what the reading codec wrote: to heartbeats


class Transcript:
    """The events of one reading, noted and passed on; neighbouring DATA is one. Heartbeats are answered by the driver."""

    def __init__(self, driver: CodecDriver, writer: Writer, with_ids: bool = False) -> None:
        self.driver = driver
        self.writer = writer
        self.with_ids = with_ids
        self.lines: list[str] = []
        self._body: list[bytes] = []

    def flush(self) -> None:
        """Note the DATA seen so far."""
        if self._body:
            data = b"".join(self._body)
            self._body.clear()
            self.lines.append(f"DATA {to_text(data)}")
            self.writer.data(data)

    def note(self, event: int, shown: object) -> None:
        """One event."""
        if event == DATA:
            assert isinstance(shown, bytes) and shown
            self._body.append(shown)
            return
        self.flush()
        if event == HEAD:
            assert isinstance(shown, Head)
            lines = show_head(shown)
            self.lines.extend([lines[0] + show_stream(self.driver), *lines[1:]] if self.with_ids else lines)
            self.writer.head(shown, self.driver.body_done)
        elif event == TRAILERS:
            assert isinstance(shown, Head)
            self.lines.extend(["TRAILERS", *(f"  {to_text(name)}: {to_text(value)}" for name, value in shown.items())])
            self.writer.end(shown)
        elif event == END:
            self.lines.append("END")
            self.writer.end(None)
        elif event == ERROR:
            assert isinstance(shown, tuple)
            self.lines.append(f"ERROR {shown[0].name} {shown[1].decode()}")
        else:
            self.lines.append(f"{SIGNALS[event]} {shown}")
            if event == HEARTBEAT:
                self.driver.write_heartbeat_reply()

    def read(self, piece: bytes, go_on: bool) -> bool:
        """Feed *piece* and note what it gives; False after an ERROR."""
        self.driver.feed(piece)
        while True:
            event, shown = self.driver.next_event()
            if event == NEED_MORE:
                return True
            self.note(event, shown)
            if event == ERROR:
                return False
            if event == END:
                if not go_on:
                    return True
                self.driver.begin_message()


def transcribe(
    driver: CodecDriver,
    pieces: Sequence[bytes],
    writer: Writer,
    *,
    eof: bool = False,
    go_on: bool = True,
    move: bool = False,
    with_ids: bool = False,
) -> list[str]:
    """Feed *pieces* and note every event. *go_on*: begin the next message after END.

    *move*: the unread bytes change their place in memory before each piece. *with_ids*: heads are shown with their stream.
    """
    transcript = Transcript(driver, writer, with_ids)
    for number, piece in enumerate(pieces):
        if move:
            driver.move_input(number * 7 % 30)
        if not transcript.read(piece, go_on):
            return transcript.lines
    if eof:
        event, shown = driver.end_of_input()
        if event == NEED_MORE:
            transcript.flush()
            transcript.lines.append("CLOSED")
        else:
            transcript.note(event, shown)
    transcript.flush()
    return transcript.lines
