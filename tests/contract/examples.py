"""The protocols in plain Python of docs/examples and of the process tests, loaded from their files as a user's are."""

from pathlib import Path
from typing import Any, NamedTuple

from mosn_mp.codec.compile import load_protocol

FOLDER = Path(__file__).resolve().parents[2] / "docs/examples"
RPC_TESTS = Path(__file__).resolve().parents[1] / "process/rpc"


class File(NamedTuple):
    """An entry of third_part_codec."""

    path: str
    loader_func_name: str
    config: dict[str, Any] = {}


X_EXAMPLE = load_protocol(File(str(FOLDER / "x_example.py"), "XExample"))
# one request at a time: PING_PONG and BIND
SERIAL = load_protocol(File(str(RPC_TESTS / "serial.py"), "Serial"))
SESSION = load_protocol(File(str(RPC_TESTS / "serial.py"), "Session"))
