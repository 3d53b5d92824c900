"""Load with everything going wrong that may: each request gets one right response or a clear error frame, never silence."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.process.program import wait_until
from tests.process.rpc.load import Echo, Load, LoadedSetting
from tests.rpc.wire import BUSY, COMM_ERROR, CONNECTION_CLOSED, NO_PROCESSOR, TIMEOUT, UNKNOWN

CLEAR = {str(status) for status in (UNKNOWN, BUSY, COMM_ERROR, NO_PROCESSOR, TIMEOUT, CONNECTION_CLOSED)}
NEAR_S = 3.0  # a failure belongs to the trouble that came at most so long before it
CONNECTIONS = 30


def check(result: dict[str, Any], kills: list[float], troubles: list[float]) -> None:
    """Every request has got what it must, and what failed failed for a reason that we gave."""
    assert result["silent"] == 0, f"{result['silent']} requests without any answer: {result}"
    assert result["wrong"] == 0, result
    assert result["unasked"] == 0, result
    assert set(result["failed"]) <= CLEAR, result["failed"]
    assert result["sent"] == result["right"] + result["lost"] + sum(result["failed"].values()), result

    def is_near(at: float, reasons: list[float]) -> bool:
        return any(-0.2 <= at - reason <= NEAR_S for reason in reasons)

    strange = [at for at in result["closed_at"] if not is_near(at, kills)]
    assert not strange, f"{len(strange)} connections closed though no worker was killed; kills at {kills}: {strange[:5]}"
    if not kills:
        assert result["lost"] == 0, result
    odd = [at for at in result["failed_at"] if not is_near(at, troubles + kills)]
    assert not odd, f"{len(odd)} error frames without a trouble near: {odd[:5]}; troubles at {troubles}"


def test_a_second_of_load_is_all_right(tmp_path: Path) -> None:
    with Echo() as echo, LoadedSetting(tmp_path, 2, [echo]) as setting:
        for protocol in (1, 2):
            result = Load(setting.ports["bolt"], 20, 3000, 1.0, protocol).result()
            assert result["right"] == result["sent"], result
            check(result, [], [])


def test_goaways_of_the_upstream_cost_no_request(tmp_path: Path) -> None:
    with Echo() as one, Echo() as other, LoadedSetting(tmp_path, 2, [one, other]) as setting:
        load = Load(setting.ports["bolt"], 20, 2000, 3.0)
        for echo in (one, other) * 4:
            time.sleep(0.3)
            echo.goaway()
        result = load.result()
        assert result["right"] == result["sent"], result
        check(result, [], [])


def test_an_upstream_restart_costs_errors_and_no_silence(tmp_path: Path) -> None:
    with Echo() as one, Echo() as other, LoadedSetting(tmp_path, 2, [one, other]) as setting:
        load = Load(setting.ports["bolt"], 20, 2000, 3.0)
        time.sleep(1)
        troubles = [time.monotonic()]
        one.restart()
        result = load.result()
        check(result, [], troubles)
        assert result["right"] > 0.9 * result["sent"]


def test_a_killed_worker_costs_its_own_requests_only(tmp_path: Path) -> None:
    with Echo() as echo, LoadedSetting(tmp_path, 3, [echo]) as setting:
        load = Load(setting.ports["bolt"], CONNECTIONS, 2000, 3.0)
        time.sleep(1)
        kills = [time.monotonic()]
        setting.kill_worker(0)
        result = load.result()
        check(result, kills, [])
        assert 0 < len(result["closed_at"]) < CONNECTIONS
        assert result["right"] > 0.9 * result["sent"]


@pytest.mark.slow
def test_ten_thousand_requests_a_second_through_kills_restarts_and_goaways(tmp_path: Path) -> None:
    with Echo() as one, Echo() as other, LoadedSetting(tmp_path, 3, [one, other]) as setting:
        loads = [Load(setting.ports["bolt"], CONNECTIONS // 2, 5000, 60.0, protocol) for protocol in (1, 2)]
        kills: list[float] = []
        troubles: list[float] = []
        for turn in range(6):
            time.sleep(3)
            one.goaway()
            time.sleep(1)
            troubles.append(time.monotonic())
            other.restart()
            time.sleep(2)
            other.goaway()
            time.sleep(1)
            kills.append(time.monotonic())
            setting.kill_worker(turn)
            wait_until(lambda: len(setting.pids("worker")) == 3, "the worker back")
        sent = 0
        for result in [load.result() for load in loads]:
            print({name: value for name, value in result.items() if not name.endswith("_at")})  # noqa: T201  the figures asked for
            check(result, kills, troubles)
            assert result["right"] > 0.95 * result["sent"]
            sent += result["sent"]
        assert sent > 0.9 * 10_000 * 60
