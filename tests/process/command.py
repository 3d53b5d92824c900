"""The command `mosn_mp` as a process of its own, forked from one that has imported it: most of its CPU time is its imports."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 60.0
# Not of the tests' own process: it has threads, whose locks a fork would copy.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["mosn_mp.cli", "mosn_mp.config.problems", "mosn_mp.master.control.client", __name__])


def run_command(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `mosn_mp` with *arguments* said."""
    with tempfile.TemporaryDirectory() as directory:
        said = [os.path.join(directory, name) for name in ("stdout", "stderr")]
        process = FORKSERVER.Process(target=_be_command, args=(arguments, dict(environment), *said))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["mosn_mp", *arguments], TIMEOUT_S)
        return subprocess.CompletedProcess(arguments, process.exitcode, *(Path(path).read_text() for path in said))


def _be_command(arguments: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    from mosn_mp.cli import cli

    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115  the process's own
    cli.main(args=arguments, prog_name="mosn_mp")
