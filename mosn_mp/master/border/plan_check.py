"""A plan as a stranger's input: whoever made it may have been taken over by what it imported.

Every figure is bounded for every master, so that no plan makes it fail somewhere in the middle; what may be named at all is held
against the Grant, where controller and workers have fewer rights than the master.
"""

import ipaddress
import os.path
from collections.abc import Iterator

from mosn_mp.errors import printable
from mosn_mp.ipc.plan import ClusterPlan, ListenerPlan, Plan
from mosn_mp.master.border.grant import Grant
from mosn_mp.master.border.names import FIRST_FREE_PORT
from mosn_mp.master.border.paths import find_place
from mosn_mp.observe.log_files import LEVELS, STREAMS

MAX_WORKERS = 250  # as the configuration allows
MAX_LISTENERS = 4096
MAX_SOCKETS = 65_536  # listeners by workers; the kernel lets a process have about a million descriptors
MAX_CLUSTERS = 65_536
MAX_HOSTS = 1_000_000
MAX_ADDRESS = 256  # characters of a host's
MAX_NAME = 4096  # characters of a name; a path has at most as many bytes (PATH_MAX)
MAX_LOGS = 4096
MAX_PATHS = 1024  # that workers reach
MIN_ARENA_BYTES, MAX_ARENA_BYTES = 1 << 20, 1 << 40
MAX_SECONDS = 10 * 365 * 86400.0
MAX_PROBLEMS = 20


def check_plan(plan: Plan, grant: Grant, config_path: str, pid_path: str = "") -> list[str]:
    """What is wrong with *plan* of *config_path*, a line each; *pid_path*: of the running program, "" = it is starting."""
    problems: list[str] = []
    for problem in _problems(plan, grant, config_path, pid_path):
        problems.append(printable(f"{config_path}: {problem}"[:2000]))
        if len(problems) == MAX_PROBLEMS:
            break
    return problems


def _problems(plan: Plan, grant: Grant, config_path: str, pid_path: str) -> Iterator[str]:
    if plan.config_path != config_path:
        yield f"the plan is that of another file, '{plan.config_path}'"
    if plan.pid_path != (pid_path or plan.pid_path):
        yield "pid cannot be changed while the program runs: stop and start it"
    yield from _problems_of_figures(plan)
    yield from _problems_of_clusters(plan.clusters)
    for listener in plan.listeners[:MAX_LISTENERS]:
        yield from _problems_of_listener(listener, grant)
    for path in (plan.log_path, *plan.access_logs[:MAX_LOGS]):
        problem = "" if path in STREAMS else _problem_of_path(path) or _problem_of_place(path, grant)
        if problem:
            yield f"the log file '{path}': {problem}"
    for path in (*plan.read_paths[:MAX_PATHS], *plan.write_paths[:MAX_PATHS]):
        if len(path) > MAX_NAME or "\0" in path or not os.path.isabs(path):
            yield f"'{path}': it is no absolute path"
    problem = _problem_of_path(plan.pid_path) or _problem_of_pid_path(plan.pid_path, grant, pid_path)
    if problem:
        yield f"pid: '{plan.pid_path}': {problem}"


def _problems_of_figures(plan: Plan) -> Iterator[str]:
    """Every number that the master counts, waits or allocates by."""
    figures: tuple[tuple[str, float, float, float], ...] = (
        ("workers", plan.workers, 1, MAX_WORKERS),
        ("listeners", len(plan.listeners), 0, MAX_LISTENERS),
        ("listening sockets", len(plan.listeners) * plan.workers, 0, MAX_SOCKETS),
        ("log files", len(plan.access_logs), 0, MAX_LOGS),
        ("read_only_paths and python_path", len(plan.read_paths), 0, MAX_PATHS),
        ("read_write_paths", len(plan.write_paths), 0, MAX_PATHS),
        ("arena_size", plan.arena_bytes, MIN_ARENA_BYTES, MAX_ARENA_BYTES),
        ("graceful_timeout", plan.graceful_timeout_s, 0, MAX_SECONDS),
        ("worker_stall_timeout", plan.stall_timeout_s, 0, MAX_SECONDS),
        ("rebalance_interval", plan.rebalance_interval_s, 0, MAX_SECONDS),
        ("worker_memory_limit", plan.memory_limit, 0, 1 << 62),
        ("host weights", len(plan.weights), 0, MAX_HOSTS),
        ("bytes of mosn_server_name", len(plan.server_name), 0, MAX_NAME),
    )
    for name, value, least, most in figures:
        if not least <= value <= most:  # NaN is not
            yield f"{name}: {value:g} is not from {least:g} to {most:g}"
    if plan.log_level not in LEVELS:
        yield f"'{plan.log_level}' is no log level; there are {', '.join(LEVELS)}"
    for name, weight in plan.weights.items():
        if not 1 <= weight <= 128 or len(name) > 2 * MAX_NAME:
            yield f"the weight {weight} of {name[:100]!r} is not from 1 to 128"


def _problems_of_clusters(clusters: list[ClusterPlan]) -> Iterator[str]:
    hosts = sum(len(cluster.hosts) for cluster in clusters)
    if len(clusters) > MAX_CLUSTERS or hosts > MAX_HOSTS:
        yield f"{len(clusters)} clusters with {hosts} hosts: at most {MAX_CLUSTERS} and {MAX_HOSTS} have room"
        return
    for cluster in clusters:
        if len(cluster.name) > MAX_NAME:
            yield f"cluster '{cluster.name[:100]}...': its name has more than {MAX_NAME} characters"
        elif any(len(host) > MAX_ADDRESS for host in cluster.hosts):
            yield f"cluster '{cluster.name[:100]}': a host's address has more than {MAX_ADDRESS} characters"


def _problems_of_listener(listener: ListenerPlan, grant: Grant) -> Iterator[str]:
    name = f"listener '{listener.name[:100]}'"
    if len(listener.name) > MAX_NAME:
        yield f"{name}: its name has more than {MAX_NAME} characters"
    try:
        ipaddress.ip_address(listener.host)
    except ValueError:
        yield f"{name}: '{listener.host[:100]}' is no IP address"
    if not 1 <= listener.port <= 65535 or not 1 <= listener.backlog <= 65535:
        yield f"{name}: port {listener.port} or backlog {listener.backlog} is not from 1 to 65535"
    if grant.is_bound and listener.bind and listener.port < FIRST_FREE_PORT and listener.port not in grant.ports:
        yield f"{name}: port {listener.port} is privileged, and root's file does not name it: add it there and reload"


def _problem_of_path(path: str) -> str:
    if len(path) > MAX_NAME or "\0" in path or not os.path.isabs(path):
        return "it is no absolute path"
    return "it names no file" if os.path.basename(path) in ("", ".", "..") else ""


def _problem_of_place(path: str, grant: Grant) -> str:
    """What is wrong with a file at *path* that the master makes for the user of *grant*."""
    directory = os.path.dirname(os.path.normpath(path))
    if not grant.is_bound or directory in grant.directories or _is_users(directory, grant):
        return ""
    return f"root's file names no log in {directory}, and '{_user(grant)}' has no such directory: name it there and reload"


def _problem_of_pid_path(path: str, grant: Grant, running: str) -> str:
    if running or not grant.is_bound:
        return ""
    if not grant.pid_path:
        directory = os.path.dirname(os.path.normpath(path))
        return "" if _is_users(directory, grant) else f"'{_user(grant)}' has no directory {directory}"
    return "" if path == grant.pid_path else f"the file says '{grant.pid_path}'"


def _is_users(directory: str, grant: Grant) -> bool:
    """Whether *directory* is the user's own: he could make the same files there himself."""
    assert grant.identity is not None
    try:
        place = find_place(os.path.join(directory, "x"))
    except OSError:
        return False
    try:
        return os.fstat(place.fd).st_uid == grant.identity.uid
    finally:
        os.close(place.fd)


def _user(grant: Grant) -> str:
    return grant.identity.user if grant.identity is not None else ""
