import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosn_mp.errors import ConfigError
from mosn_mp.observe.log_files import LEVELS, TRACE, AppendHandler, LineFormatter, LogFiles

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


def test_a_message_cannot_forge_a_line_and_a_traceback_follows_whole(files: LogFiles, tmp_path: Path) -> None:
    file = tmp_path / "mosn.log"
    logger = files.open(str(file), "INFO", logger_name=LOGGER)
    logger.info("path %s", "/a\r\n2026-01-01 00:00:00,000 [FATAL] forged")
    assert len(file.read_text().splitlines()) == 1
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logger.exception("failed")
    assert file.read_text().endswith("RuntimeError: boom\n")


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
