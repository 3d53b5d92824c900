import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from mosn_mp.errors import ConfigError
from mosn_mp.observe.log_files import LEVELS, TRACE, AppendHandler, LineFormatter, LogFiles
from mosn_mp.observe.stray_errors import log_stray_errors

LOGGER = "mosn_mp_test_of_log_files"


@pytest.fixture
def files() -> Iterator[LogFiles]:
    made = LogFiles("worker 1")
    yield made
    made.close()


def test_a_line_is_that_of_mosn(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    logger.warning("listener %s is full", "front")
    logger.error("no route", extra={"alert_key": "proxy.route"})
    first, second = file.read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    assert re.fullmatch(stamp + r"\[WARN\] \[worker 1\] listener front is full", first)
    assert re.fullmatch(stamp + r"\[ERROR\] \[proxy\.route\] \[worker 1\] no route", second)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_shows_itself_and_what_is_worse(level: str, files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), level, logger_name=LOGGER)
    for number in LEVELS.values():
        logger.log(number, "x")
    names = re.findall(r"\[([A-Z]+)\]", file.read_text())
    assert names == [name for name in LEVELS if LEVELS[name] >= LEVELS[level]]


def test_the_level_of_a_path_changes_while_it_runs(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "ERROR", logger_name=LOGGER)
    logger.log(TRACE, "unseen")
    assert files.set_level(str(file), "TRACE") and files.levels() == {str(file): "TRACE"}
    logger.log(TRACE, "seen")
    assert "unseen" not in file.read_text() and "seen" in file.read_text()
    assert files.set_level("", "FATAL") and files.levels() == {str(file): "FATAL"}
    assert not files.set_level("/nowhere", "INFO")
    assert not files.set_level(str(file), "LOUD")


def test_a_log_can_be_switched_off_and_on(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    assert files.set_enabled(str(file), False)
    logger.critical("unseen")
    assert files.set_enabled(str(file), True)
    logger.info("visible")
    assert re.findall(r"\w+$", file.read_text().strip()) == ["visible"]
    assert not files.set_enabled("/nowhere", True)


FORGED = "2026-01-01 00:00:00,000 [FATAL] [master] forged"
BREAKS = ["\r\n", *"\n\r\v\f\0\x1c\x1d\x1e\x7f\x85\u2028\u2029\u202e\ufeff", "\x1b[1A", "\x9b1A"]


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as e:
        return e


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_neither_message_nor_key_nor_traceback_forges_a_line(files: LogFiles, tmp_path: Path, line_break: str) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    text = line_break.join(["quoted", FORGED, ""])
    error = raised(ValueError(text), raised(KeyError(text)))
    error.add_note(text)
    logger.info("path %s", text)
    logger.info("named", extra={"alert_key": text})
    logger.error("failed", exc_info=error)
    LogFiles(text).open(str(file), "INFO", logger_name=LOGGER + "2").info("from a strange process")
    written = file.read_bytes().decode()
    assert (written.replace("\n", "") + "x").isprintable(), "nothing but line feeds"
    records = [line for line in written.split("\n") if not line.startswith("  | ")]
    assert len(records) == 5 and records[-1] == "" and not any(line.startswith(FORGED) for line in records)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[(INFO|ERROR)\] ", line) for line in records[:-1])
    assert "  | Traceback (most recent call last):\n" in written and "ValueError: quoted" in written


def test_a_traceback_follows_whole(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    logger.error("failed", exc_info=raised(RuntimeError("größer als 5 €")))
    first, *traceback = file.read_text().splitlines()
    assert first.endswith("[ERROR] [worker 1] failed")
    assert traceback[0] == "  | Traceback (most recent call last):" and traceback[-1] == "  | RuntimeError: größer als 5 €"


def test_what_ends_a_greenlet_or_cannot_be_raised_is_in_the_log(
    files: LogFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Finalized:
        def __del__(self) -> None:
            raise ValueError(f"in a finalizer\n{FORGED}")

    def fail() -> None:
        raise ValueError(f"in a greenlet\n{FORGED}")

    hub = gevent.get_hub()
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(hub, "print_exception", hub.print_exception)
    file = tmp_path / "mosn.log"
    files.open(str(file), "INFO", logger_name="mosn_mp")
    log_stray_errors(hub)
    gevent.spawn(fail).join()
    Finalized()
    written = file.read_text()
    assert "  | ValueError: in a greenlet\n  | 2026" in written and "  | ValueError: in a finalizer\n  | 2026" in written
    assert capfd.readouterr().err == ""


def test_a_log_call_with_wrong_arguments_says_so(tmp_path: Path) -> None:
    handler = AppendHandler(str(tmp_path / "mosn.log"))
    handler.setFormatter(LineFormatter())
    handler.handle(logging.LogRecord("x", logging.INFO, "x.py", 1, "%d requests", ("many",), None))
    handler.close()
    assert "does not fit its arguments" in (tmp_path / "mosn.log").read_text()


def test_reopen_goes_on_in_a_new_file_and_keeps_the_old_one_when_it_cannot(files: LogFiles, tmp_path: Path) -> None:
    file, moved = tmp_path / "mosn.log", tmp_path / "mosn.log.1"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    logger.info("one")
    file.rename(moved)
    files.reopen()
    logger.info("two")
    assert moved.read_text().endswith("one\n") and file.read_text().endswith("two\n")
    file.unlink()
    file.mkdir()
    files.reopen()
    assert files.errors() == 1
    logger.info("three")  # into the file that has no name any more: no exception
    assert files.errors() == 1


def test_a_full_disk_is_counted_and_harms_nobody(files: LogFiles) -> None:
    logger = files.open("/dev/full", "INFO", logger_name=LOGGER)
    logger.info("one")
    logger.info("two")
    assert files.errors() == 2


def test_no_path_and_stderr_are_the_standard_error(files: LogFiles, capfd: pytest.CaptureFixture[str]) -> None:
    files.open("", "INFO", logger_name=LOGGER).info("into stderr")
    files.open("stdout", "INFO", logger_name=LOGGER + ".out").info("into stdout")
    out, err = capfd.readouterr()
    assert err.endswith("into stderr\n") and out.endswith("into stdout\n")


def test_syslog_over_udp_gets_the_line(files: LogFiles) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        port = server.getsockname()[1]
        files.open(f"syslog+udp://127.0.0.1:{port}", "INFO", logger_name=LOGGER).warning("hello")
        assert b"[WARN] [worker 1] hello" in server.recv(2000)


def test_syslog_over_tcp_that_goes_away_is_counted(files: LogFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        logger = files.open(f"syslog+tcp://127.0.0.1:{port}", "INFO", logger_name=LOGGER)
        logger.info("hello")
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            assert b"hello" in connection.recv(2000)
    for _ in range(20):
        logger.info("gone")
    assert files.errors() > 0
    files.reopen()


@pytest.mark.parametrize(
    ("log_path", "level", "problem"),
    [
        ("{tmp}", "INFO", "cannot open"),
        ("{tmp}/x", "LOUD", "no log level"),
        ("syslog+smoke://h:1", "INFO", "write syslog, syslog"),
        ("syslog+udp://", "INFO", "write syslog, syslog"),
        ("syslog+tcp://127.0.0.1:1", "INFO", "cannot open"),
    ],
)
def test_a_log_that_cannot_be_opened_is_a_config_error(
    log_path: str, level: str, problem: str, files: LogFiles, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        files.open(log_path.format(tmp=tmp_path), level, "servers[0].default_log_path", LOGGER)
    assert caught.value.path == "servers[0].default_log_path"


def test_a_child_goes_on_with_its_parents_log_under_its_own_name(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    pid = os.fork()
    if pid == 0:
        files.set_process("worker 2")
        logger.info("child")
        os._exit(0)
    os.waitpid(pid, 0)
    logger.info("parent")
    child, parent = file.read_text().splitlines()
    assert child.endswith("[worker 2] child") and parent.endswith("[worker 1] parent")


def test_opening_a_path_again_changes_its_level_only(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    assert files.open(str(file), "DEBUG", logger_name=LOGGER) is logger
    logger.debug("once")
    assert file.read_text().count("once") == 1


def test_a_closed_log_leaves_no_handler_behind(tmp_path: Path) -> None:
    before = list(logging.getLogger(LOGGER + ".closed").handlers)
    files = LogFiles()
    files.open(str(tmp_path / "mosn.log"), "INFO", logger_name=LOGGER + ".closed")
    files.close()
    after = logging.getLogger(LOGGER + ".closed").handlers
    assert [handler for handler in after if isinstance(handler, AppendHandler)] == before == []
    assert files.levels() == {}
