#!/usr/bin/env python3
"""Compares mosn_mp with the proxies installed here: CPU microseconds per request of each one's whole process tree.

Every proxy runs one worker on core 0, before the same nginx on core 1, from where wrk also loads it. CPU time is compared, not
requests per second, because it survives a noisy machine; the rounds of the proxies alternate, and the ratio is taken round by
round, then the median. Needs wrk and nginx; HAProxy and Envoy are measured where they are found.

    loadtest/compare.py                        the table of the README
    loadtest/compare.py --work small,bulk --rounds 3 --seconds 2
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from peers import PEERS, prepare_backend, program

SUBJECT = "mosn_mp"
PROXY_CORE, LOAD_CORE = 0, 1
START_S = 15
IDLE_CONNECTIONS = 2000


class Work(NamedTuple):
    """One kind of load: what it is, and how wrk makes it."""

    title: str
    connections: int = 64
    path: str = "/"
    script: str = ""


WORKS = {
    "small": Work("small GET, keep-alive"),
    "post": Work(
        "POST of 4 KiB", script='wrk.method="POST"; wrk.body=string.rep("x",4096); wrk.headers["Content-Type"]="text/plain"'
    ),
    "head20": Work("GET with 20 header fields", script='for i=1,20 do wrk.headers["X-Field-"..i] = "an ordinary value "..i end'),
    "bulk": Work("GET of 1 MiB", connections=16, path="/1m"),
    "short": Work("a new connection per request", script='wrk.headers["Connection"]="close"'),
    "many": Work("small GET on 4,000 connections", connections=4000),
}


class Round(NamedTuple):
    """What one proxy did in one round."""

    cpu_us: float  # per request
    p99_ms: float
    problem: str


class Running:
    """A proxy at work, pinned to one core."""

    def __init__(self, command: list[str], core: int, port: int, folder: Path) -> None:
        self.port = port
        with open(folder / f"output{port}.log", "wb") as output:
            self.process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=output, stderr=output, cwd=folder)
        deadline = time.monotonic() + START_S
        while not self.is_listening():
            if time.monotonic() > deadline or self.process.poll() is not None:
                message = (folder / f"output{port}.log").read_text(errors="replace").strip()
                self.stop()
                sys.exit(f"{command[0]} did not start: {message or 'it said nothing'}")
            time.sleep(0.05)

    def is_listening(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
        except OSError:
            return False
        return True

    def cpu_s(self) -> float:
        """CPU seconds of its process tree so far, ended children included."""
        ticks = 0
        for pid in tree_of(self.process.pid):
            fields = stat_fields(pid)
            ticks += sum(map(int, fields[11:15])) if fields else 0
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Memory of its process tree; shared pages count once (Pss)."""
        total = 0
        for pid in tree_of(self.process.pid):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+)", rollup, re.M)) * 1024
        return total

    def stop(self) -> None:
        """End it, by force after a while."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree_of(root: int) -> list[int]:
    """*root* and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def load(work: Work, running: Running, seconds: int, folder: Path) -> Round:
    """Run wrk against a proxy."""
    script = folder / "work.lua"
    script.write_text(work.script)
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{work.connections}", f"-d{seconds}s", "--latency"]
    before = running.cpu_s()
    output = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{running.port}{work.path}"], capture_output=True, text=True
    ).stdout
    return read_wrk(output, running.cpu_s() - before)


def read_wrk(output: str, cpu_s: float) -> Round:
    """What wrk says of a round that cost *cpu_s*."""
    done = re.search(r"(\d+) requests in", output)
    requests = int(done[1]) if done else 0
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", output)
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}
    p99_ms = float(p99[1]) * scale[p99[2]] if p99 else 0.0
    problem = "; ".join(line.strip() for line in output.splitlines() if "Non-2xx" in line or "Socket errors" in line)
    return Round(cpu_s / max(requests, 1) * 1e6, p99_ms, problem if requests else "no request was answered")


def measure(work: Work, running: dict[str, Running], rounds: int, seconds: int, folder: Path) -> dict[str, list[Round]]:
    """*rounds* rounds of every proxy, taking turns; one short round before them is not counted."""
    results: dict[str, list[Round]] = {name: [] for name in running}
    for proxy in running.values():
        load(work, proxy, 1, folder)
    for _ in range(rounds):
        for name, proxy in running.items():
            results[name].append(load(work, proxy, seconds, folder))
    return results


def idle_bytes(proxy: Running) -> float:
    """Memory per idle keep-alive connection, each after one request."""
    before, connections = proxy.memory_bytes(), []
    for _ in range(IDLE_CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", proxy.port), 5)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not connection.recv(4096):
            sys.exit("a proxy closed a connection that should stay idle")
        connections.append(connection)
    time.sleep(2)  # what a proxy gives back when it falls idle, it has given back by now
    grown = proxy.memory_bytes() - before
    for connection in connections:
        connection.close()
    return grown / IDLE_CONNECTIONS


def print_row(title: str, cells: list[str]) -> None:
    """One row of the (Markdown) table."""
    print("| " + " | ".join([title.ljust(32), *(cell.rjust(14) for cell in cells)]) + " |", flush=True)


def print_work(work: Work, results: dict[str, list[Round]]) -> bool:
    """The row of one work; False when a request of mosn_mp failed."""
    cells = []
    for name, rounds in results.items():
        cell = f"{statistics.median(r.cpu_us for r in rounds):.1f}"
        if name != SUBJECT:
            pairs = zip(results[SUBJECT], rounds, strict=True)
            cell += f" ({statistics.median(own.cpu_us / max(other.cpu_us, 1e-9) for own, other in pairs):.2f}x)"
        cells.append(cell)
    print_row(work.title, cells)
    print_row("  p99 latency, ms", [f"{statistics.median(r.p99_ms for r in rounds):.2f}" for rounds in results.values()])
    problems = [f"{name}: {r.problem}" for name, rounds in results.items() for r in rounds if r.problem]
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    return not any(problem.startswith(SUBJECT) for problem in problems)


def parse_arguments() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join([*WORKS, "idle"]), help="what to measure (default: %(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="what to measure it on, where installed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per proxy and work (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a round (default 4)")
    arguments = parser.parse_args()
    for option, known in (("work", [*WORKS, "idle"]), ("peers", list(PEERS))):
        unknown = set(getattr(arguments, option).split(",")) - set(known)
        if unknown:
            parser.error(f"--{option}: no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    missing = [name for name in ("wrk", "nginx", "taskset") if not program(name)]
    if missing:
        sys.exit(f"The comparison needs {' and '.join(missing)} (Debian: apt-get install wrk nginx-light util-linux).")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("The comparison needs two cores: one for the proxies, one for the load.")
    return arguments


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_all(names: list[str], folder: Path, started: list[Running]) -> dict[str, Running]:
    """The backend and every peer that is installed; all are appended to *started* at once, to be stopped by the caller."""
    host = free_port()
    started.append(Running(prepare_backend(program("nginx") or "nginx", folder, host), LOAD_CORE, host, folder))
    running = {}
    for name in names:
        found = PEERS[name].find()
        if not found:
            print(f"{name} is not installed: left out", file=sys.stderr)
            continue
        port = free_port()
        running[name] = Running(PEERS[name].prepare(found, folder, port, host), PROXY_CORE, port, folder)
        started.append(running[name])
    if SUBJECT not in running:
        sys.exit("mosn_mp is not installed in this Python: run scripts/demo once, then .venv/bin/python loadtest/compare.py.")
    return running


def main() -> int:
    """0 when every request of mosn_mp was answered."""
    arguments = parse_arguments()
    names = [SUBJECT, *(n for n in arguments.peers.split(",") if n != SUBJECT)]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = Path(tempfile.mkdtemp(prefix="mosn_mp-compare-"))
    started: list[Running] = []
    is_good = True
    try:
        running = start_all(names, folder, started)
        print_row("CPU us per request (ours / theirs)", list(running))
        print_row("---", ["---:"] * len(running))
        for key in arguments.work.split(","):
            if key == "idle":
                print_row("bytes per idle connection", [f"{idle_bytes(proxy):.0f}" for proxy in running.values()])
            else:
                results = measure(WORKS[key], running, arguments.rounds, arguments.seconds, folder)
                is_good &= print_work(WORKS[key], results)
    finally:
        for proxy in reversed(started):
            proxy.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
