"""Several processes, one log file: what the workers of one proxy do."""

import collections
import os
import subprocess
import sys
import time
from pathlib import Path

WORKER = """
import sys, time
from mosn_mp.observe.access_log.access_log import AccessLogs
from mosn_mp.observe.access_log.record import Record
logs = AccessLogs(ring_bytes=8192, flush_interval_ms=2)
log = logs.open(sys.argv[1], "%connection_id% %stream_id% %trace_id% end", "p")
record = Record()
record.connection_id = int(sys.argv[2])
for number in range(1, 4001):
    record.stream_id = number
    record.trace_id = b"x" * (number * 7919 % 700)
    log.log(record)
    if number % 16 == 0:
        time.sleep(0.0005)
    if number % 1000 == 0:
        logs.reopen()
closed = logs.close(20.0)
print(closed, log.writer.lines, log.writer.dropped, log.writer.write_errors, flush=True)
"""


def start_workers(log_path: str, count: int, **streams: object) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen([sys.executable, "-c", WORKER, log_path, str(number)], text=True, **streams)  # type: ignore[call-overload]
        for number in range(1, count + 1)
    ]


def check_lines(text: str) -> collections.Counter[str]:
    """Every line is whole; how many there are of each process."""
    seen: collections.Counter[str] = collections.Counter()
    for line in text.splitlines():
        connection, stream, trace, end = line.split(" ")
        assert end == "end"
        assert trace == "x" * (int(stream) * 7919 % 700) or trace == "-"
        seen[connection] += 1
    return seen


def test_lines_of_four_processes_in_one_file_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    workers = start_workers(str(file), 4, stdout=subprocess.PIPE)
    reports = [worker.communicate(timeout=50)[0].split() for worker in workers]
    seen = check_lines(file.read_text())
    for number, (closed, lines, dropped, errors) in enumerate(reports, 1):
        assert closed == "True" and errors == "0"
        assert int(lines) + int(dropped) == 4000
        assert seen[str(number)] == int(lines)


def test_lines_of_two_processes_in_one_pipe_stay_whole() -> None:
    reader, writer = os.pipe()
    workers = start_workers("stderr", 2, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert [worker.wait(timeout=50) for worker in workers] == [0, 0]
    assert len(check_lines(text)) == 2


def test_a_process_that_forgets_to_close_its_log_still_ends(tmp_path: Path) -> None:
    code = WORKER.replace("closed = logs.close(20.0)", "closed = None")
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.log"), "1"], timeout=50, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 45
