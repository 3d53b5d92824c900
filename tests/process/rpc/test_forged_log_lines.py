"""What a client writes into a header stands in the log as text: it begins no line, and moves no cursor."""

import re

from tests.process.program import wait_until
from tests.process.rpc.setting import RpcSetting
from tests.rpc.upstream import Upstream
from tests.rpc.wire import SUCCESS

FORGED = "2026-01-01 00:00:00,000 [FATAL] [master] forged"
LINE_BREAKS = ("\n", "\r\n", "\r", "\x85", "\u2028", "\x1b[1A\x1b[2K", "\x9b1A")
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[(\w+)\] .*")


def configure(setting: RpcSetting, origin: Upstream) -> None:
    setting.add_filter("bolt", "quoting:Quoting")
    log_format = "%request_header_note% end"
    listener = next(one for one in setting.server["listeners"] if one["name"] == "bolt")
    listener["access_logs"] = [{"log_path": "logs/bolt.log", "log_format": log_format}]


def test_a_header_in_a_traceback_forges_no_line_of_the_masters(setting: RpcSetting, upstream: Upstream) -> None:
    note = "innocent" + "".join(f"{line_break}{FORGED}{line_break}" for line_break in LINE_BREAKS)
    with setting.client() as client:
        assert client.call(b"x", [(b"note", note.encode())]).status != SUCCESS
        assert client.call(b"y").status == SUCCESS
    wait_until(lambda: "ValueError: innocent" in setting.log_text(), "the traceback in the log")
    assert "Traceback" in setting.log_text()
    written = setting.log.read_bytes().decode()
    assert (written.replace("\n", "") + "x").isprintable()
    for line in written.split("\n")[:-1]:
        assert LINE.fullmatch(line) or line.startswith("  | "), line
        assert not line.startswith(FORGED)
    for line in setting.wait_lines("bolt.log", 1):
        assert line.isascii() and line.isprintable() and line.endswith(" end")
