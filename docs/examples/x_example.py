"""x_example, MOSN's example of an RPC protocol (pkg/protocol/xprotocol/example): everything that mosn_mp needs to know of it.

request    0 'x' | 1 type | 2 direction 0 | 3 id, 4 bytes | 7 body length, 4 bytes                      | body
response   0 'x' | 1 type | 2 direction 1 | 3 id, 4 bytes | 7 status, 2 bytes | 9 body length, 4 bytes  | body
type: 0 heartbeat, 1 message, 2 goaway; status: 0 success, 1 error; numbers are big endian
"""

from struct import Struct

from mosn_mp.codec.python_protocol import GOAWAY, HEARTBEAT, HEARTBEAT_REPLY, REQUEST, RESPONSE, Frame, PythonProtocol

ASKING = Struct("!cBBII")
ANSWERING = Struct("!cBBIHI")
KINDS = {(0, 0): HEARTBEAT, (0, 1): HEARTBEAT_REPLY, (1, 0): REQUEST, (1, 1): RESPONSE, (2, 0): GOAWAY}
TYPES = {kind: wire for wire, kind in KINDS.items()}


class XExample(PythonProtocol):
    """Many requests at a time on one connection, told apart by their ids."""

    name = "x_example"
    magic = b"x"
    id_bits = 32
    id_at = 3

    def decode(self, data: bytes) -> Frame | None:
        if len(data) < 11 or (data[2] and len(data) < 13):
            return None
        status = 0
        if data[2]:
            magic, wire_type, direction, id, status, length = ANSWERING.unpack_from(data)
        else:
            magic, wire_type, direction, id, length = ASKING.unpack_from(data)
        if magic != b"x":
            raise ValueError(f"a frame begins with {magic}")
        kind = KINDS[wire_type, direction]
        return Frame(kind, id, 13 if direction else 11, length, 500 if status else 200)

    def encode(self, frame: Frame) -> bytes | None:
        if frame.kind not in TYPES:
            return None
        wire_type, direction = TYPES[frame.kind]
        if direction:
            return ANSWERING.pack(b"x", wire_type, 1, frame.id, frame.status != 200, frame.body_size)
        return ASKING.pack(b"x", wire_type, 0, frame.id, frame.body_size)
