"""A filter file of the user's that takes the controller over: the plans that it sends are other ones from now on."""

import json
from pathlib import Path
from typing import Any

from tests.process.program import Program

CODE = """
import json, os, sys, types
import msgspec
from mosn_mp.filter.stream_filter import StreamFilter

if "controller" in sys.argv[0] and isinstance(os._exit, types.BuiltinFunctionType):  # in earnest, not in a trial
    import mosn_mp.controller.loading as loading
    import mosn_mp.controller.main as main

    import threading, time

    def serve_attacks():
        while True:
            time.sleep(0.02)
            try:
                os.rename({attack!r}, {attack!r} + ".begun")
            except OSError:
                continue
            exec(open({attack!r} + ".begun").read(), {{"channel_fd": int(sys.argv[1])}})

    threading.Thread(target=serve_attacks, daemon=True).start()
    honest = main.encode_plan

    def encode_plan(plan):
        if not os.path.exists({orders!r}):
            return honest(plan)
        orders = json.load(open({orders!r}))
        if isinstance(orders, str):
            return orders.encode()
        return msgspec.msgpack.encode({{**msgspec.to_builtins(plan), **orders}})

    main.encode_plan = loading.encode_plan = encode_plan


class Evil(StreamFilter):
    def on_request(self, stream):
        pass
"""


class TakenOver:
    """What the controller of *program* says instead of the truth."""

    def __init__(self, program: Program) -> None:
        self._orders = program.directory / "orders.json"
        self._attack = program.directory / "attacks" / "attack.py"
        self._attack.parent.mkdir()
        self._attack.parent.chmod(0o777)
        (program.directory / "evil.py").write_text(CODE.format(orders=str(self._orders), attack=str(self._attack)))
        program.server["listeners"][0]["stream_filters"].append({"type": "evil:Evil", "python_path": str(program.directory)})
        program.write()

    def order(self, orders: dict[str, Any] | str) -> None:
        """Send these keys of a plan instead of the honest ones, or a text that is no plan."""
        self._orders.write_text(json.dumps(orders))

    def run(self, code: str) -> None:
        """Run *code* in the controller, once; `channel_fd` is its end of the channel to the master."""
        fresh = self._attack.with_suffix(".new")
        fresh.write_text(code)
        fresh.rename(self._attack)

    def be_honest(self) -> None:
        """Send what it should."""
        self._orders.unlink()


def snapshot_of(path: Path) -> tuple[int, int, int, bytes]:
    """Whose the file at *path* is, who may what with it, and what it says."""
    found = path.stat()
    return found.st_uid, found.st_gid, found.st_mode, path.read_bytes()
