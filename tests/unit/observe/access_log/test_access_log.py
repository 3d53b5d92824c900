import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mosn_mp.errors import ConfigError
from mosn_mp.observe.access_log.access_log import AccessLog, AccessLogs, check_access_log
from mosn_mp.observe.access_log.record import Record
from mosn_mp.observe.access_log.writer import LogWriter


def wait_until(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.002)


@pytest.fixture
def logs() -> Iterator[AccessLogs]:
    made = AccessLogs(ring_bytes=4096, flush_interval_ms=10)
    yield made
    assert made.close()


def numbered(number: int) -> Record:
    record = Record()
    record.stream_id = number
    return record


def test_lines_reach_the_file_after_the_flush_interval(logs: AccessLogs, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "down" / "access.log"
    log = logs.open(str(file), "n=%stream_id%", "p")
    log.log(numbered(1))
    log.log(numbered(2))
    wait_until(lambda: file.read_text() == "n=1\nn=2\n")


def test_a_half_full_ring_is_written_before_the_interval_is_over(tmp_path: Path) -> None:
    logs = AccessLogs(ring_bytes=4096, flush_interval_ms=60_000)
    file = tmp_path / "access.log"
    log = logs.open(str(file), "n=%stream_id%" + "x" * 96, "p")
    for number in range(1, 25):
        log.log(numbered(number))
    wait_until(lambda: file.stat().st_size >= 2048)
    assert logs.close()
    assert len(file.read_text().splitlines()) == 24


def test_close_writes_what_is_there_at_once(tmp_path: Path) -> None:
    logs = AccessLogs(flush_interval_ms=60_000)
    file = tmp_path / "access.log"
    one, other = (logs.open(str(file), text, "p") for text in ("n=%stream_id%", "again %stream_id%"))
    one.log(numbered(7))
    other.log(numbered(8))
    assert logs.close()
    assert file.read_text() == "n=7\nagain 8\n"


def test_every_line_is_whole_and_in_order_round_and_round_the_ring(logs: AccessLogs, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    log = logs.open(str(file), "%stream_id% %trace_id%", "p")
    sent = []
    for number in range(1, 4001):
        record = numbered(number)
        record.trace_id = b"t" * (number * 7919 % 300)
        dropped = log.writer.dropped
        log.log(record)
        if log.writer.dropped == dropped:
            sent.append(f"{number} {'t' * (number * 7919 % 300) or '-'}")
        elif number % 3:
            wait_until(lambda: log.writer.lines == len(sent))
    assert logs.close()
    assert file.read_text().splitlines() == sent
    assert log.writer.lines == len(sent) and log.writer.lines + log.writer.dropped == 4000


def test_a_line_longer_than_the_longest_is_cut_not_dropped(tmp_path: Path) -> None:
    logs = AccessLogs()
    file = tmp_path / "access.log"
    log = logs.open(str(file), "%trace_id%", "p")
    record = Record()
    record.trace_id = b"x" * 50_000
    log.log(record)
    assert logs.close()
    assert file.read_bytes() == b"x" * 16383 + b"\n"


def test_a_line_longer_than_the_ring_is_dropped_and_counted(logs: AccessLogs, tmp_path: Path) -> None:
    log = logs.open(str(tmp_path / "access.log"), "%trace_id%", "p")
    record = Record()
    record.trace_id = b"x" * 5000
    log.log(record)
    assert log.writer.dropped == 1


def test_lines_that_find_no_room_are_dropped_and_counted(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    logs = AccessLogs(ring_bytes=4096, flush_interval_ms=1)
    log = logs.open(str(pipe), "%stream_id%" + "x" * 99, "p")
    for number in range(5000):  # nobody reads: the pipe takes 64 KiB, the ring 4 KiB
        log.log(numbered(number))
    assert log.writer.dropped > 0 and log.writer.lines + log.writer.dropped == 5000
    text = b""
    os.set_blocking(reader, True)
    while text.count(b"\n") < log.writer.lines:
        text += os.read(reader, 65536)
    assert {len(line.lstrip(b"0123456789-")) for line in text.splitlines()} == {99}
    assert logs.close()
    os.close(reader)


def test_a_client_that_floods_a_log_does_not_hide_the_lines_of_others(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(reader, bytes(4096)):  # the thread that writes finds no room
            pass
    logs = AccessLogs(ring_bytes=65536, flush_interval_ms=1)
    log = logs.open(str(pipe), "%downstream_remote_address%" + "x" * 99, "p")

    def ask(address: bytes, times: int) -> int:
        record, before = Record(), log.writer.lines
        record.downstream_remote_address = address
        for _ in range(times):
            log.log(record)
        return log.writer.lines - before

    ask(b"10.0.0.1:1", 1000)
    line = len("10.0.0.1:1") + 99 + 1
    assert log.writer.lines * line > 0.85 * 65536, "one client alone has nearly all of the ring"
    assert ask(b"10.0.0.1:2", 100) == 0
    assert ask(b"10.0.0.2:1", 20) == 20
    assert ask(b"[2001:db8::1]:1", 10) == 10
    assert ask(b"[2001:db8::2]:1", 1000) < 1000, "an owner of a network has one share"
    os.close(reader)
    assert logs.close()


def test_reopen_goes_on_in_a_new_file(logs: AccessLogs, tmp_path: Path) -> None:
    file, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    log = logs.open(str(file), "n=%stream_id%", "p")
    log.log(numbered(1))
    file.rename(moved)
    logs.reopen()
    wait_until(lambda: log.writer.reopened == 1)
    log.log(numbered(2))
    wait_until(lambda: file.read_text() == "n=2\n")
    assert moved.read_text() == "n=1\n"


def test_reopen_keeps_the_old_file_when_the_new_one_cannot_be_opened(
    logs: AccessLogs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    log = logs.open(str(file), "n=%stream_id%", "p")
    file.rename(moved)
    file.mkdir()
    with caplog.at_level(logging.ERROR, "mosn_mp.access_log"):
        logs.reopen()
        wait_until(lambda: log.writer.reopen_errors == 1 and len(caplog.records) == 1)
    assert os.strerror(errno.EISDIR) in caplog.text
    log.log(numbered(3))
    wait_until(lambda: moved.read_text() == "n=3\n")


def test_a_full_disk_is_counted_reported_and_loses_only_what_the_ring_cannot_hold(caplog: pytest.LogCaptureFixture) -> None:
    logs = AccessLogs(ring_bytes=4096, flush_interval_ms=1)
    log = logs.open("/dev/full", "%stream_id%" + "x" * 99, "p")
    with caplog.at_level(logging.ERROR, "mosn_mp.access_log"):
        for number in range(1000):
            log.log(numbered(number))
        wait_until(lambda: log.writer.write_errors > 0 and len(caplog.records) > 0)
    assert os.strerror(errno.ENOSPC) in caplog.text
    assert len(caplog.records) == 1
    assert log.writer.dropped >= 950
    assert logs.close()
    assert log.writer.dropped == 1000


def test_two_logs_of_one_path_share_the_file_and_one_closes_it_only_with_the_last(logs: AccessLogs, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    first = logs.open(str(file), "a %stream_id%", "p")
    second = logs.open(str(file), "b %stream_id%", "p")
    writer = first.writer
    assert writer is second.writer
    del first
    assert not writer.is_closing
    second.log(numbered(2))
    del second
    assert writer.is_closing and writer.wait_stopped(5.0)
    assert file.read_text() == "b 2\n"
    assert logs.open(str(file), "", "p").writer is not writer


def test_a_log_can_be_switched_off_and_on(logs: AccessLogs, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    log = logs.open(str(file), "%stream_id%", "p")
    assert logs.set_enabled(str(file), False)
    log.log(numbered(1))
    assert logs.set_enabled(str(file), True)
    log.log(numbered(2))
    wait_until(lambda: file.read_text() == "2\n")
    assert not logs.set_enabled("/nowhere", True)


def test_a_file_that_cannot_be_opened_is_a_config_error(logs: AccessLogs, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^l\[0\]\.log_path: cannot open '.*': Is a directory"):
        logs.open(str(tmp_path), "", "l[0]")


def test_a_check_opens_nothing(tmp_path: Path) -> None:
    check_access_log(str(tmp_path / "access.log"), "", "l[0]")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="in this version"):
        check_access_log("syslog", "", "l[0]")
    with pytest.raises(ConfigError, match=r"^l\[0\]\.log_format: "):
        check_access_log("stdout", "%nonsense%", "l[0]")


def test_a_ring_too_small_for_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1024"):
        LogWriter(str(tmp_path / "x"), 100)


def test_a_log_holds_its_format_and_writer(logs: AccessLogs, tmp_path: Path) -> None:
    log = logs.open(str(tmp_path / "x"), "%duration%", "p")
    assert isinstance(log, AccessLog)
    assert log.format.text == "%duration%" and log.writer.path == str(tmp_path / "x")
    assert logs.writers() == [log.writer]
