"""The protocols of docs/examples, loaded from their files as a user's are."""

from pathlib import Path
from typing import Any, NamedTuple

from mosn_mp.codec.compile import load_protocol

FOLDER = Path(__file__).resolve().parents[2] / "docs/examples"


class File(NamedTuple):
    """An entry of third_part_codec."""

    path: str
    loader_func_name: str
    config: dict[str, Any] = {}


X_EXAMPLE = load_protocol(File(str(FOLDER / "x_example.py"), "XExample"))
