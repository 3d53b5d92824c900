"""What a burst of clients makes ends with it."""

from pathlib import Path

from tests.process.program import wait_until
from tests.process.proxy.setting import Setting


def test_what_a_burst_made_ends_also_under_pythons_debugging_allocators(tmp_path: Path) -> None:
    """They end a process that frees an object which they did not make."""
    setting = Setting(tmp_path)
    setting.environment["PYTHONDEVMODE"] = "1"
    try:
        setting.start()
        workers = setting.pids("worker")
        clients = [setting.connect() for _ in range(50)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 5000)  # shorter ones need none
        wait_until(lambda: setting.counts()["worker.greenlets"] >= 50, "a greenlet for each")
        for client in clients:
            client.close()
        wait_until(lambda: setting.counts()["worker.greenlets"] <= 2, "the end of what they needed")
        assert setting.pids("worker") == workers
    finally:
        setting.end()
