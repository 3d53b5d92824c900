"""What may be asked for while a program is upgraded, and what has to be true of each afterwards."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from mosn_mp.ipc.frames import Ask
from mosn_mp.ipc.report import RebalanceReport, ReloadReport
from tests.process.changing import REQUESTS, Change, Changing
from tests.process.program import wait_until

Kind = Callable[[Changing], Change]



# -- by the file --------------------------------------------------------------------------------------------------------------


def by_signal(changing: Changing) -> Change:
    """SIGHUP for another file, with another number of workers."""
    wanted: list[int] = []

    def ask() -> bool:
        changing.server["processor"] = 5 - changing.server["processor"]
        wanted.append(changing.next_number())
        os.kill(changing.pid, signal.SIGHUP)
        return True

    def holds() -> bool:
        workers = [process for process in changing.report().processes if process.role == "worker"]
        return changing.answers() == {*wanted} and len(workers) == changing.server["processor"]

    return Change("SIGHUP", ask, holds)


def by_reload(changing: Changing) -> Change:
    """`mosn_mp reload` of another file."""
    wanted: list[int] = []

    def ask() -> bool:
        wanted.append(changing.next_number())
        body = changing.ask_control(Ask("reload", str(changing.path)))
        if body is None:
            return False
        report = msgspec.msgpack.decode(body, type=ReloadReport)
        if report.ok:
            changing.answers_of.setdefault(report.version, set()).update(wanted)
        return report.ok

    return Change("reload", ask, lambda: changing.answers() == {*wanted})


# -- by edits of the configuration --------------------------------------------------------------------------------------------


def _by_edit(changing: Changing, name: str, value: object, shown: str, holds: Callable[[], bool]) -> Change:
    """POST *value*; it is made when *shown* is in the configuration, in the file too if it is to be there, and it *holds*."""

    def has() -> bool:
        texts = [json.dumps(changing.dump()), *([changing.path.read_text()] if changing.is_kept else [])]
        return all(shown in text for text in texts) and holds()

    return Change(name, lambda: changing.ask_admin(f"/debug/{name.partition(' ')[0]}", value), has)


def by_router(changing: Changing) -> Change:
    """Another virtual host, with one more route."""
    path, number = f"/r{changing.number}", changing.number
    fresh = {"match": {"path": path}, "direct_response": {"status": 200, "body": str(number)}}
    routes = changing.server["routers"][0]["virtual_hosts"][0]["routers"]
    host = {"name": "v", "domains": ["*"], "routers": [fresh, *routes]}
    value = {"type": "router", "config": {"router_config_name": "r", "virtual_hosts": [host]}}
    return _by_edit(changing, "update_config router", value, f'"{path}"', lambda: changing.answers(path) == {number})


def by_route(changing: Changing) -> Change:
    """One more route in a router that no other change is about."""
    path = f"/side{changing.number}"
    route = {"match": {"path": path}, "direct_response": {"status": 204}}
    value = {"type": "add", "config": {"router_config_name": "side", "domain": "*", "route": route}}
    return _by_edit(changing, "update_route add", value, f'"{path}"', lambda: True)


def by_cluster(changing: Changing) -> Change:
    """Another host in a cluster."""
    address = f"127.0.0.1:{10000 + changing.number}"
    value = {"type": "cluster", "config": {"name": "side", "lb_type": "LB_RANDOM", "hosts": [{"address": address}]}}
    return _by_edit(changing, "update_config cluster", value, f'"{address}"', lambda: True)


def by_listener(changing: Changing) -> Change:
    """One more listener, or another one under its name."""
    limit = 1000 + changing.number
    listener = {**changing.listener("guest", changing.guest_port), "stream_filters": [], "max_connections": limit}
    value = {"type": "listener", "config": listener}

    def holds() -> bool:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", changing.guest_port)):
            return True
        return False

    return _by_edit(changing, "update_config listener", value, f'"max_connections": {limit}', holds)


def by_weight(changing: Changing) -> Change:
    """`mosn_mp host weight`."""
    address, weight = f"127.0.0.1:{changing.upstreams[0]}", 2 + changing.number % 100
    ask = Ask("host weight", cluster="up", address=address, weight=weight)
    return Change(
        "host weight", lambda: changing.ask_control(ask) is not None,
        lambda: changing.report().weights.get(f"up/{address}") == weight,
    )  # fmt: skip


# -- switches -----------------------------------------------------------------------------------------------------------------


def by_rotation(changing: Changing) -> Change:
    """`mosn_mp host disable`, or `enable` of what is disabled."""
    address = f"127.0.0.1:{changing.upstreams[1]}"
    was_out = f"up/{address}" in changing.report().disabled_hosts
    verb = "enable" if was_out else "disable"
    ask = Ask(f"host {verb}", cluster="up", address=address)
    return Change(
        f"host {verb}", lambda: changing.ask_control(ask) is not None,
        lambda: (f"up/{address}" in changing.report().disabled_hosts) != was_out,
    )  # fmt: skip


def by_level(changing: Changing) -> Change:
    """Another level of the process log."""
    before = json.loads(changing.ask("GET", "/api/v1/get_loglevel")[1])
    level = "WARN" if before[str(changing.log)] != "WARN" else "INFO"
    value = {"log_path": str(changing.log), "log_level": level}
    return Change(
        "log level", lambda: changing.ask_admin("/api/v1/update_loglevel", value),
        lambda: json.loads(changing.ask("GET", "/api/v1/get_loglevel")[1])[str(changing.log)] == level,
    )  # fmt: skip


def by_disabled_log(changing: Changing) -> Change:
    """The access log switched off; it is on again after the look."""
    value = {"log_path": str(changing.access_log)}
    number = changing.number

    def holds() -> bool:
        for _ in range(REQUESTS):
            changing.get_text(f"/silent{number}")
        wait_until(lambda: changing.ask_admin("/api/v1/enable_log", value), "the log is on")
        time.sleep(0.05)  # the API answers before workers hear of it
        for _ in range(REQUESTS):
            changing.get_text(f"/loud{number}")
        wait_until(lambda: changing.access_log.read_text().count(f"/loud{number}\n") == REQUESTS, "lines in the access log")
        return f"/silent{number}" not in changing.access_log.read_text()

    return Change("disable_log", lambda: changing.ask_admin("/api/v1/disable_log", value), holds)


def by_rotated_log(changing: Changing) -> Change:
    """The process log renamed, and SIGUSR1."""
    renamed = changing.log.with_suffix(f".{changing.number}")

    def ask() -> bool:
        changing.log.rename(renamed)
        os.kill(changing.pid, signal.SIGUSR1)
        return True

    def holds() -> bool:
        with contextlib.suppress(FileNotFoundError):  # a worker that is too many left while we looked
            return str(renamed) not in [os.readlink(fd) for pid in changing.family() for fd in Path(f"/proc/{pid}/fd").iterdir()]
        return False

    return Change("SIGUSR1", ask, holds)


def by_rebalance(changing: Changing) -> Change:
    """`mosn_mp rebalance`: whoever answers has done it."""

    def ask() -> bool:
        body = changing.ask_control(Ask("rebalance"))
        return body is not None and msgspec.msgpack.decode(body, type=RebalanceReport).moved >= 0

    return Change("rebalance", ask, lambda: True)
