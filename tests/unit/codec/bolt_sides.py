"""Either side of a bolt connection, as tests of the codec begin."""

from collections import deque

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.codec.bolt.codec import BoltCodec
from mosn_mp.codec.bolt.limits import BoltLimits
from mosn_mp.codec.driver import CodecDriver
from tests.contract.bolt_frames import V1, V2, V2_CRC
from tests.contract.codec_kit import CLIENT, DATA, END, HEAD, SERVER

ALIVE: deque[CodecDriver] = deque(maxlen=100)  # a head's texts lie in the bytes of the driver that read it
ALL_FORMS = pytest.mark.parametrize("request_frame", [V1, V2, V2_CRC], ids=["v1", "v2", "v2-crc"])


def driver(role: int, version: int = 1, **limits: int) -> CodecDriver:
    return CodecDriver(BoltCodec(role, BoltLimits(**limits), version))


def read(frame: bytes, role: int = SERVER) -> tuple[CodecDriver, Head, bytes]:
    """A driver that has read a whole frame, its head and its content."""
    side = driver(role)
    ALIVE.append(side)
    side.feed(frame)
    event, head = side.next_event()
    assert event == HEAD and isinstance(head, Head)
    events = side.pull()
    assert events[-1] == (END, None)
    content = b"".join(shown for event, shown in events if event == DATA and isinstance(shown, bytes))
    return side, head, content


def write(head: Head, content: bytes, stream_id: int, role: int = CLIENT, version: int = 1) -> bytes:
    side = driver(role, version)
    side.stream_id = stream_id
    side.write_head(head, not content)
    if content:
        side.write_data(content)
    side.write_end()
    return side.take_output()
