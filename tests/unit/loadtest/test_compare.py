"""The comparison command: what it reads from wrk and /proc, and that every peer's configuration is one it accepts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import compare
import peers
import pytest
from marking_filter import Marking

from mosn_mp.config.load import check
from mosn_mp.filter.chain import FilterChain
from mosn_mp.filter.testing import SampleStream

WRK = """Running 4s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Latency Distribution
     50%    1.02ms
     99%  {p99}
  200000 requests in 4.00s, 30.00MB read
{problems}Requests/sec:  50000.00
"""


def test_cpu_time_is_divided_by_the_requests_that_wrk_counted() -> None:
    found = compare.read_wrk(WRK.format(p99="2.50ms", problems=""), cpu_s=4.0)
    assert found == compare.Round(cpu_us=20.0, p99_ms=2.5, problem="")


@pytest.mark.parametrize(("written", "ms"), [("830.00us", 0.83), ("1.20s", 1200.0), ("2.50ms", 2.5)])
def test_latencies_are_read_in_every_unit_of_wrk(written: str, ms: float) -> None:
    assert compare.read_wrk(WRK.format(p99=written, problems=""), cpu_s=1.0).p99_ms == pytest.approx(ms)


def test_failed_requests_are_a_problem_of_the_round() -> None:
    output = WRK.format(p99="1.00ms", problems="  Non-2xx or 3xx responses: 7\n")
    assert compare.read_wrk(output, cpu_s=1.0).problem == "Non-2xx or 3xx responses: 7"


def test_a_round_without_an_answer_is_a_problem() -> None:
    assert compare.read_wrk("unable to connect", cpu_s=0.0).problem == "no request was answered"


def test_a_process_tree_holds_children_of_children() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'], stdin=0)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.readline()
        tree = compare.tree_of(os.getpid())
        grandchildren = compare.tree_of(child.pid)
        child.communicate("\n")
    assert len(grandchildren) == 2
    assert set(grandchildren) < set(tree)


def test_a_row_shows_the_median_and_our_ratio_to_each_peer(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = {"mosn_mp": [10.0, 20.0, 30.0], "haproxy": [20.0, 20.0, 20.0]}
    results = {name: [compare.Round(us, 1.0, "") for us in figures] for name, figures in rounds.items()}
    assert compare.print_work(compare.WORKS["small"], results)
    assert "| 20.0 |" in " ".join(capsys.readouterr().out.split())
    assert compare.print_work(compare.WORKS["small"], results)
    assert "20.0 (1.00x)" in capsys.readouterr().out


def test_a_failed_request_of_mosn_mp_fails_the_comparison() -> None:
    assert not compare.print_work(compare.WORKS["small"], {"mosn_mp": [compare.Round(1.0, 1.0, "Non-2xx")]})


@pytest.mark.parametrize("name", ["mosn_mp", "mosn_mp+log", "mosn_mp+filter"])
def test_the_configuration_it_writes_for_mosn_mp_is_served(tmp_path: Path, name: str) -> None:
    command = peers.PEERS[name].prepare("mosn_mp", tmp_path, 1, 2)
    assert check(command[-1]).errors == ()


def test_the_filter_of_the_comparison_reads_one_header_and_adds_one() -> None:
    chain, stream = FilterChain([Marking(None)]), SampleStream(headers={"User-Agent": "wrk"})
    chain.run("on_request", stream)
    assert stream.request.get("x-asked-by") == b"wrk"


@pytest.mark.interop("haproxy")
def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    command = peers.prepare_haproxy(peers.program("haproxy") or "", tmp_path, 2, 1)
    subprocess.run([*command, "-c"], check=True, capture_output=True)


@pytest.mark.interop("nginx")
def test_nginx_accepts_its_configurations(tmp_path: Path) -> None:
    nginx = peers.program("nginx") or ""
    for command in (peers.prepare_nginx(nginx, tmp_path, 2, 1), peers.prepare_backend(nginx, tmp_path, 1)):
        subprocess.run([*command, "-t"], check=True, capture_output=True)


def test_envoys_configuration_names_the_listener_and_the_host(tmp_path: Path) -> None:
    peers.prepare_envoy("envoy", tmp_path, 11, 12)
    written = json.loads((tmp_path / "envoy.json").read_text())["static_resources"]
    assert written["listeners"][0]["address"]["socket_address"]["port_value"] == 11
    assert "12" in json.dumps(written["clusters"])
