"""The kit that every access log variable must pass: the built-in ones and those of the catalogue."""

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.errors import Reason
from mosn_mp.observe.access_log.format import LogFormat
from mosn_mp.observe.access_log.record import Record
from mosn_mp.observe.access_log.variables import variable_names
from mosn_mp.plugin import CATALOGUE

NAMES = [name.replace("<key>", "x-key") for name in variable_names()] + list(CATALOGUE.names("access_log_variable"))
HOSTILE = bytes(range(256))


def hostile_record() -> Record:
    """Every text holds every byte value, every number is at its limit."""
    record = Record()
    for name in dir(record):
        value = getattr(record, name)
        if name.startswith("_") or callable(value) or name.endswith("_address"):
            continue
        if name in ("request", "response"):
            continue
        if value is None:
            setattr(record, name, HOSTILE)
    record.start_us = 2**52
    record.start_at, record.end_at, record.request_finished_at, record.response_head_at = -(2**62), 2**62 - 1, -5, 2**62
    record.bytes_sent = record.bytes_received = record.connection_id = 2**64 - 1
    record.status, record.reason, record.response_flags = -1, 9999, 2**32 - 1
    record.listener_port, record.listener_type = 65535, 255
    record.request, record.response = Head(), Head()
    for head in (record.request, record.response):
        head.set("x-key", bytes(byte for byte in HOSTILE if byte >= 0x20 and byte != 0x7F))
        head.add("cookie", "x-key=\\u0022; =; ;;x-key; x-key=2")
    record.request.path = b"/?&&=&x-key&x-key=%0A"
    return record


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_of_an_empty_record_shows_something(name: str) -> None:
    line = LogFormat(f"%{name}%").line(Record())
    assert line.endswith(b"\n") and len(line) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_never_breaks_the_line(name: str) -> None:
    shown = LogFormat(f"%{name}%").line(hostile_record()).removesuffix(b"\n")
    assert shown
    assert all(0x20 <= byte < 0x7F for byte in shown.replace("µ".encode(), b"u"))
    assert b'"' not in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_stays_within_its_room(name: str) -> None:
    compiled = LogFormat(f"%{name}%")
    record = hostile_record()
    whole = compiled.line(record)
    for room in range(1, min(len(whole), 64)):
        assert len(compiled.line(record, room)) <= room


@pytest.mark.parametrize("reason", [-1, len(Reason), 2**31 - 1])
def test_a_reason_that_no_table_has_is_harmless(reason: int) -> None:
    record = Record()
    record.reason = reason
    assert LogFormat("%response_flags% %upstream_transport_failure_reason%").line(record) == b"- -\n"
