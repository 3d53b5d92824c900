"""Configurations of a few kilobytes that are made to cost seconds, gigabytes or a crash: one problem each, whoever brings it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.dynamic import Dynamic
from tests.process.program import ROOT, wait_until

CPU_S = 1.0
MEMORY_KIB = 100 << 10
# Runs a command; what it and its children took: CPU seconds, and the most memory of one of them.
WATCH = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
took = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stdout + done.stderr, took.ru_utime + took.ru_stime, took.ru_maxrss]))
"""


def nested(opening: str, closing: str, depth: int = 900) -> str:
    return opening * depth + "1" + closing * depth


def laughs() -> str:
    """344 bytes and less that mean 9 to the 9th values."""
    lines = ["a: &a [l,l,l,l,l,l,l,l,l]"]
    lines += [f"{name}: &{name} [{','.join(['*' + before] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


def merges() -> str:
    lines = ["a: &a {k: v}"]
    steps = zip("abcdefgh", "bcdefghi", strict=True)
    lines += [f"{name}: &{name} {{<<: [{','.join(['*' + before] * 9)}]}}" for before, name in steps]
    return "\n".join(lines)


# What a value may be: JSON, and what is wrong with it.
VALUES = {
    "a number of 5,000 digits": ("9" * 5000, "this number is too large"),
    "a number of 4,000 digits": ("-" + "9" * 4000, "this number is too large"),
    "a number that no snapshot can carry": (str(1 << 64), "this number is too large"),
    "a fraction of 5,000 digits": ("0." + "1" * 5000, "this number is too large"),
    "a number without end": ("1e999", "this number is too large"),
    "lists 900 deep": (nested("[", "]"), "nested more than 64 levels deep"),
    "objects 900 deep": (nested('{"a":', "}"), "nested more than 64 levels deep"),
    "lists 100,000 deep": (nested("[", "]", 100_000), "nested more than 64 levels deep"),
    "half a character": ('"\\ud800"', "half of a character"),
    "a duration of 5,000 digits": (f'"{"9" * 5000}s"', "is too long"),
    "a duration of 300,000 parts": (f'"{"1ns" * 300_000}"', "is too long"),
}
YAML = {
    "aliases that mean 10 to the 9th values": (laughs(), "aliases repeat more than 50,000 values"),
    "merge keys that mean as many": (merges(), "aliases repeat more than 50,000 values"),
    "an anchor inside itself": ("a: &a [*a]", "stands inside its own anchor"),
    "lists 900 deep": (nested("[", "]"), "nested more than 64 levels deep"),
    "lists 100,000 deep": ("[" * 100_000, "exceeded maximum nesting depth"),
    "a number of 5,000 digits": ("pid: " + "9" * 5000, "this number is too large"),
    "a hexadecimal number of 50,000 digits": ("pid: 0x" + "f" * 50_000, "this number is too large"),
    "a number to the base of 60": ("pid: 1" + ":59" * 50_000, "this number is too large"),
    "a number without end": ("pid: .inf", "this is not a number in JSON"),
    "a merge of nothing": ("servers: {<<: 5}", "not valid YAML: expected a mapping or list of mappings for merging"),
}


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynamic]:
    made = Dynamic(tmp_path_factory.mktemp("hostile"))
    try:
        made.start()
        yield made
    finally:
        made.end()


def with_value(program: Dynamic, value: str) -> str:
    """The program's configuration, with *value* where a duration is expected."""
    text = json.dumps({**program.config, "servers": [{**program.server, "graceful_timeout": "@"}]})
    return text.replace('"@"', value)


def cost(pid: int) -> tuple[float, int]:
    """CPU seconds, and the most memory so far, of a process."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), peak


def judged(program: Dynamic, file: Path) -> str:
    """What `mosn_mp check` says of *file*, cheaply."""
    command = [program.python, "-m", "mosn_mp", "check", "-c", str(file)]
    watch = [sys.executable, "-c", WATCH, *command]
    done = subprocess.run(watch, env=program.environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    returncode, said, cpu_s, memory_kib = json.loads(done.stdout)
    assert returncode == 1 and "Traceback" not in said
    assert cpu_s < CPU_S and memory_kib < MEMORY_KIB, (cpu_s, memory_kib)
    problem, count = said.strip().splitlines()
    assert count.endswith(": 1 errors")
    return str(problem)


@contextlib.contextmanager
def cheap(program: Dynamic) -> Iterator[None]:
    """What is inside costs the controller little, and the program goes on."""
    (controller,) = controllers(program)
    cpu_s, memory_kib = cost(controller)
    yield
    after_s, after_kib = cost(controller)
    assert after_s - cpu_s < CPU_S and after_kib - memory_kib < MEMORY_KIB, (after_s - cpu_s, after_kib - memory_kib)
    assert controllers(program) == [controller] and program.get() == 1


def controllers(program: Dynamic) -> list[int]:
    """The program's controller, found without its configuration file."""
    return [pid for pid in program.family() if b"mosn_mp.controller" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_is_made_to_cost_much_is_one_problem_of_the_file(dynamic: Dynamic, what: str) -> None:
    value, problem = VALUES[what]
    dynamic.path.write_text(with_value(dynamic, value))
    said = judged(dynamic, dynamic.path)
    assert problem in said and said.startswith(f"{dynamic.path}:1:")
    with cheap(dynamic):
        before = dynamic.log_text().count(said)
        dynamic.signal(signal.SIGHUP)
        wait_until(lambda: dynamic.log_text().count(said) > before, "the refusal in the log")


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_is_made_to_cost_much_is_one_problem_of_a_change(dynamic: Dynamic, what: str) -> None:
    value, problem = VALUES[what]
    body = json.dumps({"type": "cluster", "config": {**dynamic.cluster(1), "connect_timeout": "@"}}).replace('"@"', value)
    with cheap(dynamic):
        status, text = dynamic.ask("POST", "/debug/update_config", body)
    (said,) = json.loads(text)["problems"]
    assert status == 400 and problem in said and said.startswith("update_config:1:")


@pytest.mark.parametrize("what", YAML)
def test_yaml_that_is_made_to_cost_much_is_one_problem(dynamic: Dynamic, tmp_path: Path, what: str) -> None:
    text, problem = YAML[what]
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert problem in judged(dynamic, file)


def test_a_hundred_thousand_mistakes_are_a_hundred_and_one_problems(dynamic: Dynamic) -> None:
    (controller,) = controllers(dynamic)
    for body in (
        {"type": "cluster", "config": {"name": "many", "hosts": [1] * 100_000}},
        {"type": "cluster", "config": {f"key{number}": 1 for number in range(100_000)}},
        {f"key{number}": 1 for number in range(100_000)},
    ):
        before_s, _ = cost(controller)
        status, text = dynamic.ask("POST", "/debug/update_config", json.dumps(body))
        problems = json.loads(text)["problems"]
        assert status == 400 and len(problems) == 101
        assert any("there may be more: these are the first 100 errors" in problem for problem in problems)
        assert cost(controller)[0] - before_s < 3 * CPU_S
